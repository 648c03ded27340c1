"""`python -m tools.goldens.shortcuts`: runs of diffusers with SAG, tomesd and DeepCache.

Makes ``shortcuts.npz`` from `tests/goldens/shortcut_cases.py`: latents after each step, in float64,
stored as f32. It needs ``tomesd`` and ``DeepCache``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tomesd
import torch
from DeepCache import DeepCacheSDHelper
from diffusers import DDIMScheduler, StableDiffusionSAGPipeline
from diffusers.utils.logging import disable_progress_bar
from numpy.typing import NDArray

from tests.goldens.cases import NEGATIVE, PROMPT
from tests.goldens.configs import SCHEDULER
from tests.goldens.loader import FOLDER
from tests.goldens.shortcut_cases import SHORTCUTS, STEPS, Shortcut
from tools.goldens.models import exact, pipeline


def scheduler() -> Any:
    """Return DDIM on trailing time steps, with noise levels in float64."""
    names = ("beta_start", "beta_end", "beta_schedule", "num_train_timesteps", "prediction_type")
    made = DDIMScheduler(
        **{name: SCHEDULER[name] for name in names},
        clip_sample=False,
        set_alpha_to_one=True,
        timestep_spacing="trailing",
    )
    ends = SCHEDULER["beta_start"] ** 0.5, SCHEDULER["beta_end"] ** 0.5  # type: ignore[operator]
    betas = torch.linspace(*ends, 1000, dtype=torch.float64) ** 2
    made.alphas_cumprod = torch.cumprod(1 - betas, 0)
    made.final_alpha_cumprod = torch.tensor(1.0, dtype=torch.float64)
    return made


def run(case: Shortcut) -> NDArray[Any]:
    """Return the latents after each step."""
    made = pipeline(case.model, torch.float64)
    made.scheduler = scheduler()
    more: dict[str, Any] = {}
    helper = None
    if case.sag:
        made = StableDiffusionSAGPipeline(**made.components, requires_safety_checker=False)
        made.set_progress_bar_config(disable=True)
        more["sag_scale"] = case.sag
    if case.ratio:
        tomesd.apply_patch(made, ratio=case.ratio, use_rand=False)
    if case.interval:
        helper = DeepCacheSDHelper(pipe=made)
        helper.set_params(cache_interval=case.interval, cache_branch_id=case.branch)
        helper.enable()
    steps: list[NDArray[Any]] = []
    factor = made.vae_scale_factor
    if case.sag:
        more["callback"] = lambda _i, _t, latents: steps.append(latents.numpy())
    else:

        def collect(_p: Any, _i: int, _t: Any, found: Any) -> Any:
            steps.append(found["latents"].numpy())
            return {}

        more["callback_on_step_end"] = collect
    made(
        PROMPT,
        negative_prompt=NEGATIVE,
        guidance_scale=case.guidance,
        num_inference_steps=STEPS,
        num_images_per_prompt=case.batch,
        height=factor * case.height,
        width=factor * case.width,
        latents=torch.from_numpy(case.noise()).double(),
        output_type="latent",
        **more,
    )
    if helper is not None:
        helper.disable()
    return np.stack(steps)


def write(folder: Path) -> None:
    """Make shortcuts.npz."""
    disable_progress_bar()
    arrays = {}
    with torch.no_grad(), exact():
        for case in SHORTCUTS:
            arrays[case.name] = run(case).astype(np.float32)
    np.savez_compressed(folder / "shortcuts.npz", **arrays)


if __name__ == "__main__":
    write(FOLDER)
