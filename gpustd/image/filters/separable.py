"""Separable filters: one window down the height, one across the width.

Variant `axes` filters one axis after the other, with the middle in memory: four passes over it. On
a GPU, in rows of whole words, small windows take one launch, which reads and writes each element
once. Variant `strip` needs subgroups of one known width, `tile` does not. Long windows take two
such launches.

Instructions limit u8: on an H200, an element has time for some 15 of them. So means of u8 are sums
of integers, two in a word, and least and greatest values are found two at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gpucore import Buffer, Device, DType, f32, u8
from gpucore.integers import ceil_div
from gpustd.image.border import CONSTANT, Border
from gpustd.image.filters.axis_windows import Fold, Window, Windows, fold_axes, fold_axis
from gpustd.image.filters.separable_plans import (
    MAX_TAPS,
    choose_plan,
    fits_variant,
    halo_units,
    usable_variants,
)
from gpustd.image.shapes import image_shape
from gpustd.launch.elements import can_compare_f16_pairs
from gpustd.launch.subgroups import row_lanes
from gpustd.launch.tables import array_table
from gpustd.launch.template import Value, kernel

__all__ = ["filter_separable"]


def filter_separable(
    image: Buffer[Any], windows: Windows, fold: Fold, border: Border, dtype: type[DType]
) -> Buffer[Any]:
    """Fold the height and the width into an image of ``dtype``; sums are f32 up to the last step.

    Raises `ShapeError`, `DTypeError`.
    """
    shape = image_shape("separable", image)
    variants = usable_variants(image, shape)
    if not variants:
        return fold_axes(image, windows, fold, border, dtype)
    taps = [w.taps for w in windows]
    for variant in variants if min(taps) == 1 or max(taps) <= MAX_TAPS else ():
        if fits_variant(variant, image, shape, windows):
            return _launch(variant, image, windows, fold, border, dtype)
    between = f32 if fold == "sum" else image.dtype
    middle = _filter_axis(variants, image, windows.down, fold, border, between, vertical=True)
    return _filter_axis(variants, middle, windows.across, fold, border, dtype, vertical=False)


def _filter_axis(
    variants: Sequence[str],
    image: Buffer[Any],
    window: Window,
    fold: Fold,
    border: Border,
    dtype: type[DType],
    *,
    vertical: bool,
) -> Buffer[Any]:
    """Fold one axis by the first of ``variants`` that fits, else word by word."""
    shape = image_shape("separable", image)
    single = Window(1, 0, None if window.weights is None else np.ones(1))
    windows = Windows(window, single) if vertical else Windows(single, window)
    for variant in variants:
        if fits_variant(variant, image, shape, windows):
            return _launch(variant, image, windows, fold, border, dtype)
    return fold_axis(image, window, fold, border, dtype, vertical=vertical)


def _launch(
    variant: str,
    image: Buffer[Any],
    windows: Windows,
    fold: Fold,
    border: Border,
    dtype: type[DType],
) -> Buffer[Any]:
    """Return the result of one launch of ``image/strip.wgsl`` or ``image/tile.wgsl``."""
    shape = image_shape("separable", image)
    device = image.device
    result: Buffer[Any] = device.buffer(dtype, shape.buffer_shape)
    down, across = windows
    bounded = _is_bounded(windows) and 0 <= border.fill <= 255
    levels = image.dtype is u8 is dtype
    integers = levels and bounded and border.fill % 1 == 0
    means = integers and fold == "sum" and _is_flat(windows)
    halves = integers and fold != "sum" and can_compare_f16_pairs(device)
    plan = choose_plan(variant, shape, windows, levels=levels, pairs=means or halves)
    spec: dict[str, Value] = {
        "source": image.dtype.name,
        "target": dtype.name,
        "fold": "mean" if means else fold,
        "halves": halves,
        "constant": border.mode == CONSTANT,
        "channels": shape.channels,
        "taps_y": down.taps,
        "taps_x": across.taps,
        "origin_y": down.origin,
        "origin_x": across.origin,
        "cells": plan.cells,
        "steps": plan.steps,
        "across": plan.across,
        "down": plan.down,
        "clamped": not bounded,
    }
    units_across = plan.across
    if variant == "strip":
        lanes = row_lanes(device)
        spec["lanes"] = lanes
        spec["once"] = plan.steps == plan.strip + down.taps - 1
        exact = means and down.taps <= 4 and _has_exact_f16_means(device, down.taps * across.taps)
        spec["centred"] = exact
        units_across *= lanes - sum(halo_units(across, shape.channels, 4 * plan.cells))
    else:
        spec["left"], spec["right"] = halo_units(across, shape.channels, 4)
    units = shape.row // (4 * plan.cells)
    sizes: dict[str, float] = {
        "rows": shape.height,
        "across": units,
        "width": shape.width,
        "strip": plan.strip,
        "mode": border.mode,
        "fill": border.fill,
    }
    strips = ceil_div(shape.height, plan.strip * plan.down)
    grid = (ceil_div(units, units_across), strips, shape.images)
    weights = _weights(windows) if fold == "sum" and not means else []
    tables = [array_table(device, np.concatenate(weights).astype(np.float32))] if weights else []
    kernel(device, f"image/{variant}.wgsl", **spec)(image, *tables, result, sizes, grid=grid)
    return result


def _has_exact_f16_means(device: Device, taps: int) -> bool:
    """Tell whether means of ``taps`` levels, summed less 128 each, come out right in f16.

    Sums up to 2^11 are exact. GPUs round a product with an addition once, though Direct3D leaves
    that open. So the inverse of ``taps`` need only be off by less than the distance between a mean
    and the next tie.
    """
    off = abs(float(np.float16(1 / taps)) - 1 / taps) * 128 * taps
    exact = taps % 2 == 1 and taps <= 16 and off < 0.5 / taps
    return (
        exact and can_compare_f16_pairs(device) and not device.is_cpu and device.info.api != "dx12"
    )


def _weights(windows: Windows) -> list[Any]:
    """Return the weights of the height, then those of the width, where there are any."""
    return [w.weights for w in windows if w.weights is not None]


def _is_flat(windows: Windows) -> bool:
    """Tell whether all weights of an axis are the same."""
    return all(w.weights is not None and np.ptp(w.weights) == 0 for w in windows)


def _is_bounded(windows: Windows) -> bool:
    """Tell whether results lie between the least and the greatest of what is folded."""
    return all(w.min() >= 0 and abs(w.sum() - 1) < 1e-6 for w in _weights(windows))
