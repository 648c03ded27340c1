"""Launches of kernels that compute one word of the result in each invocation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gpucore import Buffer
from gpucore.integers import ceil_div
from gpustd.image.shapes import ImageShape
from gpustd.launch.grid import MOST_GROUPS, flat_grid
from gpustd.launch.template import Value, kernel
from gpustd.launch.variants import forced_tile, forced_variant

__all__ = ["elements_per_word", "launch_words", "rows_per_invocation"]

# Words and rows of a workgroup in a grid of three dimensions; words of one in a flat grid.
_COLUMNS, _ROWS, _FLAT = 32, 4, 64


def elements_per_word(buffer: Buffer[Any]) -> int:
    """Return how many elements of ``buffer`` a word of four bytes holds."""
    return 4 // int(buffer.dtype.itemsize)


def launch_words(
    name: str,
    spec: Mapping[str, Value],
    buffers: Sequence[Buffer[Any]],
    target: ImageShape,
    sizes: Mapping[str, object],
    *,
    wide: bool = False,
    light: bool = False,
) -> None:
    """Record ``shaders/image/<name>``, which includes ``cells.wgsl``.

    The first buffer is the source. The last is the result, with the extents ``target``. The
    uniform holds its ``elements``, the ``rows`` of an image, the elements of a ``row``, and
    ``sizes``.

    With ``wide``, a word is four elements of either dtype that share a place on the kernel's axis.
    ``light`` says that the kernel does little but move bytes.
    """
    source, result = buffers[0], buffers[-1]
    elements = 4 if wide else elements_per_word(result)
    words = ceil_div(target.size, elements)
    three_dimensions = _fits_three_dimensions(target, elements)
    steps = rows_per_invocation(result) if light else 1
    full: dict[str, Value] = {
        "source": source.dtype.name,
        "target": result.dtype.name,
        "channels": target.channels,
        "whole": three_dimensions,
        "wide": wide,
        "steps": steps,
        **spec,
    }
    uniform: Any = {"elements": target.size, "rows": target.height, "row": target.row, **sizes}
    grid = flat_grid(words, _FLAT)
    if three_dimensions:
        across = target.row // elements
        grid = (ceil_div(across, _COLUMNS), ceil_div(target.height, _ROWS * steps), target.images)
    kernel(result.device, f"image/{name}", **full)(*buffers, uniform, grid=grid)


def rows_per_invocation(result: Buffer[Any]) -> int:
    """Return the rows that an invocation of a light kernel computes.

    They are several on a GPU, to keep its memory busy.
    """
    forced = forced_tile("cells")
    if isinstance(forced, int):
        return forced
    return 1 if result.device.is_cpu else 4


def _fits_three_dimensions(target: ImageShape, elements: int) -> bool:
    """Tell whether rows are whole words of ``elements`` and fit a grid of three dimensions."""
    if target.row % elements or forced_variant("cells") == "flat":
        return False
    limits = (MOST_GROUPS * _COLUMNS * elements, MOST_GROUPS * _ROWS, MOST_GROUPS)
    return target.row <= limits[0] and target.height <= limits[1] and target.images <= limits[2]
