"""Whole runs against diffusers: latents after every step, and the image, on every engine."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from diffusion.pipeline.denoiser import BufferAlgebra, GuidedDenoiser, Latents
from diffusion.pipeline.pipeline import Pipeline
from diffusion.samplers import SAMPLERS, SamplerOptions
from diffusion.schedules import SCHEDULES
from diffusion.text.conditioning import Conditioning
from gpucore import Device
from gpustd import concat, linear_combination, repeat_batch, slice_axis
from tests.diffusion.golden_models import networks
from tests.goldens.cases import GUIDANCE, NEGATIVE, PIPELINE_CASES, PROMPT, PipelineCase
from tests.goldens.loader import channels_last, load, relative_error

TOLERANCE = 1e-4
"""Relative, in f32. The last step's change is a thousandth of x, hence twice that for it."""


def noise_of(device: Device, case: PipelineCase) -> Callable[[int], Latents]:
    def draw(step: int) -> Latents:
        return device.buffer_from_array(channels_last(case.step_noise(step)))

    return draw


def run(device: Device, case: PipelineCase) -> tuple[list[np.ndarray], list[np.ndarray]]:  # type: ignore[type-arg]
    """Return latents after each step, and the images."""
    made = networks(device, case.model)
    text = made.encode_text([NEGATIVE, PROMPT])
    rows = [repeat_batch(slice_axis(text, 0, i, i + 1), case.batch) for i in range(2)]
    shape = (case.batch, case.height, case.width, 4)
    denoiser = GuidedDenoiser(made, Conditioning(concat(rows, 0)), shape, GUIDANCE)
    sigmas = SCHEDULES.find(case.schedule).sigmas(made.noise, case.steps)
    np.testing.assert_allclose(sigmas, load("pipeline")[f"{case.name}/sigmas"], rtol=1e-9)
    start = device.buffer_from_array(channels_last(case.initial_noise()))
    steps = SAMPLERS.find(case.sampler).run(
        denoiser,
        linear_combination([(float(sigmas[0]), start)]),
        sigmas,
        BufferAlgebra(),
        noise_of(device, case),
        SamplerOptions(eta=None if case.sampler == "euler_a" else case.eta),
    )
    states = [step.x for step in steps]
    images = Pipeline(made).decode(states[-1])
    denoiser.release()
    return [state.read() for state in states], [np.asarray(image) for image in images]


@pytest.mark.parametrize("case", PIPELINE_CASES, ids=lambda case: case.name)
def test_run(device: Device, case: PipelineCase) -> None:
    golden = load("pipeline")
    states, images = run(device, case)
    expected = golden[f"{case.name}/latents"]
    latents = np.stack([np.moveaxis(state, -1, 1) for state in states])
    for index, state in enumerate(latents):
        assert relative_error(state, expected[index]) < TOLERANCE, f"step {index}"
    first = float(golden[f"{case.name}/sigmas"][0])
    changes, golden_changes = case.changes(latents, first), case.changes(expected, first)
    for index in range(case.steps):
        allowed = TOLERANCE * (2 if index == case.steps - 1 else 1)
        assert relative_error(changes[index], golden_changes[index]) < allowed, (
            f"change of step {index}"
        )
    difference = np.stack(images).astype(int) - golden[f"{case.name}/image"].astype(int)
    assert np.abs(difference).max() <= 1
