"""Variants and plans of separable filters: which launches fit, and how an invocation walks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gpucore import Buffer
from gpucore.integers import ceil_div
from gpustd.image.filters.axis_windows import Window, Windows
from gpustd.image.grids import fits_strips
from gpustd.image.shapes import ImageShape
from gpustd.launch.subgroups import row_lanes
from gpustd.launch.variants import forced_tile, forced_variant

__all__ = ["MAX_TAPS", "Plan", "choose_plan", "fits_variant", "halo_units", "usable_variants"]

MAX_TAPS = 9
"""Taps of an axis, at most, where one launch filters both axes."""

_MAX_TAPS_DOWN = 33
_MAX_HALO = 9
_MIN_LANES = 32
# Cells whose rows an invocation keeps in registers, and cells that it reads at a time.
_MAX_KEPT, _MAX_READ = 8, 20
# Rows of a window, at most, whose strip is computed in one step.
_MAX_ONE_STEP = 5


@dataclass(frozen=True)
class Plan:
    """The work of a workgroup: ``across`` by ``down`` units, or in `strip` subgroups.

    An invocation computes ``strip`` rows of a unit of ``cells`` words, ``steps`` rows at a time.
    """

    across: int
    down: int
    strip: int
    steps: int
    cells: int


def usable_variants(image: Buffer[Any], shape: ImageShape) -> Sequence[str]:
    """Return the variants to try, the fastest first; none where rows are not whole words."""
    if not fits_strips(shape):
        return ()
    lanes = row_lanes(image.device)
    best = "axes" if image.device.is_cpu else "strip" if lanes >= _MIN_LANES else "tile"
    variant = forced_variant("separable") or best
    return {"axes": (), "tile": ("tile",), "strip": ("strip", "tile")}[variant]


def fits_variant(variant: str, image: Buffer[Any], shape: ImageShape, windows: Windows) -> bool:
    """Tell whether registers and lanes suffice for the windows in one launch of the variant."""
    lanes = row_lanes(image.device)
    forced = _forced_plan()
    cells = forced.cells if forced else _long_cells(shape, windows)
    unit = 4 * cells if variant == "strip" else 4
    halo = halo_units(windows.across, shape.channels, unit)
    if variant == "strip":
        return 0 < lanes >= 2 * sum(halo) and windows.down.taps <= _MAX_TAPS_DOWN
    return windows.down.taps <= MAX_TAPS and max(halo) <= _MAX_HALO


def halo_units(window: Window, channels: int, unit: int) -> tuple[int, int]:
    """Return how many units of elements the taps reach to the left and to the right of one."""
    before, after = window.origin, window.taps - 1 - window.origin
    return ceil_div(before * channels, unit), ceil_div(after * channels, unit)


def choose_plan(
    variant: str, shape: ImageShape, windows: Windows, *, levels: bool, pairs: bool
) -> Plan:
    """Return the plan that measured best on an H200.

    ``levels`` says that both sides are u8, ``pairs`` that a word holds two values at a time. Rows
    under way should lie near each other in memory, so strips are short. Strips of one step, which
    loads all its rows first, are the fastest.
    """
    forced = _forced_plan()
    if forced:
        return forced
    down = windows.down.taps
    cells = _cells(shape, down) if levels else 1
    if variant == "strip" and cells == 1 and _long_cells(shape, windows) > 1:
        return Plan(4, 1, 4, 1, _long_cells(shape, windows))
    if variant == "strip" and 1 < down <= _MAX_ONE_STEP and (cells > 1 or not levels):
        cells = 4 if pairs and shape.row % 16 == 0 else cells
        strip = 6 if pairs or cells == 4 else 4
        return Plan(1 if levels else 2, 4, strip, strip + down - 1, cells)
    if variant == "strip":
        rows = 16 if cells > 1 else max(8, 4 * down // 8 * 8)
        steps = 4 if cells > 1 or rows == 8 else 8
        group = (2, 2) if cells > 1 else (4, 1)
    else:
        read = 1 + sum(halo_units(windows.across, shape.channels, 4))
        rows = 16 if cells > 1 else 8 if down <= 3 else 16
        steps = 4 if cells > 1 or read <= _MAX_READ // 4 else 2
        group = (16, 8) if cells > 1 else (32, 4)
        if read > _MAX_READ // 2:
            rows, group = steps, (96, 1)
    # An invocation begins early, for what its results have in common with those above.
    strip = ceil_div(max(rows, down), steps) * steps - (down - 1)
    return Plan(*group, strip, steps, cells)


def _forced_plan() -> Plan | None:
    """Return the plan that `force_variant` asks for, if any."""
    forced = forced_tile("separable")
    return Plan(*forced) if isinstance(forced, tuple) else None


def _long_cells(shape: ImageShape, windows: Windows) -> int:
    """Return the cells of an invocation where the width's window is long.

    The more cells it computes, the more of them use what it reads.
    """
    if windows.down.taps > 1 or windows.across.taps <= MAX_TAPS:
        return 1
    return next((n for n in (4, 2) if shape.row % (4 * n) == 0), 1)


def _cells(shape: ImageShape, taps: int) -> int:
    """Return the cells of an invocation, of four bytes each: 4 or 2 if registers hold them."""
    fitting = (n for n in (4, 2) if shape.row % (4 * n) == 0 and n * (taps - 1) <= _MAX_KEPT)
    return next(fitting, 1)
