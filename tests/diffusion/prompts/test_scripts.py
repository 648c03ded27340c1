"""Prompts that change over the steps or are composed, with the bundled model."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from diffusion import Pipeline, Result, Settings, Step
from diffusion.errors import SettingsError
from diffusion.noise import LatentNoise
from diffusion.pipeline.denoiser import GuidedDenoiser
from diffusion.prompts import EMPHASES, chunk_prompt, chunk_script, read_script
from diffusion.tasks import Hires, InitImage
from diffusion.tasks.guidance_rule import apply_guidance
from diffusion.text.conditioning import Conditioning
from gpucore import Device, DType, f16, f32
from tests.conftest import first_device
from tests.diffusion.bundled_model import pipeline_on

SMALL = Settings("a red apple", "blurry", width=64, height=64, steps=4, guidance=4.0, seed=5)
RED, BLUE = "a red apple", "a blue car"


def pipeline(dtype: type[DType] | None = None) -> Pipeline:
    """Return the pipeline on the first engine: these tests are the same on all."""
    return pipeline_on(first_device(), dtype)


def latents(
    prompt: str, settings: Settings = SMALL, dtype: type[DType] | None = None
) -> list[NDArray[np.float32]]:
    """Return the latents after each step."""
    events = pipeline(dtype).generate(replace(settings, prompt=prompt))
    return [event.latents() for event in events if isinstance(event, Step)]


def pixels(prompt: str, settings: Settings = SMALL) -> NDArray[Any]:
    *_, last = pipeline().generate(replace(settings, prompt=prompt))
    assert isinstance(last, Result)
    return np.stack([np.asarray(image) for image in last.images]).astype(int)


def test_the_first_steps_follow_one_prompt_and_the_rest_the_other() -> None:
    red, both = latents(RED), latents(f"[{RED}:{BLUE}:2]")
    np.testing.assert_array_equal(both[:3], red[:3])
    assert not np.array_equal(both[3], red[3])
    np.testing.assert_array_equal(latents(f"[{RED}:{BLUE}:0]"), latents(BLUE))
    np.testing.assert_array_equal(latents(f"[{RED}:{BLUE}:1.0]"), red)
    np.testing.assert_array_equal(latents(f"[{RED}:{BLUE}:0.5]"), both)
    # A captured network that followed another prompt at the end begins with its own.
    np.testing.assert_array_equal(latents(RED), red)


def conditioning(text: str, negative: str, most: int = 1) -> Conditioning:
    networks, original = pipeline().networks, EMPHASES.find("original")
    prompts = [chunk_prompt("p", each, original, networks.tokenizer) for each in (negative, text)]
    return Conditioning(networks.encode_prompts(prompts, original))


def test_each_step_has_its_own_prompt_as_if_it_were_the_only_one() -> None:
    """Euler's steps by hand, each with a network captured for its prompt alone."""
    settings = replace(SMALL, sampler="euler", schedule="karras", negative="[blurry|dark]")
    networks = pipeline().networks
    run = latents(f"[{RED}|{BLUE}]", settings)
    texts = [(RED, "blurry"), (BLUE, "dark")]
    shape = (1, 8, 8, 4)
    denoisers = [GuidedDenoiser(networks, conditioning(*each), shape, 4.0) for each in texts]
    walked = latents(RED, settings)  # for the levels alone
    assert len(walked) == len(run) == 4
    events = pipeline().generate(replace(settings, prompt=RED))
    sigmas = [event.sigma for event in events if isinstance(event, Step)]
    levels = [networks.noise.sigma_max, *sigmas]
    x = LatentNoise((5,), 8, 8).initial() * np.float32(levels[0])
    for step in range(4):
        denoised = denoisers[(0, 0, 1, 0)[step]](
            networks.device.buffer_from_array(x), levels[step]
        ).read()
        scale = float(np.abs(denoised).max())
        np.testing.assert_allclose(run[step], denoised, rtol=0, atol=2e-4 * scale)
        x = (denoised + levels[step + 1] / levels[step] * (x - denoised)).astype(np.float32)


def test_a_step_of_two_calls_has_two_prompts() -> None:
    """Heun's call k has text max(k, 1): step 0 draws a and a, step 1 b and a, step 2 b."""
    heun = replace(SMALL, sampler="heun", steps=3)
    heard: list[Conditioning] = []
    attend = GuidedDenoiser.attend

    def listen(denoiser: GuidedDenoiser, conditioning: Conditioning) -> None:
        heard.append(conditioning)
        attend(denoiser, conditioning)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GuidedDenoiser, "attend", listen)
        latents(f"[{RED}|{BLUE}]", heun)
    contexts = [each.context.read() for each in heard]
    red, blue = (conditioning(text, "blurry").context.read() for text in (RED, BLUE))
    assert len(contexts) == 4, "calls 0, 2, 3 and 4"
    for found, expected in zip(contexts, (red, blue, red, blue), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_weight_at_the_end_of_the_only_part_counts() -> None:
    """Guidance 4 times 1.5 is guidance 6: the same arithmetic in another order."""
    found = latents(f"{RED} :1.5", dtype=f32)
    expected = latents(RED, replace(SMALL, guidance=6.0), dtype=f32)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3 * np.abs(expected).max())
    assert not np.allclose(latents(RED, dtype=f32), expected, rtol=0, atol=0.01)


def test_a_share_of_the_steps_counts_those_that_a_strength_leaves_out() -> None:
    """Of 8 steps the last 5 are made; half of 8 is call 4, which is the last one."""
    picture = Image.new("RGB", (64, 64), (200, 40, 40))
    half = replace(SMALL, steps=8, init_image=InitImage(picture, strength=0.5))
    red = latents(RED, half)
    assert len(red) == 5
    np.testing.assert_array_equal(latents(f"[{RED}:{BLUE}:0.5]", half), red)
    assert not np.array_equal(latents(f"[{RED}:{BLUE}:3]", half)[4], red[4])


@pytest.mark.parametrize("prompt", [f"{RED} AND {BLUE} :0.4", f"[{RED}|{BLUE}]", "[a:b:2] AND c"])
def test_an_image_does_not_depend_on_its_batch(prompt: str) -> None:
    two = replace(SMALL, count=2)
    together = pixels(prompt, replace(two, batch=2))
    np.testing.assert_array_equal(together, pixels(prompt, replace(two, batch=1)))


def test_parts_add_up() -> None:
    """Weights that sum to 1 over one text, or a part of weight 0, come to the text alone."""
    red = latents(RED, dtype=f32)
    scale = np.abs(red).max()
    for prompt in (f"{RED} :0.5 AND {RED} :0.5", f"{RED} AND {BLUE} :0"):
        found = latents(prompt, dtype=f32)
        # Four terms in f32 in another order, through four steps of guidance 4.
        np.testing.assert_allclose(found, red, rtol=0, atol=1e-3 * scale)
    blend = latents(f"{RED} AND {BLUE}", dtype=f32)
    assert np.abs(blend[-1] - red[-1]).max() > 0.1 * scale


def test_without_guidance_composition_still_has_a_negative_prompt() -> None:
    one = replace(SMALL, guidance=1.0)
    assert not np.array_equal(
        pixels(f"{RED} AND {BLUE}", one),
        pixels(f"{RED} AND {BLUE}", replace(one, negative="dark")),
    )
    plain = pixels(RED, replace(one, negative=""))
    with pytest.warns(UserWarning, match="^negative changes nothing"):
        np.testing.assert_array_equal(pixels(RED, replace(one, negative="dark")), plain)


def test_parts_of_different_lengths_are_filled_up() -> None:
    long = "a red apple, " * 30
    assert pixels(f"[{RED}:{long}:2] AND {BLUE}").shape == pixels(RED).shape


def test_with_mode_none_all_is_text() -> None:
    none = replace(SMALL, emphasis="none")
    assert not np.array_equal(pixels(f"[{RED}:{BLUE}:0]", none), pixels(BLUE, none))
    np.testing.assert_array_equal(pixels(f"# {RED}"), pixels(""))


@pytest.mark.parametrize("weights", [(1.0,), (2.0,), (1.0, 0.5), (0.3, -1.0, 2.0, 0.0, 1.0)])
@pytest.mark.parametrize("scale", [0.0, 1.0, 7.5])
def test_mixing(device: Device, weights: tuple[float, ...], scale: float) -> None:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((2 * (1 + len(weights)), 3, 5, 4)).astype(np.float32)
    free, *parts = rows.astype(np.float64).reshape(-1, 2, 3, 5, 4)
    expected = free + scale * sum(w * (c - free) for w, c in zip(weights, parts, strict=True))
    found = apply_guidance(device.buffer_from_array(rows), scale, weights).read()
    # Each term is rounded, and each sum: 7 terms of up to 4 · 7.5 · 4.3.
    np.testing.assert_allclose(found, expected, rtol=0, atol=7 * 2**-24 * 130)
    if device.has_f16:
        rows_f16 = device.buffer_from_array(rows.astype(np.float16), f16)
        half = apply_guidance(rows_f16, scale, weights).read()
        np.testing.assert_allclose(half, expected, rtol=2e-2, atol=0.15)


def test_split_gives_both_parts() -> None:
    networks = pipeline().networks
    x = networks.device.buffer_from_array(
        np.random.default_rng(1).standard_normal((1, 8, 8, 4)).astype(np.float32) * 5
    )
    denoiser = GuidedDenoiser(networks, conditioning(RED, "blurry"), (1, 8, 8, 4), 4.0)
    guided, free = (each.read() for each in denoiser.split(x, 5.0))
    np.testing.assert_array_equal(guided, denoiser(x, 5.0).read())
    alone = []
    for text in ("blurry", RED):
        rows = conditioning(text, "").context.read()[1:]
        single = Conditioning(networks.device.buffer_from_array(rows, networks.dtype))
        alone.append(GuidedDenoiser(networks, single, (1, 8, 8, 4), None)(x, 5.0).read())
    np.testing.assert_allclose(free, alone[0], rtol=0, atol=1e-4 * np.abs(free).max())
    expected = alone[0] + 4 * (alone[1] - alone[0])
    np.testing.assert_allclose(guided, expected, rtol=0, atol=1e-3 * np.abs(expected).max())


def test_scripts_of_too_many_chunks_are_refused() -> None:
    networks, original = pipeline().networks, EMPHASES.find("original")
    text = "[" + "|".join("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") + "]"
    made = read_script(text + " BREAK" * 100, None, 1000)
    with pytest.raises(SettingsError, match="more than 4096 chunks"):
        chunk_script(made, original, networks.tokenizer)


def test_scripts_of_too_many_chunks_are_refused_at_once() -> None:
    """After one variant, not after all of them."""
    read: list[str] = []

    class Tokens:
        capacity, comma = 75, None

        def tokens(self, text: str) -> list[int]:
            read.append(text)
            return [1] * len(text)

    made = read_script("a" * 9000 + "[" + "|".join(map(str, range(200))) + "]", None, 1000)
    with pytest.raises(SettingsError, match="more than 4096 chunks"):
        chunk_script(made, EMPHASES.find("original"), Tokens())
    assert len(read) == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"prompt": " AND ".join("a" * 20)}, "prompt"),
        (
            {"negative": "".join(f"[{'|'.join('x' * n)}]" for n in (7, 11, 13)), "steps": 900},
            "nega",
        ),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(change: dict[str, Any], field: str) -> None:
    with pytest.raises(SettingsError, match=field):
        next(pipeline().generate(replace(SMALL, **change)))


def test_a_second_pass_goes_on_where_the_first_ended() -> None:
    """At 1.5 the second pass is half done: up to call 1 of 3 both prompts draw alike."""
    base = replace(SMALL, steps=2, hires=Hires(1.5, "lanczos", 0.6, 3))
    plain, changed = latents(RED, base), latents(f"[{RED}:{BLUE}:1.5]", base)
    assert len(plain) == len(changed) == 5
    for step in range(4):
        np.testing.assert_array_equal(changed[step], plain[step])
    assert not np.array_equal(changed[4], plain[4])
    np.testing.assert_array_equal(latents(f"[{RED}:{BLUE}:3]", base)[4], changed[4])
