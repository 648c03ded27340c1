"""A window that is a product of one along the height and one along the width.

Variants: `axes` makes one axis after the other, with the middle in memory (four passes over it);
`tile` and, where subgroups have one known width, `strip` make small windows in one launch on a GPU,
in rows of whole words: memory reads each element once and writes it once, which is the least. Long
windows take two launches of them. Instructions set the pace of u8, of which an element has time for
some 15 on an H200: so means of it are sums of integers, two in a word, and its least and greatest
are found two at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpucore import Buffer, Device, DType, f32, u8
from gpucore.integers import ceil_div
from gpustd.image.border import CONSTANT
from gpustd.image.filters.axis import Fold, Window, fold_axes, fold_axis
from gpustd.image.grids import fits_strips
from gpustd.image.picture import Picture, picture_of
from gpustd.image.tables import table
from gpustd.launch.subgroups import row_lanes
from gpustd.launch.template import Value, kernel
from gpustd.launch.variants import forced_tile, forced_variant

__all__ = ["has_halves", "separable"]

_MOST_TAPS = 9
_MOST_TAPS_DOWN = 33
_MOST_HALO = 9
_LEAST_LANES = 32
# Cells whose rows an invocation keeps in registers, and those that it reads at a time.
_MOST_KEPT, _MOST_READ = 8, 20
# Rows of a window whose strip is made in one step.
_MOST_ONCE = 5

# A plan for long windows of the width.
_LONG = (4, 1, 4, 1)

_Windows = tuple[Window, Window]


@dataclass(frozen=True)
class _Plan:
    """Units, in `strip` subgroups, across and down of a workgroup; what an invocation makes.

    That is ``strip`` rows, ``steps`` at a time, of a unit of ``cells``.
    """

    across: int
    down: int
    strip: int
    steps: int
    cells: int


def separable(
    image: Buffer[Any],
    windows: _Windows,
    fold: Fold,
    border: tuple[int, float],
    dtype: type[DType],
) -> Buffer[Any]:
    """Height by the first window, width by the second.

    ``border`` is the mode's number and the constant, ``dtype`` the result's; sums are f32 up to
    the last step.
    """
    picture = picture_of("separable", image)
    variants = _variants(image, picture)
    if not variants:
        return fold_axes(image, windows, fold, border, dtype)
    taps = [w.taps for w in windows]
    for variant in variants if min(taps) == 1 or max(taps) <= _MOST_TAPS else ():
        if _takes(variant, image, picture, windows):
            return _launch(variant, image, windows, fold, border, dtype)
    between = f32 if fold == "sum" else image.dtype
    middle = _axis(variants, image, windows[0], fold, border, between, vertical=True)
    return _axis(variants, middle, windows[1], fold, border, dtype, vertical=False)


def _variants(image: Buffer[Any], picture: Picture) -> Sequence[str]:
    """The variants to try, the quickest first; none where rows are not whole words."""
    if not fits_strips(picture):
        return ()
    lanes = row_lanes(image.device)
    best = "axes" if image.device.is_cpu else "strip" if lanes >= _LEAST_LANES else "tile"
    variant = forced_variant("separable") or best
    return {"axes": (), "tile": ("tile",), "strip": ("strip", "tile")}[variant]


def _axis(
    variants: Sequence[str],
    image: Buffer[Any],
    window: Window,
    fold: Fold,
    border: tuple[int, float],
    dtype: type[DType],
    *,
    vertical: bool,
) -> Buffer[Any]:
    """One axis by a window."""
    picture = picture_of("separable", image)
    one = Window(1, 0, None if window.weights is None else np.ones(1))
    windows = (window, one) if vertical else (one, window)
    for variant in variants:
        if _takes(variant, image, picture, windows):
            return _launch(variant, image, windows, fold, border, dtype)
    return fold_axis(image, window, fold, border, dtype, vertical=vertical)


def _halo(window: Window, channels: int, unit: int) -> tuple[int, int]:
    """Units of elements to the left and to the right of one that its taps reach."""
    before, after = window.origin, window.taps - 1 - window.origin
    return ceil_div(before * channels, unit), ceil_div(after * channels, unit)


def _takes(variant: str, image: Buffer[Any], picture: Picture, windows: _Windows) -> bool:
    """Whether a launch of the variant makes the windows: registers, and lanes, suffice."""
    lanes = row_lanes(image.device)
    wanted = _wanted_plan()
    cells = wanted.cells if wanted else _long_cells(picture, windows)
    unit = 4 * cells if variant == "strip" else 4
    halo = _halo(windows[1], picture.channels, unit)
    if variant == "strip":
        return 0 < lanes >= 2 * sum(halo) and windows[0].taps <= _MOST_TAPS_DOWN
    return windows[0].taps <= _MOST_TAPS and max(halo) <= _MOST_HALO


def _launch(
    variant: str,
    image: Buffer[Any],
    windows: _Windows,
    fold: Fold,
    border: tuple[int, float],
    dtype: type[DType],
) -> Buffer[Any]:
    picture = picture_of("separable", image)
    device = image.device
    result: Buffer[Any] = device.buffer(dtype, picture.shape)
    down, across = windows
    between = _is_between(windows) and 0 <= border[1] <= 255
    levels = image.dtype is u8 is dtype and between and border[1] % 1 == 0
    means = levels and fold == "sum" and _is_flat(windows)
    halves = levels and fold != "sum" and has_halves(device)
    plan = _plan(
        variant, picture, windows, levels=image.dtype is u8 is dtype, pairs=means or halves
    )
    spec: dict[str, Value] = {
        "source": image.dtype.name,
        "target": dtype.name,
        "fold": "mean" if means else fold,
        "halves": halves,
        "constant": border[0] == CONSTANT,
        "channels": picture.channels,
        "taps_y": down.taps,
        "taps_x": across.taps,
        "origin_y": down.origin,
        "origin_x": across.origin,
        "cells": plan.cells,
        "steps": plan.steps,
        "across": plan.across,
        "down": plan.down,
        "clamped": not between,
    }
    made = plan.across
    if variant == "strip":
        lanes = row_lanes(device)
        spec |= {"lanes": lanes, "enable_subgroups": device.info.engine == "dawn"}
        spec["once"] = plan.steps == plan.strip + down.taps - 1
        spec["centred"] = means and down.taps <= 4 and _is_centred(device, down.taps * across.taps)
        made *= lanes - sum(_halo(across, picture.channels, 4 * plan.cells))
    else:
        spec["left"], spec["right"] = _halo(across, picture.channels, 4)
    units = picture.row // (4 * plan.cells)
    sizes: dict[str, float] = {
        "rows": picture.height,
        "across": units,
        "width": picture.width,
        "strip": plan.strip,
        "mode": border[0],
        "fill": border[1],
    }
    grid = (ceil_div(units, made), ceil_div(picture.height, plan.strip * plan.down), picture.images)
    buffers = [image, *_weights(image, windows, fold if not means else "mean"), result]
    kernel(device, f"image/{variant}.wgsl", **spec)(*buffers, sizes, grid=grid)
    return result


def has_halves(device: Device) -> bool:
    """Whether pairs of f16 can be compared: wgpu-native 29 takes the wrong ones."""
    return device.has_f16 and device.info.engine == "dawn"


def _weights(image: Buffer[Any], windows: _Windows, fold: str) -> list[Buffer[Any]]:
    """The table of a weighted sum: weights of the height, then those of the width."""
    each = [w.weights for w in windows if w.weights is not None]
    if fold != "sum":
        return []
    return [table(image.device, np.concatenate(each).astype(np.float32))]


def _is_centred(device: Device, taps: int) -> bool:
    """Whether means of so many levels, summed less 128 each, come out right in f16.

    Sums up to 2^11 are exact, and GPUs round a product with an addition once (Direct3D leaves that
    open): then the inverse must only be off by less than what lies between a mean and the next tie.
    """
    off = abs(float(np.float16(1 / taps)) - 1 / taps) * 128 * taps
    sure = taps % 2 == 1 and taps <= 16 and off < 0.5 / taps
    return sure and has_halves(device) and not device.is_cpu and device.info.api != "dx12"


def _plan(variant: str, picture: Picture, windows: _Windows, *, levels: bool, pairs: bool) -> _Plan:
    """As measured on an H200: what is under way should be near in memory, so strips are short.

    Quickest are strips of one step, which loads all its rows first.
    """
    wanted = _wanted_plan()
    if wanted:
        return wanted
    down = windows[0].taps
    cells = _cells(picture, down) if levels else 1
    if variant == "strip" and cells == 1 and _long_cells(picture, windows) > 1:
        return _Plan(*_LONG, _long_cells(picture, windows))
    if variant == "strip" and 1 < down <= _MOST_ONCE and (cells > 1 or not levels):
        cells = 4 if pairs and picture.row % 16 == 0 else cells
        strip = 6 if pairs or cells == 4 else 4
        return _Plan(1 if levels else 2, 4, strip, strip + down - 1, cells)
    if variant == "strip":
        rows = 16 if cells > 1 else max(8, 4 * down // 8 * 8)
        steps = 4 if cells > 1 or rows == 8 else 8
        shape = (2, 2) if cells > 1 else (4, 1)
    else:
        read = 1 + sum(_halo(windows[1], picture.channels, 4))
        rows = 16 if cells > 1 else 8 if down <= 3 else 16
        steps = 4 if cells > 1 or read <= _MOST_READ // 4 else 2
        shape = (16, 8) if cells > 1 else (32, 4)
        if read > _MOST_READ // 2:
            rows, shape = steps, (96, 1)
    # A walk begins early, for what its results have in common with those above.
    strip = ceil_div(max(rows, down), steps) * steps - (down - 1)
    return _Plan(*shape, strip, steps, cells)


def _wanted_plan() -> _Plan | None:
    """The plan that `force_variant` asks for."""
    wanted = forced_tile("separable")
    return _Plan(*wanted) if isinstance(wanted, tuple) else None


def _is_flat(windows: _Windows) -> bool:
    """Whether all weights of an axis are the same."""
    return all(w.weights is not None and np.ptp(w.weights) == 0 for w in windows)


def _is_between(windows: _Windows) -> bool:
    """Whether the result lies between the least and the greatest of what is folded."""
    weights = [w.weights for w in windows if w.weights is not None]
    return all(w.min() >= 0 and abs(w.sum() - 1) < 1e-6 for w in weights)


def _long_cells(picture: Picture, windows: _Windows) -> int:
    """Cells of an invocation where the width's window is long: more use what it reads."""
    if windows[0].taps > 1 or windows[1].taps <= _MOST_TAPS:
        return 1
    return next((n for n in (4, 2) if picture.row % (4 * n) == 0), 1)


def _cells(picture: Picture, taps: int) -> int:
    """Cells of an invocation, four bytes each: up to 16 bytes, where rows are whole and short."""
    fitting = (n for n in (4, 2) if picture.row % (4 * n) == 0 and n * (taps - 1) <= _MOST_KEPT)
    return next(fitting, 1)
