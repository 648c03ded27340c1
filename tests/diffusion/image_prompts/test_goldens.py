"""Image encoder, IP-Adapters and whole runs against transformers and diffusers.

Tolerance: 1e-4 relative in f32, as for the UNet alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from diffusion import Pipeline, Settings, Step
from diffusion.checkpoints.image_prompts import open_image_encoder
from diffusion.control import ControlFolder
from diffusion.control.clip_pixels import encoder_pixels
from diffusion.models.image_prompts import ClipVisionModel, cut_patches
from diffusion.models.module import load
from diffusion.pipeline.image_prompts import (
    ImagePromptGraph,
    LoadedImagePrompts,
    PromptRows,
    prompt_units_of,
)
from gpucore import Device, DType, f16, f32
from gpustd import cast
from tests.conftest import skip_without_f16
from tests.diffusion.control.test_goldens import Call
from tests.diffusion.golden_families import networks
from tests.diffusion.image_prompts.golden_prompts import image_prompt, write_encoder
from tests.diffusion.session_folder import session_folder
from tests.goldens import control_cases
from tests.goldens import image_prompt_cases as cases
from tests.goldens.cases import NEGATIVE, PROMPT
from tests.goldens.loader import channels_last, relative_error
from tests.goldens.loader import load as load_golden

TOLERANCE = 1e-4
SIZE = 2 * control_cases.SECOND_SIDE, 2 * control_cases.FIRST_SIDE
"""Width and height in pixels of what a case draws."""


def expected(name: str) -> Any:
    return load_golden("image_prompts")[name]


@pytest.mark.parametrize("index", range(len(cases.IMAGE_SIZES)))
def test_pixels(index: int) -> None:
    found = encoder_pixels(cases.picture(index), cases.VISION["image_size"], "crop")
    assert relative_error(found, expected(f"pixels/{index}").transpose(1, 2, 0)) < 1e-6


@pytest.mark.parametrize("dtype", [f32, f16])
def test_encoder(device: Device, dtype: type[DType]) -> None:
    """f16: 1e-2, that of the UNet's own test."""
    if dtype is f16:
        skip_without_f16(device, "f16")
    opened = open_image_encoder(write_encoder(session_folder("image-encoder")))
    network = ClipVisionModel(opened.config)
    opened.weights.check({name: each.shape for name, each in network.parameters()})
    load(network, opened.weights.read, device, dtype)
    side, patch = opened.config.image_size, opened.config.patch_size
    pixels = [encoder_pixels(cases.picture(n), side, "crop") for n in range(3)]
    patches = device.buffer_from_array(cut_patches(np.stack(pixels), patch), dtype)
    tolerance = TOLERANCE if dtype is f32 else 1e-2
    states, embeds = network(patches), network.embed(patches)
    assert relative_error(cast(states, f32).read(), expected("vision/states")) < tolerance
    assert relative_error(cast(embeds, f32).read(), expected("vision/embeds")) < tolerance


@pytest.mark.parametrize("name", cases.CASES)
def test_calls(device: Device, name: str) -> None:
    case = cases.CASES[name]
    made = networks(device, case.model)
    call = Call(device, made, case.model)
    folder = session_folder("image-prompts")
    prompts = [image_prompt(folder, use, case.model, SIZE) for use in case.uses]
    loaded = LoadedImagePrompts(made, lambda: None).load(prompts, ControlFolder(None))
    units = prompt_units_of(loaded, SIZE, None, hires=False)
    rows = PromptRows(control_cases.IMAGES, control_cases.IMAGES)
    graph = ImagePromptGraph(units, call.latents.shape, rows)
    unet = made.unet
    keys = graph.extend(unet.prompt_keys(call.context), (True,) * len(units))
    added = None if call.vectors is None else unet.embed_added(call.vectors)
    parts = control_cases.PROMPTS
    found = unet(call.latents, call.features, keys, parts=parts, added=added).read()
    assert relative_error(found, channels_last(expected(f"{name}/out"))) < TOLERANCE
    plain = graph.extend(unet.prompt_keys(call.context), (False,) * len(units))
    without = unet(call.latents, call.features, plain, parts=parts, added=added).read()
    assert relative_error(without, channels_last(expected(f"{name}/out"))) > 100 * TOLERANCE


def test_a_run(device: Device) -> None:
    """The negative rows read a picture of zeros, as in diffusers' own pipeline."""
    made = networks(device, cases.RUN.model, changes=(("timestep_spacing", "trailing"),))
    folder = session_folder("image-prompts")
    settings = Settings(
        PROMPT,
        NEGATIVE,
        *SIZE,
        steps=cases.RUN_STEPS,
        guidance=cases.RUN_GUIDANCE,
        sampler="euler",
        schedule="trailing",
        latents=channels_last(control_cases.run_noise()),
        image_prompts=(image_prompt(folder, cases.RUN.uses[0], cases.RUN.model, SIZE),),
    )
    pipeline = Pipeline(made)
    latents = expected("run/latents")
    found = [
        event.noisy_latents() for event in pipeline.generate(settings) if isinstance(event, Step)
    ]
    assert len(found) == len(latents)
    for number, (ours, theirs) in enumerate(zip(found, latents, strict=True)):
        assert relative_error(ours, channels_last(theirs)) < TOLERANCE, f"step {number}"
