"""Base and refiner: one model draws, a second one takes the last steps (Podell et al. 2023).

Both see the same latents on the same noise levels (arXiv 2307.01952, section 2.5).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from diffusion.checks import check_number
from diffusion.errors import SettingsError
from diffusion.noise import LatentNoise
from diffusion.pipeline.denoiser import Latents
from diffusion.pipeline.pipeline import Event, Pipeline, Result, Stage, Step
from diffusion.pipeline.run import Run, Start
from diffusion.pipeline.vae import Decoded, decode
from diffusion.settings import Settings

__all__ = ["SWITCH", "refine"]

SWITCH = 0.8
"""Share of the steps that the base makes, as its makers chose."""


@dataclass(frozen=True)
class LaterNoise(LatentNoise):
    """The noise of a run whose first ``done`` steps are made."""

    done: int = 0

    def step(self, index: int) -> NDArray[np.float32]:
        """The noise of step ``index`` after those."""
        return super().step(self.done + index)


def refine(
    base: Pipeline, refiner: Pipeline, settings: Settings, switch: float = SWITCH
) -> Iterator[Event]:
    """Make pictures as `Pipeline.generate` does, the refiner making the last steps.

    ``base`` makes the first ``switch`` (0 to 1) of the steps, to the nearest whole one; its
    defaults count. Of a picture to start from, the steps are those that its strength leaves. A
    sampler that remembers steps starts anew at the switch. Raises `SettingsError`, before any work,
    where the models do not go together or for settings with a second pass.
    """
    full = settings.filled(base.defaults)
    check_number("switch", switch, 0, 1)
    both = [(each, each.run(full)) for each in (base, refiner)]
    _check(both, full)
    first, second = (run for _, run in both)
    total = first.first.walk.steps
    cut = round(switch * total)
    if 0 < switch < 1 and cut in (0, total):
        message = f"switch leaves the {'refiner' if cut else 'base'} none of {total} steps"
        warnings.warn(message, UserWarning, stacklevel=2)
    _share(first, second, cut)
    taken = [run for _, run in both if run.first.walk.steps]
    yield Stage("encoding prompt")
    for run in taken:
        run.conditioning(run.first)
    done, images = 0, list[Decoded]()
    every = total * len(list(first.batches()))
    for numbers in first.batches():
        if first.canvas:
            yield Stage("encoding picture")
        start = first.begin(numbers)
        yield Stage("preparing")
        for run in taken:
            watch = run.watch(run.first)
            behind = run.networks, watch, full.vae_tiling
            with closing(run.steps(run.first, start, watch)) as steps:
                for step in steps:
                    done += 1
                    yield Step(done, every, step.sigma, numbers, step.denoised, *behind)
            if run is not taken[-1]:
                watch.check()
                start = _handed_over(start, step.x, cut, second)
        yield Stage("decoding")
        decoding = decode(taken[-1].networks, step.x, full.vae_tiling)
        watch.check()
        for drawn, layer in decoding:
            images.append(Decoded(first.canvas.finished(drawn) if first.canvas else drawn, layer))
    yield Result.of(images, first, full)


def _share(base: Run, refiner: Run, cut: int) -> None:
    """Leave the base the first ``cut`` steps and the refiner the rest, prompts included."""
    whole, script = refiner.first.walk, refiner.first.script
    base.first = replace(base.first, walk=base.first.walk.first(cut))
    if cut:
        later = replace(
            script, step_variants=script.step_variants[cut:] or script.step_variants[-1:]
        )
        walk = whole.last(whole.steps - cut)
        refiner.first = replace(refiner.first, walk=walk, script=later)


def _handed_over(start: Start, latents: Latents, done: int, refiner: Run) -> Start:
    """The refiner's start: the base's latents, whose noise is still in them.

    Of a masked picture they are split into its old latents, which the refiner mixes in as the base
    did, and what is beside them.
    """
    noise, old = start.noise, start.latents
    later = LaterNoise(noise.seeds, noise.height, noise.width, noise.channels, noise.draw, done)
    if refiner.canvas is not None and refiner.canvas.mask is not None:
        assert isinstance(old, np.ndarray)
        beside = (latents.read() - old) / np.float32(refiner.first.walk.start)
        return Start(later, beside, old)
    return Start(later, np.zeros_like(start.drawn), latents)


def _check(both: list[tuple[Pipeline, Run]], settings: Settings) -> None:
    """Raise `SettingsError` where they do not go together."""
    (base, first), (refiner, second) = both
    walk = first.first.walk
    if walk.sampler.adaptive or walk.made != walk.steps:
        raise SettingsError("sampler", walk.sampler.name, "it chooses its own steps")
    hint = "give a refiner that was made for the base"
    scales = [each.networks.folder.vae.scaling_factor for each in (base, refiner)]
    ours, theirs = walk.sigmas, second.first.walk.sigmas
    same = ours.shape == theirs.shape and np.allclose(ours, theirs, rtol=1e-6)
    reasons = {
        "not with a second pass": settings.hires,
        "load both models on one device": base.device is not refiner.device,
        f"its latents are scaled otherwise; {hint}": scales[0] != scales[1],
        f"its noise levels differ; {hint}": not same,
    }
    for reason, found in reasons.items():
        if found:
            raise SettingsError("refiner", refiner.model_name, reason)
