"""`MemoryBudget`: the most memory that a pipeline takes, and what is done when it runs out."""

from __future__ import annotations

import gc
import logging
import math
import traceback
import warnings
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar
from weakref import WeakKeyDictionary

from diffusion.memory import EVERYTHING, Budget, Fitted, MemoryPlan, Placement, find_placement
from diffusion.models.module import is_traced
from diffusion.pipeline.memory.run_key import RunKey
from diffusion.pipeline.memory.tracing import Traced, module_bytes, trace_run, traced_device
from diffusion.pipeline.networks import Networks
from diffusion.pipeline.run_queue import queue_of
from diffusion.settings import Defaults, Settings
from diffusion.tasks.tiling import TILE, needs_tiles
from gpucore import Device, OutOfMemoryError
from gpucore.memory.pool import size_text

__all__ = ["MemoryBudget", "find_fitting", "first_placement", "load_within", "with_tiles"]

E = TypeVar("E")
R = TypeVar("R")
P = TypeVar("P", bound="Placeable")

_MOST_KEPT = 16
_TABLES = 1 << 20
"""More bytes than the tables that a device keeps when all models have left it."""
_SMALLEST = 64
"""Side in pixels of the least drawing that a model is loaded for."""
_log = logging.getLogger(__name__)


class Placeable(Traced, Protocol):
    """A pipeline whose weights can be placed elsewhere."""

    memory: MemoryBudget

    @property
    def defaults(self) -> Defaults: ...

    def twin(self, device: Device, placement: Placement) -> Traced: ...

    def memory_key(self, complete: Settings) -> RunKey: ...

    def is_placed(self, placement: Placement) -> bool: ...

    def place(self, complete: Settings) -> None: ...

    def release(self) -> None: ...


@dataclass
class MemoryBudget:
    """A budget in bytes (None for all that the device has), and the plans that fit it.

    ``make_room``: give back something else on the device; False where there is nothing.
    """

    nbytes: int | None = None
    make_room: Callable[[], bool] = lambda: False
    _fitted: dict[tuple[RunKey, int | None], Fitted] = field(default_factory=dict, repr=False)
    _pairs: WeakKeyDictionary[Placeable, MemoryBudget] = field(
        default_factory=WeakKeyDictionary, repr=False
    )

    def beside(self, other: Placeable) -> MemoryBudget:
        """Return the budget of runs that another model has a part in: as large, for both."""
        found = self._pairs.setdefault(other, MemoryBudget(self.nbytes))
        found.make_room = self.make_room
        return found

    def fit(self, pipeline: Placeable, device: Device, complete: Settings) -> Fitted:
        """Return the quickest placement for a run on a device, and the run's plan.

        Without a budget it is the one that is. Raises `OutOfMemoryError` where nothing fits.
        """
        placement = pipeline.networks.placement
        if self.nbytes is None:
            traced = pipeline.twin(traced_device(device), placement)
            return Fitted(placement, trace_run(traced, complete))
        key = pipeline.memory_key(complete)
        if (key, self.nbytes) not in self._fitted:
            found = find_fitting(pipeline, device, complete, self.nbytes, self._alike(key))
            self.keep(key, found)
            peak, most = size_text(found.plan.peak), size_text(self.nbytes)
            _log.info("%s at the peak, of %s: %s", peak, most, found.placement)
        return self._fitted[key, self.nbytes]

    def _alike(self, key: RunKey) -> Placement | None:
        """Return the placement of the last run that differs in its steps alone, if there is one."""
        kept = reversed(self._fitted.items())
        alike = (found for at, found in kept if at[0].rest == key.rest and at[1] == self.nbytes)
        return next((found.placement for found in alike), None)

    def events(
        self,
        pipeline: Placeable,
        complete: Settings,
        make: Callable[[], Generator[E, R, None]],
    ) -> Generator[E, R, None]:
        """Yield the events of ``make()``; where memory runs out, begin once more with less.

        What else is on the device goes first, then weights. Raises `OutOfMemoryError` that names
        need, have and remedies where that does not help either.
        """
        is_shrunk = False
        while True:
            if self.nbytes is not None and queue_of(pipeline.networks.device).is_idle:
                self.fit(pipeline, pipeline.networks.device, complete)  # raises where nothing fits
            try:
                pipeline.place(complete)
                yield from make()
            except OutOfMemoryError as error:
                reason = str(error)
                # Whoever makes the run's calls may keep the error, and with it all that they had.
                traceback.clear_frames(error.__traceback__)
            else:
                return
            pipeline.release()
            gc.collect()  # the error's frames
            pipeline.networks.device.trim()
            if not self.make_room():
                if is_shrunk or is_traced(pipeline.networks.device):
                    raise OutOfMemoryError(reason)
                self._shrink(pipeline, complete, reason)
                is_shrunk = True

    def left_for(self, pipeline: Placeable) -> int:
        """Return the bytes that the device has for a model's runs, once it had no more."""
        device = pipeline.networks.device
        pool = device.pool
        ours = sum(map(module_bytes, pipeline.weight_modules().values()))
        have = (pool.refused_at or 0) if pool.limit is None else pool.limit
        have -= device.memory.live - ours  # what else is there
        return max(1, have if self.nbytes is None else min(have, self.nbytes))

    def keep(self, key: RunKey, found: Fitted) -> None:
        """Keep the placement of runs whose memory depends on ``key``; the oldest leaves."""
        while len(self._fitted) >= _MOST_KEPT:
            del self._fitted[next(iter(self._fitted))]
        self._fitted[key, self.nbytes] = found

    def _shrink(self, pipeline: Placeable, complete: Settings, reason: str) -> None:
        """Plan a run with what the device gave before it had no more, and say so in one line.

        Raises `OutOfMemoryError` where no plan is smaller.
        """
        device = pipeline.networks.device
        self.nbytes = self.left_for(pipeline)
        found = find_fitting(pipeline, device, complete, self.nbytes)
        if pipeline.is_placed(found.placement):
            raise OutOfMemoryError(reason)
        message = f"no more memory than {size_text(self.nbytes)}: drawing with {found.placement}"
        warnings.warn(message, ResourceWarning, stacklevel=3)
        self.keep(pipeline.memory_key(complete), found)


def load_within(load_on: Callable[[Device, Placement], P], device: Device, given: Budget) -> P:
    """Return the pipeline of ``load_on``, placed for a run within the budget that was ``given``.

    Where that has no size, and the device has no room for all, it is what the device gave. A size
    becomes the limit of the device's pool. Raises `OutOfMemoryError`.
    """
    nbytes = given.nbytes
    if nbytes is None:
        is_alone = device.memory.live < _TABLES
        try:
            return load_on(device, EVERYTHING)
        except OutOfMemoryError:
            if not is_alone:
                raise
        device.trim()
        nbytes = device.pool.refused_at or 1
    else:
        device.pool.limit = nbytes
    budget = MemoryBudget(nbytes)
    placement = first_placement(load_on, device, budget, given.settings)
    if given.nbytes is None:
        _log.warning("no more memory than %s: loading with %s", size_text(nbytes), placement)
    pipeline = load_on(device, placement)
    pipeline.memory = budget
    return pipeline


def first_placement(
    load_on: Callable[[Device, Placement], Placeable],
    device: Device,
    budget: MemoryBudget,
    settings: Settings | None,
) -> Placement:
    """Return the placement for the first drawing. Raises `OutOfMemoryError`."""
    traced = load_on(traced_device(device), EVERYTHING)
    complete = (settings or Settings("")).with_defaults(traced.defaults)
    plain = replace(complete, controls=(), image_prompts=(), loras=())
    try:
        return budget.fit(traced, device, plain).placement
    except OutOfMemoryError as error:
        if settings is not None:
            raise
        # Drawings may be smaller than the model's size; one that is not tells what it needs.
        try:
            small = replace(plain, width=_SMALLEST, height=_SMALLEST)
            return budget.fit(traced, device, small).placement
        except OutOfMemoryError:
            raise error from None


def find_fitting(
    pipeline: Placeable,
    device: Device,
    complete: Settings,
    budget: int,
    first: Placement | None = None,
) -> Fitted:
    """Return the quickest placement for a run of a model, or the ``first`` if that one fits.

    Raises `OutOfMemoryError`.
    """
    traced, empty = traced_device(device), 0
    own = pipeline.networks.device

    def trace(placement: Placement, *, whole: bool = True, limit: int | None = None) -> MemoryPlan:
        nonlocal empty
        most = None if whole else budget
        is_loaded = is_traced(own) and pipeline.is_placed(placement)
        if is_loaded and most is not None and own.memory.live > most:
            return trace_run(pipeline, complete, most)
        if traced.memory.live != empty:
            gc.collect()  # what the last trace left in cycles
            empty = traced.memory.live  # tables
        traced.trim()
        traced.pool.reset_peak()
        traced.pool.limit = limit
        plan = trace_run(pipeline.twin(traced, placement), complete, most)
        if plan.least <= budget < plan.peak:  # it may fit: the pool gives back what is idle
            with suppress(OutOfMemoryError):
                return trace(placement, limit=budget)
        return plan

    if first is not None and (plan := trace(first)).peak <= budget:
        return Fitted(first, plan)
    return find_placement(trace, budget, tiles=_tiles_of(pipeline.networks, complete))


def _tiles_of(networks: Networks, complete: Settings) -> float:
    """Return how many times as large as a tile the VAE's pictures are, where it may have tiles.

    It is 1 where they are computed in tiles anyway, and infinite with pictures of two sizes.
    """
    if complete.vae_tiling != "auto":
        return 1.0
    if complete.hires is not None:
        return math.inf
    size = complete.width or 0, complete.height or 0
    if needs_tiles("auto", math.prod(size)):
        return 1.0
    return math.prod(max(1.0, side / networks.vae_config.downscale / TILE) for side in size)


def with_tiles(settings: Settings, placement: Placement) -> Settings:
    """Return settings whose VAE computes in tiles, if the placement says so and they leave it."""
    return replace(settings, vae_tiling=placement.tiling(settings.vae_tiling))
