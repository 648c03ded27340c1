"""`python -m tools.goldens.guidance`: runs of diffusers with rescaling, FreeU and PAG.

Makes ``guidance.npz`` from `tests/goldens/guidance_cases.py`: latents after each step, in float64,
stored as f32.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoPipelineForText2Image
from diffusers.utils.logging import disable_progress_bar
from numpy.typing import NDArray

from tests.goldens.cases import PROMPT
from tests.goldens.guidance_cases import GUIDANCE_CASES, GuidanceCase
from tests.goldens.loader import FOLDER
from tools.goldens.families import Owner, pipeline, scheduler
from tools.goldens.models import exact
from tools.goldens.samplers import computing_in


def run(case: GuidanceCase) -> NDArray[Any]:
    """Return the latents after each step."""
    made = pipeline(case.run.model, torch.float64)
    if case.perturbed:
        made = AutoPipelineForText2Image.from_pipe(made, enable_pag=True)
        made.set_progress_bar_config(disable=True)
    made.scheduler = scheduler(case.run.noise, case.run.steps)
    if case.freeu is not None:
        made.enable_freeu(**case.freeu)
    steps: list[NDArray[Any]] = []

    def collect(_: object, index: int, timestep: object, values: dict[str, Any]) -> dict[str, Any]:
        steps.append(values["latents"].numpy())
        return {}

    factor = made.vae_scale_factor
    made(
        PROMPT,
        negative_prompt=case.run.negative,
        guidance_scale=case.run.guidance,
        num_inference_steps=case.run.steps,
        num_images_per_prompt=case.run.batch,
        height=factor * case.run.height,
        width=factor * case.run.width,
        latents=torch.from_numpy(case.run.initial_noise()).to(torch.float64),
        output_type="latent",
        callback_on_step_end=collect,
        **case.call,
    )
    if case.freeu is not None:
        made.disable_freeu()
    return np.stack(steps)


def write(folder: Path) -> None:
    """Make guidance.npz."""
    disable_progress_bar()
    with torch.no_grad(), exact(), computing_in(torch.float64, Owner):
        arrays = {case.name: run(case).astype(np.float32) for case in GUIDANCE_CASES}
    np.savez_compressed(folder / "guidance.npz", **arrays)


if __name__ == "__main__":
    write(FOLDER)
