"""Img2img and inpainting against diffusers' pipelines, step by step, on every engine.

Tolerance: 1e-4 relative in f32, of x after each step and of each step's change. PyTorch in f32 is
up to 5e-6 off the golden float64 values of x.
"""

from __future__ import annotations

import functools

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from diffusion.checkpoints import ModelFolder
from diffusion.noise import Draw
from diffusion.pipeline import passes, sampling
from diffusion.pipeline.calls import answer_alone
from diffusion.pipeline.denoiser import Latents
from diffusion.pipeline.loading import load_networks
from diffusion.pipeline.networks import Networks
from diffusion.pipeline.passes import base_pass
from diffusion.pipeline.run import Run
from diffusion.pipeline.run_cache import RunCache
from diffusion.pipeline.sampling import overflow_watch, sample
from diffusion.pipeline.vae import decode
from diffusion.settings import Defaults, Settings
from diffusion.tasks import InitImage, Inpaint
from diffusion.tasks.blend import Blend
from gpucore import Device, f32
from tests.diffusion.session_folder import session_folder
from tests.goldens.cases import GUIDANCE, NEGATIVE, PROMPT
from tests.goldens.loader import channels_last, load, relative_error
from tests.goldens.task_cases import TASK_CASES, TaskCase, write_task_model

TOLERANCE = 1e-4


@functools.cache
def networks(device: Device, model: str, inpaints: bool) -> Networks:
    case = next(c for c in TASK_CASES if c.model == model and (c.task == "inpaint9") is inpaints)
    folder = session_folder(model)
    write_task_model(folder, case)
    return load_networks(ModelFolder(folder), device, f32)


class GivenNoise:
    """A stand-in for `LatentNoise` of one image that draws the golden case's noise."""

    case: TaskCase

    def __init__(
        self,
        seeds: tuple[int, ...],
        height: int,
        width: int,
        channels: int,
        draw: Draw,
        step_seed_delta: int,
    ) -> None:
        assert step_seed_delta == 0
        assert (height, width) == (self.case.height, self.case.width)
        self.seeds, self.height, self.width, self.channels = seeds, height, width, channels

    def initial(self) -> NDArray[np.float32]:
        return channels_last(self.case.initial_noise())

    def step(self, index: int) -> NDArray[np.float32]:
        return channels_last(self.case.step_noise(index))

    def encoding(self, picture: int = 0) -> NDArray[np.float32]:
        return channels_last(self.case.encoding_noise(picture))


class NoBlend(Blend):
    """A stand-in for `Blend` that blends nothing, as diffusers with a UNet that reads the mask."""

    def __call__(self, x: Latents) -> Latents:
        return x


def settings_of(case: TaskCase) -> Settings:
    mask = Image.fromarray(case.mask())
    inpaint = None if case.task == "img2img" else Inpaint(mask, blur=0.0)
    strength = (case.kept - 0.5) / case.steps
    init_image = InitImage(Image.fromarray(case.picture()), strength, inpaint=inpaint)
    return Settings(
        PROMPT,
        NEGATIVE,
        steps=case.steps,
        guidance=GUIDANCE,
        sampler=case.sampler,
        schedule=case.schedule,
        init_image=init_image,
    ).with_defaults(Defaults(8, 8))


@pytest.mark.parametrize("case", TASK_CASES, ids=lambda case: case.name)
def test_run(device: Device, case: TaskCase, monkeypatch: pytest.MonkeyPatch) -> None:
    golden = load("tasks")
    made = networks(device, case.model, case.task == "inpaint9")
    monkeypatch.setattr(passes, "LatentNoise", GivenNoise)
    monkeypatch.setattr(GivenNoise, "case", case, raising=False)
    if case.task == "inpaint9":
        monkeypatch.setattr(sampling, "Blend", NoBlend)
    run = Run([base_pass(made, RunCache(), settings_of(case))])
    (only,) = run.passes
    assert only.schedule.steps == case.kept
    start = run.first_start((0,))
    assert isinstance(start.latents, np.ndarray)
    first = start.latents + np.float32(only.schedule.noise_scale) * start.unit_noise
    assert relative_error(np.moveaxis(first, -1, 1), golden[f"{case.name}/start"]) < TOLERANCE
    states = [step.x for step in answer_alone(sample(only, start, overflow_watch(only)))]
    actual = [np.moveaxis(state.read(), -1, 1) for state in states]
    check_steps(actual, golden[f"{case.name}/latents"], golden[f"{case.name}/start"])
    ((image, _),) = decode(made, states[-1])
    difference = np.asarray(image).astype(int) - golden[f"{case.name}/image"][0].astype(int)
    assert np.abs(difference).max() <= 1


def check_steps(
    actual: list[NDArray[np.float32]], expected: NDArray[np.float32], start: NDArray[np.float32]
) -> None:
    """Compare x after each step, and the change of each step."""
    before, expected_before = start, start
    for index, (state, golden) in enumerate(zip(actual, expected, strict=True)):
        assert relative_error(state, golden) < TOLERANCE, f"step {index}"
        change, expected_change = state - before, golden - expected_before
        assert relative_error(change, expected_change) < TOLERANCE, f"change of step {index}"
        before, expected_before = state, golden
