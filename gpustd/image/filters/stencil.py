"""Launches of kernels that compute each element from a small square around it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from gpucore import Buffer, u8
from gpucore.integers import ceil_div
from gpustd.image.border import CONSTANT, Border
from gpustd.image.grids import fits_strips
from gpustd.image.shapes import ImageShape
from gpustd.launch.template import Value, kernel
from gpustd.launch.variants import forced_tile, forced_variant

__all__ = ["StencilPlan", "fits_stencil", "launch_stencil"]


class StencilPlan(NamedTuple):
    """The work of an invocation, and the invocations of a workgroup.

    ``max_cells`` bounds the words of a row that an invocation computes where both sides are u8.
    ``rows`` are those that it computes below each other.
    """

    max_cells: int = 4
    rows: int = 4
    workgroup: int = 128


def fits_stencil(image: Buffer[Any], shape: ImageShape) -> bool:
    """Tell whether `launch_stencil` takes the image: rows of whole words, on a GPU."""
    variant = forced_variant("stencil") or ("cells" if image.device.is_cpu else "stencil")
    return variant == "stencil" and fits_strips(shape)


def launch_stencil(
    name: str,
    spec: Mapping[str, Value],
    buffers: Sequence[Buffer[Any]],
    shape: ImageShape,
    size: int,
    border: Border,
    plan: StencilPlan | None = None,
) -> None:
    """Record ``shaders/image/<name>`` with a window of ``size`` by ``size``, 3 or 5.

    The first buffer is the source, the last one the result.
    """
    source, result = buffers[0], buffers[-1]
    plan = plan or StencilPlan()
    halo = ceil_div(size // 2 * shape.channels, 4)
    levels = source.dtype is u8 is result.dtype
    cells = math.gcd(shape.row // 4, plan.max_cells) if levels else 1
    lanes = 32 if cells == 1 else 16
    tile: Any = forced_tile("stencil") or (lanes, plan.workgroup // lanes, plan.rows, cells)
    lanes, down, steps, cells = tile
    units = shape.row // (4 * cells)
    full: dict[str, Value] = {
        "source": source.dtype.name,
        "target": result.dtype.name,
        "constant": border.mode == CONSTANT,
        "channels": shape.channels,
        "size": size,
        "left": halo,
        "right": halo,
        "cells": cells,
        "steps": steps,
        "lanes": lanes,
        "down": down,
        "halves": False,
        **spec,
    }
    sizes: Any = {
        "rows": shape.height,
        "across": units,
        "width": shape.width,
        "mode": border.mode,
        "fill": border.fill,
    }
    grid = (ceil_div(units, lanes), ceil_div(shape.height, down * steps), shape.images)
    kernel(result.device, f"image/{name}", **full)(*buffers, sizes, grid=grid)
