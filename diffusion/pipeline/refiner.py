"""Base and refiner: one model draws, a second one takes the last steps (Podell et al. 2023).

Both see the same latents on the same noise levels (arXiv 2307.01952, section 2.5).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from diffusion.checks import check_number
from diffusion.errors import SettingsError
from diffusion.pipeline.events import Event
from diffusion.pipeline.passes import Pass, split_passes
from diffusion.pipeline.pipeline import Pipeline
from diffusion.pipeline.run import Run
from diffusion.pipeline.run_queue import queue_of
from diffusion.settings import Settings

__all__ = ["SWITCH", "refine"]

SWITCH = 0.8
"""Share of the steps that the base makes, as its authors chose."""


def refine(
    base: Pipeline, refiner: Pipeline, settings: Settings, switch: float = SWITCH
) -> Iterator[Event]:
    """Make pictures as `Pipeline.generate` does, the refiner making the last steps.

    ``base`` makes the first ``switch`` (0 to 1) of the steps, to the nearest whole one; its
    defaults count. With an init image, the steps are those that its strength leaves. A sampler that
    remembers steps starts anew at the switch. Raises `SettingsError`, before any work, where the
    models do not go together, or for settings with a hires pass.
    """
    complete = settings.with_defaults(base.defaults)
    check_number("switch", switch, 0, 1)
    if complete.hires is not None:
        raise SettingsError("refiner", refiner.model_name, "hires fix does not go with a refiner")
    queue = queue_of(base.device)
    with queue.turn:
        second = refiner.passes(replace(complete, controls=(), image_prompts=()))[0]
        passes = base.passes_with_loras(complete)[0], second
    _check_pair(base, refiner, *passes)
    steps = passes[0].schedule.steps
    base_steps = round(switch * steps)
    if 0 < switch < 1 and base_steps in (0, steps):
        idle = "refiner" if base_steps else "base"
        message = f"switch leaves the {idle} none of {steps} steps"
        warnings.warn(message, UserWarning, stacklevel=2)
    run = Run(split_passes(*passes, base_steps), reads_loras=bool(base.loras.folder))
    without = replace(complete, prompt="", loras=())
    yield from queue.events(
        lambda: base.loras.events(
            complete,
            run.passes,
            lambda: refiner.loras.events(without, run.passes, run.events),
        )
    )


def _check_pair(base: Pipeline, refiner: Pipeline, first: Pass, second: Pass) -> None:
    """Raise `SettingsError` where two models, and their passes, do not go together."""
    schedule = first.schedule
    if schedule.sampler.adaptive or schedule.steps_made != schedule.steps:
        raise SettingsError(
            "sampler",
            schedule.sampler.name,
            "it chooses its own steps; give another one with a refiner",
        )
    hint = "give a refiner that was made for the base"
    scales = [each.networks.folder.vae.scaling_factor for each in (base, refiner)]
    ours, theirs = schedule.sigmas, second.schedule.sigmas
    same_levels = ours.shape == theirs.shape and np.allclose(ours, theirs, rtol=1e-6)
    reasons = {
        "load both models on one device": base.device is not refiner.device,
        f"its latents are scaled otherwise; {hint}": scales[0] != scales[1],
        f"its noise levels differ; {hint}": not same_levels,
    }
    for reason, found in reasons.items():
        if found:
            raise SettingsError("refiner", refiner.model_name, reason)
