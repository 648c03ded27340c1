"""The quickest placement of weights whose run fits a budget of memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final, NamedTuple

from diffusion.memory.placement import EVERYTHING, Placement
from diffusion.memory.plan import MemoryPlan
from diffusion.tasks.tiling import TILE
from gpucore import OutOfMemoryError
from gpucore.memory.pool import size_text

__all__ = ["Fitted", "find_placement"]

Trace = Callable[[Placement], MemoryPlan]
"""A function that runs with a placement on a traced device."""

SMALL_TILE: Final = TILE // 2
_WORTH_TILES: Final = 0.95
"""Share of the memory that tiles must leave at most, since they change pictures."""
_STEPS: Final = 5
"""Shares of the UNet that are tried, each nearer to the least that must lie on the host."""
_SPARE: Final = 0.01
"""Share of the UNet by which more lies on the host than the arithmetic asks for."""


class Fitted(NamedTuple):
    """A placement, and the memory of a run with it."""

    placement: Placement
    plan: MemoryPlan


def find_placement(trace: Trace, budget: int, *, tiles: bool = True) -> Fitted:
    """Return the quickest placement whose run takes at most ``budget`` bytes at any time.

    What costs least time leaves the device first: transformed weights, then text encoders and the
    VAE, which are needed once, then the UNet, layer by layer. Before the UNet, the VAE computes in
    ``tiles`` if it may. Raises `OutOfMemoryError` where nothing fits.
    """
    best = Fitted(EVERYTHING, trace(EVERYTHING))
    if best.plan.peak <= budget:
        return best
    smallest = best
    for placement in _in_order(tiles=tiles):
        if best.plan.run_peak - _most_saved(best.plan, placement) > budget:
            continue
        found = Fitted(placement, trace(placement))
        if found.plan.peak <= budget:
            return found
        if not placement.tile or found.plan.peak < _WORTH_TILES * smallest.plan.peak:
            smallest = found
    found = _with_share(smallest, trace, budget)
    if found.plan.peak > budget and tiles and smallest.placement.tile:
        small = replace(smallest.placement, tile=SMALL_TILE)
        found = _with_share(Fitted(small, trace(small)), trace, budget)
    if found.plan.peak > budget:
        raise OutOfMemoryError(_no_fit_text(found.plan.need, budget))
    return found


def _in_order(*, tiles: bool) -> Iterator[Placement]:
    """Yield placements with the whole UNet on the device, the quickest first."""
    placement = replace(EVERYTHING, transformed=False)
    yield placement
    placement = replace(placement, text=True)
    yield placement
    placement = replace(placement, vae=True)
    yield placement
    if tiles:
        yield replace(placement, tile=TILE)


def _most_saved(plan: MemoryPlan, placement: Placement) -> float:
    """Return what a placement can save of ``plan`` with all weights on the device.

    It is endless for those that others are measured by.
    """
    if placement.vae:
        return math.inf
    text = sum(each for name, each in plan.weights.items() if name.startswith("text_encoder"))
    return plan.transformed + text * placement.text


def _with_share(whole: Fitted, trace: Trace, budget: int) -> Fitted:
    """Return ``whole`` with the least share of the UNet on the host that fits, or all of it."""
    repeated = max(1, whole.plan.repeated)
    share, found = 0.0, whole
    for _ in range(_STEPS):
        share = min(1.0, share + (found.plan.peak - budget) / repeated + _SPARE)
        placement = replace(whole.placement, unet=round(share, 4))
        found = Fitted(placement, trace(placement))
        if found.plan.peak <= budget or share == 1.0:
            return found
    placement = replace(whole.placement, unet=1.0)
    return Fitted(placement, trace(placement))


def _no_fit_text(need: int, have: int) -> str:
    """Return an error's text: what the smallest plan needs, what there is, and three remedies."""
    return (
        f"a run with these settings needs {size_text(need)} of the device with as little on it as "
        f"can be, and may take {size_text(have)}: draw a smaller picture (--size) or fewer at once "
        "(--batch), let the VAE compute in tiles (--vae-tiling on) and networks in f16 (--dtype "
        "f16), or give more memory (--vram)"
    )
