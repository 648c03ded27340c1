"""Transposition: axes in another order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from gpucore import ArgumentError, Buffer, ShapeError, T, i8, u8
from gpucore.integers import ceil_div
from gpustd.arrays.axes import axis_of
from gpustd.arrays.moving.strided import gather_strided, strides_of
from gpustd.launch.checks import require_buffers
from gpustd.launch.elements import common_scalar, launch_each, width_of
from gpustd.launch.grid import flat_grid
from gpustd.launch.template import Value, kernel
from gpustd.launch.variants import forced_variant

__all__ = ["merged_strides", "transpose"]

_WGSL_SCALARS = ("f16", "f32", "i32", "u32")
_MOST_AXES = 6
_TILE_SIDE = 32
# Bytes across a block of bytes that is transposed at once.
_BLOCK = 128


def transpose(x: Buffer[T], axes: Sequence[int] | None = None) -> Buffer[T]:
    """Permute the axes: axis i of the result is axis ``axes[i]`` of ``x``; reversed for None.

    Raises `ShapeError`, `ArgumentError`.

    >>> x = device.buffer_from_array(np.arange(6, dtype=np.uint8).reshape(2, 3))
    >>> arrays.transpose(x).read().tolist()
    [[0, 3], [1, 4], [2, 5]]
    """
    require_buffers("transpose", x)
    if axes is not None and not isinstance(axes, Sequence):
        raise ArgumentError(f"transpose: axes must be a sequence such as (1, 0), got {axes!r}")
    rank = len(x.shape)
    order = list(range(rank))[::-1] if axes is None else [axis_of("transpose", a, x) for a in axes]
    if sorted(order) != list(range(rank)):
        raise ShapeError(f"transpose: axes must be each axis of {x.shape} once, got {order}")
    shape = tuple(x.shape[a] for a in order)
    if x.dtype.name in _WGSL_SCALARS and rank <= _MOST_AXES:
        return _transpose_scalars(x, shape, order)
    matrices = _byte_matrices(x, order)
    if matrices is not None:
        return _transpose_bytes(x, matrices).view(shape)
    strides = strides_of(x.shape)
    return gather_strided("transpose", x, shape, [strides[a] for a in order])


def _transpose_scalars(x: Buffer[T], shape: tuple[int, ...], order: Sequence[int]) -> Buffer[T]:
    """Transpose a dtype that WGSL has, of up to 6 axes."""
    y = x.device.buffer(x.dtype, shape)
    extents, strides = merged_strides(x.shape, order)
    tiles = not x.device.is_cpu and strides[-1] > 1
    variant = forced_variant("transpose") or ("tiles" if tiles else "transpose")
    if variant == "tiles" and strides[-1] > 1 and y.size:
        _launch_tiles(x, y, extents, strides)
    else:
        _launch_words(x, y, extents, strides)
    return y


def _launch_words(x: Buffer[T], y: Buffer[T], extents: list[int], strides: list[int]) -> None:
    """Record a gather of each word of the result; a last axis that stays moves in words."""
    width = width_of(extents[-1], *strides[:-1]) if strides[-1] == 1 else 1
    sizes = {f"extent{i}": n for i, n in enumerate(extents)}
    sizes |= {f"stride{i}": n // width for i, n in enumerate(strides)}
    last = len(extents) - 1
    sizes |= {f"extent{last}": extents[-1] // width, f"stride{last}": strides[-1]}
    spec: dict[str, Value] = {
        "scalar": common_scalar("transpose", x),
        "width": width,
        "rank": len(extents),
    }
    launch_each("arrays/layout/transpose.wgsl", spec, (x, y), y.size // width, sizes)


def _launch_tiles(x: Buffer[T], y: Buffer[T], extents: list[int], strides: list[int]) -> None:
    """Record the transpose by tiles of the result's last axis and of all others."""
    pitches = [math.prod(extents[i + 1 :]) for i in range(len(extents))]
    inward = sorted(range(len(extents) - 1), key=lambda i: strides[i])
    others = y.size // extents[-1]
    across = ceil_div(extents[-1], _TILE_SIDE)
    blocks = across * ceil_div(others, _TILE_SIDE)
    sizes = {
        "blocks": blocks,
        "across": across,
        "last": extents[-1],
        "others": others,
        "inner": strides[-1],
    }
    sizes |= {f"extent{n}": extents[i] for n, i in enumerate(inward)}
    sizes |= {f"stride{n}": pitches[i] for n, i in enumerate(inward)}
    spec: dict[str, Value] = {"scalar": common_scalar("transpose", x), "rank": len(extents)}
    kernel(x.device, "arrays/layout/tiles.wgsl", **spec)(x, y, sizes, grid=flat_grid(blocks, 1))


def merged_strides(shape: Sequence[int], order: Sequence[int]) -> tuple[list[int], list[int]]:
    """Return the result's extents and their strides in ``x``.

    Neighbouring axes that stay neighbours count as one, and axes of one element do not count.
    """
    strides = strides_of(shape)
    extents_out, strides_out = [1], [1]
    for a in order:
        if shape[a] == 1:
            continue
        if strides_out[-1] == shape[a] * strides[a]:
            extents_out[-1] *= shape[a]
            strides_out[-1] = strides[a]
        else:
            extents_out.append(shape[a])
            strides_out.append(strides[a])
    first = 1 if len(extents_out) > 1 else 0
    return extents_out[first:], strides_out[first:]


class _Matrices(NamedTuple):
    """A batch of matrices of bytes."""

    matrices: int
    rows: int
    columns: int


def _byte_matrices(x: Buffer[Any], order: Sequence[int]) -> _Matrices | None:
    """Return the matrices of bytes whose transposes are the result; None where it is otherwise."""
    extents, strides = merged_strides(x.shape, order)
    cpu = x.device.is_cpu and forced_variant("transpose") != "tiles"
    if x.dtype not in (i8, u8) or cpu or len(extents) not in (2, 3) or strides[-2] != 1:
        return None
    columns, rows = extents[-2:]
    count = extents[0] if len(extents) == 3 else 1
    if strides[-1] != columns or (count > 1 and strides[0] != rows * columns):
        return None
    return None if not x.size or rows % 4 or columns % 4 else _Matrices(count, rows, columns)


def _transpose_bytes(x: Buffer[T], matrices: _Matrices) -> Buffer[T]:
    """Return matrices of bytes transposed: (count, columns, rows)."""
    count, rows, columns = matrices
    y = x.device.buffer(x.dtype, (count, columns, rows))
    sizes = {"rows": rows // 4, "columns": columns // 4}
    sizes |= {"down": ceil_div(rows, _BLOCK), "across": ceil_div(columns, _BLOCK)}
    sizes["count"] = count * sizes["down"] * sizes["across"]
    launch = kernel(x.device, "arrays/transpose_bytes.wgsl", kind=x.dtype.name)
    launch(x, y, sizes, grid=flat_grid(sizes["count"], 1))
    return y
