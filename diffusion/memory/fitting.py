"""The quickest placement of weights whose run fits a budget of memory."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final, NamedTuple, Protocol

from diffusion.memory.placement import EVERYTHING, Placement
from diffusion.memory.plan import MemoryPlan
from diffusion.tasks.tiling import TILE
from gpucore import OutOfMemoryError
from gpucore.memory.pool import size_text

__all__ = ["Fitted", "find_placement"]

SMALL_TILE: Final = TILE // 2
_WORTH_TILES: Final = 0.95
"""Share of the memory that tiles must leave at most, since they change pictures."""
_STEPS: Final = 5
"""Shares of the UNet that are tried, each nearer to the least that must lie on the host."""
_SPARE: Final = 0.01
"""Share of the UNet by which more lies on the host than the arithmetic asks for."""

_QUICKER: Final = (Placement(transformed=False), Placement(transformed=False, text=True))
_HOSTED: Final = Placement(transformed=False, text=True, vae=True)
"""As much of the model lies on the host as can with the whole UNet on the device."""


class Trace(Protocol):
    """A function that runs with a placement on a traced device.

    ``whole``: it also makes a run whose weights are over the budget. Else that plan is of loading.
    """

    def __call__(self, placement: Placement, *, whole: bool = True) -> MemoryPlan: ...


class Fitted(NamedTuple):
    """A placement, and the memory of a run with it."""

    placement: Placement
    plan: MemoryPlan


def find_placement(trace: Trace, budget: int, *, tiles: float = 1.0) -> Fitted:
    """Return the quickest placement whose run takes at most ``budget`` bytes at any time.

    What costs least time leaves the device first: transformed weights, then text encoders and the
    VAE, which are needed once, then the UNet, layer by layer. Before the UNet, the VAE computes in
    tiles, if its picture is ``tiles`` times as large as one; 1 where it may not, or does anyway;
    infinite where that is not known, so that one more run tells what tiles save.
    Raises `OutOfMemoryError` where nothing fits.
    """
    everything = trace(EVERYTHING, whole=False)
    if everything.peak <= budget:
        return Fitted(EVERYTHING, everything)
    least = everything.run_peak
    quicker = [each for each in _QUICKER if least - _most_saved(everything, each) <= budget]
    hosted, is_measured = None, not 1 < tiles < math.inf
    if not everything.is_whole:  # what its weights take tells little of other runs
        hosted = trace(_HOSTED, whole=is_measured)
        quicker = quicker if hosted.peak <= budget else []
    for placement in quicker:
        plan = trace(placement, whole=False)
        if plan.peak <= budget:
            return Fitted(placement, plan)
    found = Fitted(_HOSTED, hosted or trace(_HOSTED, whole=is_measured))
    if found.plan.peak > budget:
        found = _with_less(found, trace, budget, tiles)
    if found.plan.peak > budget:
        raise OutOfMemoryError(_no_fit_text(found.plan.need, budget))
    return found


def _with_less(hosted: Fitted, trace: Trace, budget: int, tiles: float) -> Fitted:
    """Return ``hosted`` with the VAE in tiles if they help, and then without a share of the UNet.

    What is returned need not fit either.
    """
    placement, plain = hosted
    if tiles > 1:
        tiled = replace(placement, tile=TILE)
        found = Fitted(tiled, trace(tiled))
        if found.plan.peak <= budget:
            return found
        without = plain.peak if plain.is_whole else _peak_without_tiles(found.plan, tiles)
        if found.plan.peak < _WORTH_TILES * without:
            found = _with_share(found, trace, budget)
            if found.plan.peak <= budget:
                return found
            small = replace(placement, tile=SMALL_TILE)
            return _with_share(Fitted(small, trace(small)), trace, budget)
    return _with_share(
        Fitted(placement, plain if plain.is_whole else trace(placement)), trace, budget
    )


def _peak_without_tiles(plan: MemoryPlan, tiles: float) -> float:
    """Return about what a run in tiles takes without: feature maps are ``tiles`` times as large."""
    weights = plan.weight_bytes
    return max(plan.peak, weights + tiles * (plan.stages["decoding"] - weights))


def _most_saved(plan: MemoryPlan, placement: Placement) -> int:
    """Return what a placement can save of ``plan`` with all weights on the device."""
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
