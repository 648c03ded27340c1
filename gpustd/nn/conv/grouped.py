"""Convolution in groups of channels: ``shaders/nn/grouped*.wgsl``."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from gpucore import Buffer, Work, f16
from gpucore.integers import ceil_div
from gpustd.launch.elements import width_of
from gpustd.launch.grid import flat_grid
from gpustd.launch.template import Value, kernel
from gpustd.launch.variants import forced_tile
from gpustd.nn.conv.windows import Window, window_params

__all__ = ["GroupTile", "launch_grouped"]

# Pixels of an invocation of the plain kernel.
_PIXELS = 4
# On matrix units a subgroup holds the matrices of all taps, at most so many.
_MOST_TAPS = 9
# Words of 16 bytes in workgroup memory, so that many subgroups fit a multiprocessor.
_MOST_WORDS = 512
# Subgroups that fill the largest GPUs.
_MANY = 1024


@dataclass(frozen=True)
class GroupTile:
    """The results of a subgroup: a step has ``rows`` of 16 pixels and 16 channels.

    There are ``strip`` rows in all; a strip of 0 is as long as leaves enough subgroups.
    """

    rows: int
    strip: int = 0

    def words(self, window: Window) -> int:
        """Return the 16-byte words of workgroup memory for pixels and matrices of weights."""
        _, y, x = window
        lines = (self.rows - 1) * y.stride + y.span
        columns = 15 * x.stride + x.span
        return max(3 * lines * columns, 32 * x.kernel, 80)

    def rows_held(self, words: int) -> int:
        """Return the rows of results that workgroup memory of ``words`` holds at once."""
        return min(words // 80, self.rows)


def launch_grouped(
    scalar: str, operands: tuple[Buffer[Any], ...], y: Buffer[Any], window: Window, groups: int
) -> None:
    """Record the convolution of x (N, D, H, W, C) with w; ``operands`` are x, w and any bias."""
    tile = _best_tile(operands, window, groups)
    if tile is None:
        _launch_plain(scalar, operands, y, window, groups)
    else:
        _launch_matrix(operands, y, window, tile)


def _best_tile(operands: tuple[Buffer[Any], ...], window: Window, groups: int) -> GroupTile | None:
    """Return the tile for matrix units; None for the plain kernel.

    Results do not depend on the tile.
    """
    x, w = operands[:2]
    tile = forced_tile("nn.grouped")
    if isinstance(tile, GroupTile):
        return tile
    inputs, outputs = w.shape[3], w.shape[4] // groups
    z, y, xs = window
    plane = (z.kernel, z.stride, z.before, z.result) == (1, 1, 0, z.size)
    square = inputs == outputs and inputs in (2, 4, 8, 16)
    few_taps = y.kernel * xs.kernel <= _MOST_TAPS
    if not (plane and square and few_taps and x.shape[4] % 16 == 0):
        return None
    if not (x.device.has_matrix_units and x.dtype is f16):
        return None
    tiles = map(GroupTile, (4, 2, 1))
    return next((t for t in tiles if t.words(window) <= _MOST_WORDS), None)


def _launch_matrix(
    operands: tuple[Buffer[Any], ...], y: Buffer[Any], window: Window, tile: GroupTile
) -> None:
    """Record ``grouped_matrix.wgsl``, for matrix units."""
    x, w = operands[:2]
    z, ys, xs = window
    words = tile.words(window)
    spec: dict[str, Value] = {
        "matrix": True,
        "group": w.shape[3],
        "bias": len(operands) > 2,
        "rows": tile.rows,
        "words": words,
        "held": tile.rows_held(words),
    }
    for name, axis in (("y", ys), ("x", xs)):
        spec |= {f"kernel_{name}": axis.kernel, f"stride_{name}": axis.stride}
        spec |= {f"dilation_{name}": axis.dilation}
    units = x.shape[4] // 8
    lanes = x.shape[0] * z.result * ceil_div(xs.result, 16) * units // 2
    steps = ceil_div(ys.result, tile.rows)
    strips = min(ceil_div(_MANY, lanes), steps)
    strip = tile.strip or ceil_div(steps, strips) * tile.rows
    count = lanes * ceil_div(ys.result, strip)
    sizes = {"count": count, "units": units, **window_params(window), "strip": strip}
    launch = kernel(x.device, "nn/grouped_matrix.wgsl", **spec)
    launch(*operands, y, sizes, grid=flat_grid(count, 1), work=_work(operands, y))


def _launch_plain(
    scalar: str, operands: tuple[Buffer[Any], ...], y: Buffer[Any], window: Window, groups: int
) -> None:
    """Record ``grouped.wgsl``, for any device."""
    x, w = operands[:2]
    inputs, outputs = w.shape[3], w.shape[4] // groups
    width, deep = width_of(outputs), width_of(inputs)
    units = w.shape[4] // width
    spec: dict[str, Value] = {
        "scalar": scalar,
        "width": width,
        "deep": deep,
        "bias": len(operands) > 2,
        "pixels": _PIXELS,
    }
    sizes = {
        "units": units,
        **window_params(window),
        "inputs": inputs // deep,
        "outputs": outputs // width,
        "channels": x.shape[4] // deep,
    }
    across = ceil_div(window[2].result, _PIXELS)
    count = y.size // (window[2].result * w.shape[4]) * across * units
    launch = kernel(x.device, "nn/grouped.wgsl", **spec)
    launch(
        *operands, y, {"count": count, **sizes}, grid=flat_grid(count, 64), work=_work(operands, y)
    )


def _work(operands: tuple[Buffer[Any], ...], y: Buffer[Any]) -> Work:
    """Return the arithmetic and the bytes of a convolution."""
    moved = sum(b.nbytes for b in (*operands, y))
    return Work(2.0 * y.size * math.prod(operands[1].shape[:4]), moved)
