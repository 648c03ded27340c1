"""SD 2.x, SDXL, refiner, turbo, consistency and inpainting models against diffusers."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from diffusion.models.module import load as load_weights
from diffusion.models.unet import UNet, guidance_features, size_features, time_features
from diffusion.models.unet_config import UNetConfig
from diffusion.pipeline.denoiser import BufferAlgebra, GuidedDenoiser
from diffusion.pipeline.networks import Networks
from diffusion.pipeline.pipeline import Pipeline
from diffusion.prompts import EMPHASES, Chunk, chunk_prompt
from diffusion.samplers import SAMPLERS, SamplerOptions
from diffusion.schedules import SCHEDULES
from diffusion.text.conditioning import Sizes
from gpucore import ArgumentError, Buffer, Device, DType, f16, f32
from gpustd import concat, linear_combination
from tests.conftest import skip_without_f16
from tests.diffusion.golden_families import networks, networks_for_run
from tests.goldens import family_folders
from tests.goldens.cases import PROMPT
from tests.goldens.families import (
    FAMILIES,
    RUN_CASES,
    TEXT_CASES,
    UNET_CASES,
    WITH_UNET,
    RunCase,
    TextCase,
    UNetCase,
)
from tests.goldens.loader import channels_last, load, relative_error

TOLERANCE: dict[type[DType], float] = {f32: 1e-4, f16: 1e-2}
DTYPES = pytest.mark.parametrize("dtype", [f32, f16], ids=lambda d: d.name)
SCHEDULE_NAMES = {"leading": "leading", "linspace": "uniform", "trailing": "trailing"}


def need(device: Device, dtype: type[DType]) -> None:
    skip_without_f16(device, dtype.name)


@functools.cache
def unet_on(device: Device, model: str, dtype: type[DType]) -> tuple[UNet, UNetConfig]:
    config = UNetConfig.from_json(family_folders.config(model, "unet"), Path(model))
    made = UNet(config)
    weights = family_folders.parameters(model, "unet")
    assert {name: p.shape for name, p in made.parameters()} == {
        name: array.shape for name, array in weights.items()
    }
    load_weights(made, weights.__getitem__, device, dtype)
    return made, config


@DTYPES
@pytest.mark.parametrize("case", UNET_CASES, ids=lambda case: case.name)
def test_unet(device: Device, case: UNetCase, dtype: type[DType]) -> None:
    need(device, dtype)
    made, config = unet_on(device, case.model, dtype)

    def up(array: NDArray[Any]) -> Buffer[Any]:
        return device.buffer_from_array(array, dtype)

    added = condition = None
    pooled = case.pooled()
    if pooled is not None:
        sizes = np.tile(size_features(case.sizes(), config), (case.batch, 1))
        added = made.embed_added(concat([up(pooled), up(sizes)], 1))
    if config.time_cond_proj_dim:
        condition = up(np.tile(guidance_features(case.guidance, config), (case.batch, 1)))
    output = made(
        up(channels_last(case.latents())),
        up(time_features([case.timestep] * case.batch, config)),
        made.prompt_keys(up(case.text())),
        added=added,
        guidance=condition,
    ).read()
    assert relative_error(output, channels_last(load("families")[case.name])) < TOLERANCE[dtype]


def chunk_text(made: Networks, text: str) -> list[Chunk]:
    return chunk_prompt("prompt", text, EMPHASES.find("original"), made.tokenizer)


@DTYPES
@pytest.mark.parametrize("case", TEXT_CASES, ids=lambda case: case.name)
def test_text(device: Device, case: TextCase, dtype: type[DType]) -> None:
    need(device, dtype)
    made = networks(device, case.model, dtype)
    prompts = [chunk_text(made, case.negative or ""), chunk_text(made, PROMPT)]
    context, pooled = made.text.encode_prompts(
        prompts, EMPHASES.find("original"), case.clip_skip or 0
    )
    golden = load("families")
    expected = golden[f"{case.name}/context"]
    # diffusers skips layers for the prompt alone; here, as in the WebUI, for both.
    first = 1 if case.clip_skip else 0
    if made.folder.zeros_for_empty_prompt and case.negative is None:
        # The pipeline has zeros there; `test_no_negative_prompt_is_zeros` tests ours.
        assert not expected[0].any()
        first = 1
    assert relative_error(context.read()[first:], expected[first:]) < TOLERANCE[dtype]
    assert (pooled is not None) is made.folder.is_xl
    if pooled is not None:
        expected = golden[f"{case.name}/pooled"]
        assert relative_error(pooled.read()[first:], expected[first:]) < TOLERANCE[dtype]


def run(device: Device, case: RunCase) -> tuple[NDArray[Any], list[NDArray[Any]]]:
    """Return latents after each step (steps, batch, 4, h, w), and the images."""
    made = networks_for_run(device, case)
    factor = made.folder.vae.downscale
    guided = case.guidance > 1 and not made.embeds_guidance
    texts = [case.negative or "", PROMPT] if guided else [PROMPT]
    conditioning = made.encode_conditioning(
        [chunk_text(made, text) for text in texts],
        EMPHASES.find("original"),
        Sizes.of(factor * case.height, factor * case.width),
        guidance=case.guidance,
    ).for_batch(case.batch)
    schedule = SCHEDULES.find(SCHEDULE_NAMES[made.noise.timestep_spacing])
    sigmas = schedule.sigmas(made.noise, case.steps)
    golden = load("families")[f"{case.name}/sigmas"]
    np.testing.assert_allclose(sigmas, golden, rtol=1e-9)
    first = float(sigmas[case.skipped])
    scale = first if case.skipped else schedule.initial_scale(first)
    shape = (case.batch, case.height, case.width, 4)
    denoiser = GuidedDenoiser(made, conditioning, shape, case.guidance if guided else None)
    start = device.buffer_from_array(channels_last(case.initial_noise()))
    steps = SAMPLERS.find("euler").run(
        denoiser,
        linear_combination([(scale, start)]),
        sigmas[case.skipped :],
        BufferAlgebra(),
        lambda _: start,
        SamplerOptions(),
    )
    states = [step.x for step in steps]
    images = Pipeline(made).decode(states[-1])
    denoiser.release()
    latents = np.stack([np.moveaxis(state.read(), -1, 1) for state in states])
    return latents, [np.asarray(image) for image in images]


@pytest.mark.parametrize("case", RUN_CASES, ids=lambda case: case.name)
def test_run(device: Device, case: RunCase) -> None:
    latents, images = run(device, case)
    golden = load("families")
    expected = golden[f"{case.name}/latents"]
    assert latents.shape == expected.shape
    for index, (actual, golden_state) in enumerate(zip(latents, expected, strict=True)):
        assert relative_error(actual, golden_state) < TOLERANCE[f32], f"step {index}"
    difference = np.stack(images).astype(int) - golden[f"{case.name}/image"].astype(int)
    assert np.abs(difference).max() <= 1


def test_no_negative_prompt_is_zeros(device: Device) -> None:
    """An XL model that asks for it gets zeros; "blurry", a single prompt and the refiner do not."""
    sizes, original = Sizes.of(64, 64), EMPHASES.find("original")
    made = networks(device, "xl_base")
    empty, blurry, prompt = (chunk_text(made, text) for text in ("", "blurry", PROMPT))
    plain = made.encode_prompts([empty, prompt], original).read()
    zeroed = made.encode_conditioning([empty, prompt], original, sizes).context.read()
    assert not zeroed[0].any()
    np.testing.assert_array_equal(zeroed[1], plain[1])
    assert made.encode_conditioning([blurry, prompt], original, sizes).context.read()[0].any()
    assert made.encode_conditioning([empty], original, sizes).context.read().any()
    refiner = networks(device, "xl_refiner")
    assert refiner.encode_conditioning([empty, prompt], original, sizes).context.read()[0].any()


def test_inputs_of_other_models_are_refused(device: Device) -> None:
    plain, _ = unet_on(device, "inpaint", f32)
    with pytest.raises(ArgumentError, match="takes no pooled text"):
        plain.embed_added(device.buffer(f32, (1, 8)))
    for model, match in (("xl_base", "`added` must be"), ("consistency", "`guidance` must be")):
        made, config = unet_on(device, model, f32)
        features = device.buffer_from_array(time_features([1.0], config))
        with pytest.raises(ArgumentError, match=match):
            made(device.buffer(f32, (1, 8, 8, 4)), features, {})


def test_every_family_has_cases() -> None:
    assert {case.model for case in UNET_CASES} == set(WITH_UNET)
    complete = {name for name, family in FAMILIES.items() if family.pipeline}
    assert {case.model for case in RUN_CASES} == complete
