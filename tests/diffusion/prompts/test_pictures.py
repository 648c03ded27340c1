"""Weights and long prompts with the bundled model, and in the settings that pictures carry."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from diffusion import Pipeline, Result, Settings
from diffusion.errors import SettingsError
from diffusion.infotext.from_settings import infotext_from_settings
from diffusion.infotext.grammar import parse_infotext
from diffusion.prompts import EMPHASES, Chunk, chunk_prompt
from gpucore import f16
from tests.conftest import first_device, skip_without_f16

SMALL = Settings("a red apple", "blurry", width=64, height=64, steps=2, guidance=4.0, seed=5)
LONG = "a red apple, " * 30 + "on a blue table"
ORIGINAL = EMPHASES.find("original")


@functools.cache
def pipeline() -> Pipeline:
    """Return the pipeline on the first engine present: these tests are the same on all."""
    return Pipeline.load(device=first_device())


def pixels(prompt: str = SMALL.prompt, settings: Settings = SMALL) -> NDArray[Any]:
    *_, last = pipeline().generate(replace(settings, prompt=prompt))
    assert isinstance(last, Result)
    return np.stack([np.asarray(image) for image in last.images])


def chunks_of(text: str) -> list[Chunk]:
    return chunk_prompt("prompt", text, ORIGINAL, pipeline().networks.tokenizer)


def test_weights_change_the_picture_and_one_does_not() -> None:
    plain = pixels()
    np.testing.assert_array_equal(pixels("a (red:1.0) apple"), plain)
    np.testing.assert_array_equal(pixels("a ([red]) apple"), plain)
    for prompt in ("a (red:1.5) apple", "a (red) apple", "a [red] apple", "a (red:-1) apple"):
        assert not np.array_equal(pixels(prompt), plain), prompt
    np.testing.assert_array_equal(pixels("a (red:1.1) apple"), pixels("a (red) apple"))
    weighed = replace(SMALL, negative="(blurry:1.5)")
    assert not np.array_equal(pixels(settings=weighed), plain)


def test_modes() -> None:
    prompt = "a (red:1.5) apple"
    found = {mode.name: pixels(prompt, replace(SMALL, emphasis=mode.label)) for mode in EMPHASES}
    np.testing.assert_array_equal(found["ignore"], pixels())
    np.testing.assert_array_equal(found["none"], pixels(r"a \(red:1.5\) apple"))
    assert not np.array_equal(found["original"], found["no_norm"])
    np.testing.assert_array_equal(found["original"], pixels(prompt))


def test_the_end_of_a_long_prompt_counts() -> None:
    one, other = pixels(LONG), pixels(LONG.replace("blue", "green"))
    assert not np.array_equal(one, other)
    four = pixels(LONG, replace(SMALL, count=2, batch=2))
    np.testing.assert_array_equal(four[:1], one)
    assert pixels(LONG, replace(SMALL, guidance=1.0, negative="")).shape == one.shape
    assert pixels(settings=replace(SMALL, negative=LONG)).shape == one.shape
    assert not np.array_equal(pixels("a red BREAK apple"), pixels())


def test_embeddings_of_one_chunk_keep_their_bits() -> None:
    networks = pipeline().networks
    texts = ["blurry, dark", "a red apple"]
    states = networks.encode_prompts([chunks_of(text) for text in texts], ORIGINAL)
    np.testing.assert_array_equal(states.read(), networks.encode_text(texts).read())


def test_chunks_are_encoded_alone_and_joined() -> None:
    """Forty rows, more than are encoded at once; the shorter prompt gets empty chunks."""
    networks = pipeline().networks
    long = [chunk for number in range(20) for chunk in chunks_of(f"a red apple number {number}")]
    states = networks.encode_prompts([chunks_of("blurry"), long], ORIGINAL).read()
    assert states.shape == (2, 20 * 77, networks.folder.unet.cross_attention_dim)
    texts = ["blurry", "", "a red apple number 0", "a red apple number 19"]
    alone = networks.encode_text(texts).read()
    for row, chunk, text in ((0, 0, 0), (0, 1, 1), (0, 19, 1), (1, 0, 2), (1, 19, 3)):
        np.testing.assert_array_equal(states[row, chunk * 77 : chunk * 77 + 77], alone[text])


def test_weights_multiply_their_tokens_states() -> None:
    networks = pipeline().networks
    plain = networks.encode_text(["a red apple"]).read().astype(np.float32)
    no_norm = EMPHASES.find("no_norm")
    found = networks.encode_prompts([chunks_of("a (red:2) apple")], no_norm).read()
    factors = np.where(np.arange(77) == 2, 2, 1).astype(np.float32)  # start, a, red
    np.testing.assert_array_equal(found, (plain * factors[:, None]).astype(found.dtype))


def test_weights_and_chunks_in_half_precision() -> None:
    device = pipeline().device
    skip_without_f16(device, "f16")
    networks = Pipeline.load(device=device, dtype=f16).networks
    states = networks.encode_prompts([chunks_of("(apple:10) BREAK [red]"), chunks_of("")], ORIGINAL)
    assert (states.dtype, states.shape[1]) == (f16, 154)
    assert np.isfinite(states.read()).all()
    wanted = pipeline().networks.encode_prompts(
        [chunks_of("(apple:10) BREAK [red]"), chunks_of("")], ORIGINAL
    )
    error = np.linalg.norm(states.read().astype(np.float32) - wanted.read())
    assert error < 1e-2 * np.linalg.norm(wanted.read())  # as for the text encoder's goldens


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("emphasis", "strong"),
        ("emphasis", 1),
        ("prompt", "BREAK " * 200),
        ("negative", "a " * 9999),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(field: str, value: object) -> None:
    with pytest.raises(SettingsError, match=field):
        next(pipeline().generate(replace(SMALL, **{field: value})))  # type: ignore[arg-type]


def test_pictures_tell_their_mode_where_it_is_not_the_usual() -> None:
    drawn = replace(SMALL, prompt="a (red:1.5) apple", sampler="euler")
    for emphasis, told in (("original", None), ("no_norm", "No norm"), ("None", "None")):
        text = infotext_from_settings(
            replace(drawn, emphasis=emphasis), 0, "emoji", "0123456789", "Avila"
        )
        found = parse_infotext(text)
        assert found.settings.get("Emphasis") == told
        assert found.prompt == "a (red:1.5) apple"
