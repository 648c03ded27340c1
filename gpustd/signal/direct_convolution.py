"""Convolution by its definition: one read of the short operand for each result."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from gpucore import Buffer, c64
from gpucore.integers import ceil_div
from gpustd.launch.elements import launch_each
from gpustd.launch.grid import flat_grid
from gpustd.launch.template import Value, kernel
from gpustd.launch.variants import forced_variant
from gpustd.signal.arguments import element_type
from gpustd.signal.convolution_results import result_dtype, result_region

__all__ = ["convolve_directly"]

# Invocations of a workgroup that convolves rows; words from which on each computes two.
_GROUP = 256
_MANY_WORDS = 2**20


def convolve_directly(
    op: str, in1: Buffer[Any], in2: Buffer[Any], mode: str, axes: Sequence[int]
) -> Buffer[Any]:
    """Convolve by the definition."""
    starts, extents = result_region(op, in1, in2, mode, axes)
    x, h = (in1, in2) if in1.size >= in2.size else (in2, in1)
    y = x.device.buffer(result_dtype(in1, in2), tuple(extents))
    if _fits_row_kernel(x, h, y):
        _launch_rows(x, h, y, starts[-1])
        return y
    sizes: dict[str, int | float] = {}
    for a, extent in enumerate(extents):
        sizes[f"extent{a}"] = extent
        sizes[f"x_extent{a}"] = x.shape[a]
        sizes[f"taps{a}"] = h.shape[a]
        sizes[f"first{a}"] = starts[a]
    spec: dict[str, Value] = {"a": element_type(x), "b": element_type(h), "rank": len(extents)}
    launch_each("signal/direct.wgsl", spec, (x, h, y), y.size, sizes)
    return y


def _fits_row_kernel(x: Buffer[Any], h: Buffer[Any], y: Buffer[Any]) -> bool:
    """Tell whether ``h`` is a row, and rows of real numbers are whole words of four."""
    variant = forced_variant("convolve") or ("direct" if x.device.is_cpu else "direct_rows")
    if h.size != h.shape[-1] or c64 in (x.dtype, h.dtype) or variant == "direct":
        return False
    whole_words = x.shape[-1] % 4 == y.shape[-1] % 4 == 0
    same_rows = x.shape[:-1] == y.shape[:-1]
    return y.size > 0 and same_rows and (whole_words or x.size == x.shape[-1])


def _launch_rows(x: Buffer[Any], h: Buffer[Any], y: Buffer[Any], first: int) -> None:
    """Record the convolution of rows of ``x`` with the row ``h``, from element ``first`` on."""
    words = math.prod(y.shape[:-1]) * ceil_div(y.shape[-1], 4)
    sizes: dict[str, int | float] = {
        "count": words,
        "extent": y.shape[-1],
        "x_extent": x.shape[-1],
        "taps": h.shape[-1],
        "first": first,
    }
    words_each = 2 if words >= _MANY_WORDS else 1
    launch = kernel(x.device, "signal/direct_rows.wgsl", rest=(first + 1) % 4, words=words_each)
    launch(x, h, y, sizes, grid=flat_grid(words, _GROUP * words_each))
