"""Pictures with the golden models beyond SD 1.x, and the special features of each family."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from diffusion import Pipeline, Result, Settings, Step
from diffusion.errors import SettingsError
from diffusion.prompts import EMPHASES, chunk_prompt
from diffusion.text.conditioning import Sizes
from diffusion.text.tokenizer import ClipTokenizer
from gpucore import Device, f16, f32
from tests.conftest import skip_without_f16
from tests.diffusion.checkpoints.small_folder import edit_json
from tests.diffusion.session_folder import session_folder
from tests.goldens.families import FAMILIES
from tests.goldens.family_folders import write_family

WHOLE = [name for name, family in FAMILIES.items() if family.pipeline]
SMALL = Settings("a red apple", width=16, height=24, steps=2, guidance=4.0, sampler="euler", seed=5)


@functools.cache
def pipeline(device: Device, model: str) -> Pipeline:
    folder = write_family(session_folder(model), model)
    return Pipeline.load(folder, device)


def pixels(pipeline: Pipeline, **changes: Any) -> NDArray[Any]:
    """Return all images of a run."""
    *_, last = pipeline.generate(dataclasses.replace(SMALL, **changes))
    assert isinstance(last, Result)
    return np.stack([np.asarray(image) for image in last.images])


@pytest.mark.parametrize("model", WHOLE)
def test_an_image_does_not_depend_on_its_batch(device: Device, model: str) -> None:
    made = pipeline(device, model)
    together = pixels(made, count=3, batch=3)
    assert together.shape == (3, 24, 16, 3)
    np.testing.assert_array_equal(together, pixels(made, count=3, batch=2))
    np.testing.assert_array_equal(together[1:2], pixels(made, seed=6))
    assert not np.array_equal(together[0], together[1])


@pytest.mark.parametrize("model", WHOLE)
def test_guidance(device: Device, model: str) -> None:
    """At 1 and below there is none, and a negative prompt changes nothing but gives a warning."""
    made = pipeline(device, model)
    none = pixels(made, guidance=1.0)
    guided = pixels(made)
    assert not np.array_equal(guided, none)
    embeds = made.networks.embeds_guidance
    np.testing.assert_array_equal(pixels(made, guidance=0.0), none)
    with pytest.warns(UserWarning, match="^negative changes nothing"):
        np.testing.assert_array_equal(pixels(made, guidance=1.0, negative="blurry"), none)
    idle = pytest.warns(UserWarning, match="^negative changes nothing: this model takes none")
    with idle if embeds else contextlib.nullcontext():
        assert np.array_equal(pixels(made, negative="blurry"), guided) is embeds


def test_xl_models_see_sizes(device: Device) -> None:
    """Other sizes give another conditioning; the refiner reads a score instead."""
    for model in ("xl_base", "xl_refiner"):
        networks = pipeline(device, model).networks
        emphasis = EMPHASES.find("original")
        prompt = [chunk_prompt("prompt", "a red apple", emphasis, networks.tokenizer)]
        plain = Sizes.of(64, 64)
        other = dataclasses.replace(plain, target=(128, 64))
        scored = dataclasses.replace(plain, score=7.0)
        added = [
            networks.encode_conditioning(prompt, emphasis, s).added for s in (plain, other, scored)
        ]
        first, target, score = (each.read() for each in added if each is not None)
        assert np.array_equal(first, target) is (model == "xl_refiner")
        assert np.array_equal(first, score) is (model == "xl_base")


def test_long_and_weighted_prompts(device: Device) -> None:
    made = pipeline(device, "xl_base")
    base = pixels(made)
    long = pixels(made, prompt="a red apple " * 40)
    assert not np.array_equal(long, base)
    np.testing.assert_array_equal(pixels(made, prompt="a red apple " * 40, count=2)[:1], long)
    assert not np.array_equal(pixels(made, prompt="a (red:1.4) apple"), base)


def test_the_vae_of_an_xl_model_computes_in_f32(device: Device) -> None:
    """Its config says that its activations overflow f16."""
    skip_without_f16(device, "f16")
    folder = pipeline(device, "xl_base").networks.folder.path
    half = Pipeline.load(folder, device, dtype=f16)
    assert (half.networks.dtype, half.networks.vae_dtype) == (f16, f32)
    single = pixels(pipeline(device, "xl_base"), guidance=1.0).astype(int)
    # f16 in the UNet's two calls: a percent of the latents, a few grey levels.
    assert np.abs(pixels(half, guidance=1.0) - single).max() <= 8


def test_a_consistency_model_has_defaults_of_its_own(device: Device) -> None:
    defaults = pipeline(device, "consistency").defaults
    assert (defaults.steps, defaults.sampler) == (4, "lcm")
    assert pipeline(device, "sd2").defaults.sampler != "lcm"
    events = list(pipeline(device, "consistency").generate(Settings("a cat", seed=3)))
    assert isinstance(events[-1], Result)
    assert events[-1].settings.steps == 4


def test_noise_that_ends_without_signal(device: Device, tmp_path: Path) -> None:
    """The option is the same as the folder's config, and changes no other picture."""
    made = pipeline(device, "sd2")
    before = pixels(made)
    chosen = pixels(made, zero_snr=True)
    np.testing.assert_array_equal(pixels(made), before)
    assert not np.array_equal(chosen, before)
    edit_json(
        write_family(tmp_path, "sd2"),
        "scheduler/scheduler_config.json",
        rescale_betas_zero_snr=True,
    )
    rescaled = Pipeline.load(tmp_path, device)
    np.testing.assert_array_equal(pixels(rescaled), chosen)
    with pytest.raises(SettingsError, match="the model's noise ends so already"):
        next(rescaled.generate(dataclasses.replace(SMALL, zero_snr=True)))
    made.release()
    np.testing.assert_array_equal(pixels(made, zero_snr=True), chosen)


def test_searched_levels_are_the_models_own(device: Device) -> None:
    seconds = []
    for model in ("sd2", "xl_base", "xl_refiner"):
        settings = dataclasses.replace(SMALL, steps=10, schedule="align_your_steps_10")
        first = next(
            event for event in pipeline(device, model).generate(settings) if isinstance(event, Step)
        )
        seconds.append(first.sigma)
    assert seconds == pytest.approx([6.475, 6.315, 6.315])


def test_the_hash_of_split_weights_is_of_the_weights(device: Device, tmp_path: Path) -> None:
    """Two models with the same index have different hashes, and split weights draw the same."""
    stem = "diffusion_pytorch_model"
    folder = write_family(tmp_path, "sd2")
    whole = folder / "unet" / f"{stem}.safetensors"
    weights = load_file(whole)
    whole.unlink()
    names = sorted(weights)
    halves = {f"{stem}-0000{i}-of-00002.safetensors": names[i - 1 :: 2] for i in (1, 2)}
    places = {name: shard for shard, names_in_shard in halves.items() for name in names_in_shard}
    index = json.dumps({"metadata": {}, "weight_map": places})
    (folder / "unet" / f"{stem}.safetensors.index.json").write_text(index)
    hashes = []
    for factor in (1.0, 0.5):
        for shard, names_in_shard in halves.items():
            save_file(
                {name: factor * weights[name] for name in names_in_shard}, folder / "unet" / shard
            )
        made = Pipeline.load(folder, device)
        hashes.append(made.model_hash)
        same = np.array_equal(pixels(made), pixels(pipeline(device, "sd2")))
        assert same is (factor == 1.0)
    joined = b"".join((folder / "unet" / shard).read_bytes() for shard in halves)
    assert hashes[1] == hashlib.sha256(joined).hexdigest()[:10]
    assert hashes[0] != hashes[1]


class MoreWords:
    """A tokenizer with a word that stands for three rows beyond its vocabulary."""

    def __init__(self, tokenizer: ClipTokenizer, rows: int) -> None:
        self._tokenizer = tokenizer
        self._ids = [rows, rows + 1, rows + 2]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tokenizer, name)

    def tokens(self, text: str) -> list[int]:
        """Return the tokenizer's own tokens, and the three for each `zebra`."""
        first, *rest = map(self._tokenizer.tokens, text.split("zebra"))
        return first + [each for part in rest for each in (*self._ids, *part)]


def test_a_prompt_has_a_place_for_learned_embeddings(device: Device) -> None:
    """Textual inversion: rows added to the table of tokens, and a tokenizer that knows their word.

    Nothing between the two needs to change; other prompts are the same to the bit.
    """
    made = Pipeline.load(pipeline(device, "sd2").networks.folder.path, device)
    plain = {prompt: pixels(made, prompt=prompt) for prompt in ("an apple", "a (zebra:1.2) apple")}
    encoder = made.networks.text.encoders[0]
    table = encoder.network.text_model.embeddings.token_embedding.weight
    words = table.parts[0].read()
    learned = np.full((3, words.shape[1]), 0.3, words.dtype)
    table.fill(np.concatenate([words, learned]), device, made.networks.dtype)
    knowing: Any = MoreWords(encoder.tokenizer, len(words))
    text = dataclasses.replace(
        made.networks.text, encoders=(dataclasses.replace(encoder, tokenizer=knowing),)
    )
    more = Pipeline(dataclasses.replace(made.networks, text=text))
    found = {prompt: pixels(more, prompt=prompt) for prompt in plain}
    np.testing.assert_array_equal(found["an apple"], plain["an apple"])
    assert not np.array_equal(found["a (zebra:1.2) apple"], plain["a (zebra:1.2) apple"])
