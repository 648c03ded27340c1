"""Launching kernels that make each element from a small square round it: ``image/stencil.wgsl``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from gpucore import Buffer, u8
from gpucore.integers import ceil_div
from gpustd.image.border import CONSTANT
from gpustd.image.grids import fits_strips
from gpustd.image.picture import Picture
from gpustd.launch.template import Value, kernel
from gpustd.launch.variants import forced_tile, forced_variant

__all__ = ["fits_stencil", "launch_stencil"]


def fits_stencil(image: Buffer[Any], picture: Picture) -> bool:
    """Whether `launch_stencil` takes the image: rows of whole words, on a GPU."""
    variant = forced_variant("stencil") or ("cells" if image.device.is_cpu else "stencil")
    return variant == "stencil" and fits_strips(picture)


def launch_stencil(
    name: str,
    spec: Mapping[str, Value],
    buffers: Sequence[Buffer[Any]],
    picture: Picture,
    size: int,
    border: tuple[int, float],
    plan: tuple[int, int, int] = (4, 4, 128),
) -> None:
    """Record ``shaders/image/<name>``, a window of ``size`` by ``size``, 3 or 5.

    The first buffer is the source, the last the result; ``border`` is the mode's number and the
    constant; ``plan`` bounds the cells of an invocation where levels make levels, and is its rows
    and the invocations of a workgroup.
    """
    source, result = buffers[0], buffers[-1]
    halo = ceil_div(size // 2 * picture.channels, 4)
    levels = source.dtype is u8 is result.dtype
    cells = math.gcd(picture.row // 4, plan[0]) if levels else 1
    lanes = 32 if cells == 1 else 16
    tile: Any = forced_tile("stencil") or (lanes, plan[2] // lanes, plan[1], cells)
    lanes, down, steps, cells = tile
    units = picture.row // (4 * cells)
    full: dict[str, Value] = {
        "source": source.dtype.name,
        "target": result.dtype.name,
        "constant": border[0] == CONSTANT,
        "channels": picture.channels,
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
        "rows": picture.height,
        "across": units,
        "width": picture.width,
        "mode": border[0],
        "fill": border[1],
    }
    grid = (ceil_div(units, lanes), ceil_div(picture.height, down * steps), picture.images)
    kernel(result.device, f"image/{name}", **full)(*buffers, sizes, grid=grid)
