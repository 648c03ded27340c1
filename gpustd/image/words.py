"""Launching kernels that make each word of an image from its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gpucore import Buffer
from gpucore.integers import ceil_div
from gpustd.image.picture import Picture
from gpustd.launch.grid import MOST_GROUPS, flat_grid
from gpustd.launch.template import Value, kernel
from gpustd.launch.variants import forced_tile, forced_variant

__all__ = ["lanes_of", "launch_cells", "rows_each"]

_COLUMNS, _ROWS, _FLAT = 32, 4, 64


def lanes_of(buffer: Buffer[Any]) -> int:
    """Elements of a word of four bytes."""
    return 4 // int(buffer.dtype.itemsize)


def launch_cells(
    name: str,
    spec: Mapping[str, Value],
    buffers: Sequence[Buffer[Any]],
    made: Picture,
    sizes: Mapping[str, object],
    *,
    wide: bool = False,
    light: bool = False,
) -> None:
    """Record ``shaders/image/<name>``, which includes ``cells.wgsl``.

    The first buffer is the source, the last the result, of extents ``made``; the uniform has its
    ``elements``, ``rows`` of an image and elements of a ``row``, and ``sizes``. ``wide``: a
    word is four elements that share a place across the kernel's axis, of either dtype; ``light``:
    the kernel does little but move bytes.
    """
    source, result = buffers[0], buffers[-1]
    lanes = 4 if wide else lanes_of(result)
    words = ceil_div(made.size, lanes)
    whole = _whole(made, lanes)
    steps = rows_each(result) if light else 1
    full: dict[str, Value] = {
        "source": source.dtype.name,
        "target": result.dtype.name,
        "channels": made.channels,
        "whole": whole,
        "wide": wide,
        "steps": steps,
        **spec,
    }
    uniform: Any = {"elements": made.size, "rows": made.height, "row": made.row, **sizes}
    grid = flat_grid(words, _FLAT)
    if whole:
        across = made.row // lanes
        grid = (ceil_div(across, _COLUMNS), ceil_div(made.height, _ROWS * steps), made.images)
    kernel(result.device, f"image/{name}", **full)(*buffers, uniform, grid=grid)


def rows_each(result: Buffer[Any]) -> int:
    """Rows that an invocation of a light kernel makes: several on a GPU, to keep memory busy."""
    wanted = forced_tile("cells")
    if isinstance(wanted, int):
        return wanted
    return 1 if result.device.is_cpu else 4


def _whole(made: Picture, lanes: int) -> bool:
    """Whether rows are whole words and fit a grid of three dimensions."""
    wanted = forced_variant("cells")
    if made.row % lanes or wanted == "flat":
        return False
    most = (MOST_GROUPS * _COLUMNS * lanes, MOST_GROUPS * _ROWS, MOST_GROUPS)
    return made.row <= most[0] and made.height <= most[1] and made.images <= most[2]
