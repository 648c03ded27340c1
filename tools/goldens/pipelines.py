"""Whole runs of diffusers' StableDiffusionPipeline on the golden models."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tests.goldens.cases import GUIDANCE, NEGATIVE, PIPELINE_CASES, PROMPT, PipelineCase
from tests.goldens.configs import MODELS
from tools.goldens import sampling
from tools.goldens.networks import Arrays
from tools.goldens.schedules import schedule


def run(pipelines: Mapping[str, Any]) -> Arrays:
    """Run all cases on our lists of levels; `pipelines` by model name."""
    arrays: Arrays = {}
    for case in PIPELINE_CASES:
        given = schedule(case.schedule, case.steps)
        pipeline = pipelines[case.model]
        made = sampling.scheduler(case.sampler, given, pipeline.unet.dtype)
        latents, image = run_case(case, pipeline, made)
        arrays[f"{case.name}/sigmas"] = given.sigmas
        arrays[f"{case.name}/timesteps"] = given.timesteps
        arrays[f"{case.name}/latents"] = latents
        arrays[f"{case.name}/image"] = image
    return arrays


def run_native(pipelines: Mapping[str, Any]) -> Arrays:
    """Run the cases that diffusers can run with its own scheduler; return latents and image."""
    arrays: Arrays = {}
    for case in PIPELINE_CASES:
        native = sampling.native_scheduler(case.sampler, case.schedule)
        if native is not None:
            latents, image = run_case(case, pipelines[case.model], native)
            arrays[f"{case.name}/latents"] = latents
            arrays[f"{case.name}/image"] = image
    return arrays


def run_case(
    case: PipelineCase, pipeline: Any, scheduler: Any
) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """Return x after each step (steps, batch, 4, h, w), and the image (batch, H, W, 3) u8."""
    sigmas = schedule(case.schedule, case.steps).sigmas
    scales = sampling.scale(case.sampler, sigmas)
    noise = torch.from_numpy(case.initial_noise()).to(pipeline.unet.dtype)
    if case.sampler in ("ddim", "dpmpp_2m"):
        noise = noise * float(sigmas[0] / scales[0])
    steps: list[NDArray[Any]] = []

    def collect(_: object, index: int, timestep: object, values: dict[str, Any]) -> dict[str, Any]:
        steps.append(values["latents"].numpy() * scales[index + 1])
        return {}

    pipeline.scheduler = scheduler
    factor = MODELS[case.model].vae_factor
    with sampling.given_noise(case):
        pictures = pipeline(
            PROMPT,
            negative_prompt=NEGATIVE,
            guidance_scale=GUIDANCE,
            num_inference_steps=case.steps,
            num_images_per_prompt=case.batch,
            height=factor * case.height,
            width=factor * case.width,
            eta=case.eta,
            latents=noise,
            output_type="np",
            callback_on_step_end=collect,
        ).images
    return np.stack(steps), np.round(pictures * 255).astype(np.uint8)
