"""Pictures that several models draw: a refiner takes the last steps, or another one the hires pass.

Base and refiner see the same latents on the same noise levels (Podell et al. 2023, arXiv
2307.01952, section 2.5). A model of its own for hires fix is what the WebUI calls its checkpoint.
"""

from __future__ import annotations

import gc
import logging
import traceback
import warnings
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from diffusion.checks import check_number
from diffusion.errors import SettingsError
from diffusion.pipeline.calls import Reading, WithCalls
from diffusion.pipeline.events import Event
from diffusion.pipeline.memory import (
    MemoryBudget,
    PlacedPair,
    find_fitting,
    traced_device,
    with_tiles,
)
from diffusion.pipeline.passes import Pass, split_passes
from diffusion.pipeline.pipeline import Pipeline
from diffusion.pipeline.run import Run
from diffusion.pipeline.run_queue import queue_of
from diffusion.settings import Settings
from gpucore import Device, OutOfMemoryError

__all__ = ["NO_COMPANIONS", "SWITCH", "Companions", "load_beside", "refine"]

_log = logging.getLogger(__name__)

SWITCH = 0.8
"""Share of the steps that the base makes, as its authors chose."""


@dataclass(frozen=True)
class Companions:
    """The models that draw a part of a base's pictures; None for the base itself.

    ``refiner``: makes the steps after the first ``switch`` (0 to 1) of them, to the nearest whole
    one. ``hires``: makes the second pass of hires fix.
    """

    refiner: Pipeline | None = None
    switch: float = SWITCH
    hires: Pipeline | None = None

    def events_and_calls(self, base: Pipeline, settings: Settings) -> WithCalls[Event | Reading]:
        """Make pictures as `Pipeline.events_and_calls` does. Raises `SettingsError` as `refine`."""
        if self.refiner is None and self.hires is None:
            yield from base.events_and_calls(settings)
            return
        yield from self._within_memory(base, settings, lambda run: run.events_and_calls())

    def events(self, base: Pipeline, settings: Settings) -> Generator[Event]:
        """Make pictures as `Pipeline.generate` does. Raises `SettingsError` as `refine`."""
        if self.refiner is None and self.hires is None:
            yield from base.generate(settings)
            return
        yield from self._within_memory(base, settings, lambda run: run.events())

    def _within_memory(
        self, base: Pipeline, settings: Settings, make: Callable[[Run], Generator[Any, Any, None]]
    ) -> Generator[Any, Any]:
        """Yield what ``make`` does of a run; where memory runs out, begin once more with less."""
        complete = settings.with_defaults(base.defaults)
        pair = PlacedPair(base, self.refiner or self.hires or base, self._draw_with)
        yield from pair.memory.events(pair, complete, lambda: self._draw(base, complete, make))

    def _draw_with(self, base: Pipeline, other: Pipeline, settings: Settings) -> Generator[Event]:
        """Make pictures with two other models, which have the places of these."""
        refiner = None if self.refiner is None else other
        hires = None if self.hires is None else other
        return Companions(refiner, self.switch, hires).events(base, settings)

    def _draw(
        self, base: Pipeline, complete: Settings, make: Callable[[Run], Generator[Any, Any, None]]
    ) -> Generator[Any, Any]:
        """Yield what ``make`` does of a run, with the adapters of both models."""
        queue, placement = queue_of(base.device), base.networks.placement
        complete = with_tiles(complete, placement)
        with queue.turn, placement.around("control"):
            passes = self._passes(base, complete)
        run = Run(passes, reads_loras=bool(base.loras.folder), settings=complete)
        # A refiner reads the prompt, but no LoRA was made for it.
        second = complete if self.refiner is None else replace(complete, prompt="", loras=())
        other = self.refiner or self.hires or base
        yield from queue.events(
            lambda: base.loras.events(
                complete,
                run.passes,
                lambda: other.loras.events(second, run.passes, lambda: make(run)),
            )
        )

    def _passes(self, base: Pipeline, complete: Settings) -> list[Pass]:
        """Return the passes of both models. Raises `SettingsError`."""
        if self.refiner is not None:
            return self._refiner_passes(base, self.refiner, complete)
        assert self.hires is not None
        if complete.hires is None:
            hint = "is for the second pass, and hires is not given"
            raise SettingsError("hires model", self.hires.model_name, hint)
        first, second = (each.passes_with_loras(complete) for each in (base, self.hires))
        _check_latents("hires model", base, self.hires)
        return [*first[:-1], second[-1]]

    def _refiner_passes(self, base: Pipeline, refiner: Pipeline, complete: Settings) -> list[Pass]:
        """Return a pass of each model over one sigma schedule. Raises `SettingsError`."""
        check_number("switch", self.switch, 0, 1)
        if complete.hires is not None:
            hint = "hires fix does not go with a refiner"
            raise SettingsError("refiner", refiner.model_name, hint)
        second = refiner.passes(replace(complete, controls=(), image_prompts=()))[0]
        first = base.passes_with_loras(complete)[0]
        _check_pair(base, refiner, first, second)
        steps = first.schedule.steps
        base_steps = round(self.switch * steps)
        if 0 < self.switch < 1 and base_steps in (0, steps):
            idle = "refiner" if base_steps else "base"
            message = f"switch leaves the {idle} none of {steps} steps"
            warnings.warn(message, UserWarning, stacklevel=4)
        return split_passes(first, second, base_steps)


NO_COMPANIONS = Companions()


def refine(
    base: Pipeline, refiner: Pipeline, settings: Settings, switch: float = SWITCH
) -> Iterator[Event]:
    """Make pictures as `Pipeline.generate` does, the refiner making the last steps.

    ``base`` makes the first ``switch`` (0 to 1) of the steps, to the nearest whole one; its
    defaults count. With an init image, the steps are those that its strength leaves. A sampler that
    remembers steps starts anew at the switch. Raises `SettingsError`, before any work, where the
    models do not go together, or for settings with a hires pass.
    """
    return Companions(refiner, switch).events(base, settings)


def load_beside(
    base: Pipeline,
    load: Callable[[Device], Pipeline],
    companions_of: Callable[[Pipeline], Companions],
    settings: Settings,
) -> Pipeline:
    """Return the model of ``load`` on the base's device, to draw with the base.

    Where there is no room for both, the weights of both are placed for a run with ``settings``.
    ``companions_of``: gives the model its part. Raises `gpucore.OutOfMemoryError`.
    """
    device = base.device
    try:
        return load(device)
    except OutOfMemoryError as error:
        if not queue_of(device).is_idle:
            raise
        traceback.clear_frames(error.__traceback__)  # which refer to what was loaded
    base.release()
    gc.collect()
    device.trim()
    level = logging.WARNING if base.memory.nbytes is None else logging.INFO
    base.memory.nbytes = base.memory.left_for(base)
    traced = load(traced_device(device))
    complete = settings.with_defaults(base.defaults)
    pair = PlacedPair(base, traced, companions_of(traced)._draw_with)
    found = find_fitting(pair, device, complete, base.memory.nbytes)
    _log.log(level, "no room for two models: drawing with %s", found.placement)
    base.lay(found.placement)
    other = traced.twin(device, found.placement)
    other.memory = MemoryBudget(base.memory.nbytes)
    base.memory.beside(other).keep(base.memory_key(complete), found)
    return other


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
    _check_latents("refiner", base, refiner)
    ours, theirs = schedule.sigmas, second.schedule.sigmas
    if ours.shape != theirs.shape or not np.allclose(ours, theirs, rtol=1e-6):
        raise SettingsError("refiner", refiner.model_name, f"its noise levels differ; {hint}")


def _check_latents(field: str, base: Pipeline, other: Pipeline) -> None:
    """Raise `SettingsError` unless two models are on one device and have the same latents."""
    if base.device is not other.device:
        raise SettingsError(field, other.model_name, "load both models on one device")
    vaes = [each.networks.folder.vae for each in (base, other)]
    if len({(each.scaling_factor, each.latent_channels) for each in vaes}) > 1:
        hint = "give one that was made for the base"
        raise SettingsError(field, other.model_name, f"its latents are scaled otherwise; {hint}")
