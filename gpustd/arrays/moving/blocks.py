"""Copies of blocks of rows: concat, stack, slice_axis and repeat_batch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gpucore import ArgumentError, Buffer, DTypeError, ShapeError, T
from gpustd.arrays.axes import axis_of
from gpustd.arrays.moving.strided import gather_strided, strides_of
from gpustd.launch.checks import as_int, require_buffers
from gpustd.launch.elements import common_scalar, launch_each, width_of, words_of
from gpustd.launch.template import Value

__all__ = ["concat", "repeat_batch", "slice_axis", "stack"]

_WGSL_SCALARS = ("f16", "f32", "i32", "u32")
# Buffers of bytes or complex numbers that one launch joins.
_MOST_PARTS = 6


@dataclass(frozen=True)
class _Block:
    """``rows`` times ``inner`` elements to copy, with the pitch and start of both sides."""

    rows: int
    inner: int
    x_pitch: int
    x_start: int
    y_pitch: int
    y_start: int

    def copy(self, op: str, x: Buffer[Any], y: Buffer[Any]) -> None:
        """Record the copy from ``x`` to ``y``."""
        sizes = {
            "inner": self.inner,
            "x_pitch": self.x_pitch,
            "x_start": self.x_start,
            "y_pitch": self.y_pitch,
            "y_start": self.y_start,
        }
        width = width_of(*sizes.values())
        sizes = {name: n // width for name, n in sizes.items()}
        spec: dict[str, Value] = {"scalar": common_scalar(op, x, y), "width": width}
        count = self.rows * self.inner // width
        launch_each("arrays/layout/block.wgsl", spec, (x, y), count, sizes)


def concat(parts: Sequence[Buffer[T]], axis: int | None = 0) -> Buffer[T]:
    """Join buffers whose shapes differ in ``axis`` only; all flattened for None.

    Raises `ShapeError`, `DTypeError`, `ArgumentError`.

    >>> x = device.buffer_from_array([1, 2], i32)
    >>> print(arrays.concat([x, x]).read())
    [1 2 1 2]
    """
    _check_parts("concat", parts)
    if axis is None:
        parts, axis = [part.view((part.size,)) for part in parts], 0
    axis = axis_of("concat", axis, parts[0])
    scalar = parts[0].dtype.name in _WGSL_SCALARS
    if scalar:
        common_scalar("concat", *parts)
    for part in parts:
        if part.dtype is not parts[0].dtype:
            raise DTypeError(
                f"concat: buffers must have one dtype, got {parts[0]!r} and {part!r}; cast them"
            )
    shapes = [part.shape for part in parts]
    if len({(*s[:axis], -1, *s[axis + 1 :]) for s in shapes}) > 1:
        raise ShapeError(f"concat: shapes must differ in axis {axis} only, got {shapes}")
    if scalar:
        return _concat_scalars(parts, axis)
    if len(parts) == 1:
        return gather_strided("concat", parts[0], shapes[0], strides_of(shapes[0]))
    joined = list(parts)
    while len(joined) > 1:
        groups = range(0, len(joined), _MOST_PARTS)
        joined = [_concat_words(joined[k : k + _MOST_PARTS], axis) for k in groups]
    return joined[0]


def stack(parts: Sequence[Buffer[T]], axis: int = 0) -> Buffer[T]:
    """Join buffers of one shape along a new axis. Raises `ShapeError`, `DTypeError`.

    >>> x = device.buffer_from_array([1, 2], i32)
    >>> print(arrays.stack([x, x]).read().tolist())
    [[1, 2], [1, 2]]
    """
    _check_parts("stack", parts)
    axis = as_int("stack", "axis", axis)
    shape = parts[0].shape
    if any(part.shape != shape for part in parts):
        raise ShapeError(f"stack: shapes must be equal, got {[p.shape for p in parts]}")
    if not -len(shape) - 1 <= axis <= len(shape):
        raise ShapeError(f"stack: axis {axis} of {shape}: the result has {len(shape) + 1} axes")
    axis %= len(shape) + 1
    return concat([p.view((*shape[:axis], 1, *shape[axis:])) for p in parts], axis)


def slice_axis(x: Buffer[T], axis: int, start: int, stop: int) -> Buffer[T]:
    """Return the elements ``start`` to ``stop`` (not included) of an axis. Raises `ShapeError`.

    >>> x = device.buffer_from_array(np.arange(6, dtype=np.float32).reshape(2, 3))
    >>> gpustd.slice_axis(x, 1, 1, 3).read().tolist()
    [[1.0, 2.0], [4.0, 5.0]]
    """
    axis = axis_of("slice_axis", axis, x)
    extent = x.shape[axis]
    start, stop = as_int("slice_axis", "start", start), as_int("slice_axis", "stop", stop)
    if not 0 <= start <= stop <= extent:
        raise ShapeError(
            f"slice_axis: start and stop must be 0 <= start <= stop <= {extent} along axis {axis}, "
            f"got {start} and {stop}"
        )
    y = x.device.buffer(x.dtype, (*x.shape[:axis], stop - start, *x.shape[axis + 1 :]))
    rows, rest = math.prod(x.shape[:axis]), math.prod(x.shape[axis + 1 :])
    inner = (stop - start) * rest
    _Block(rows, inner, extent * rest, start * rest, inner, 0).copy("slice_axis", x, y)
    return y


def repeat_batch(x: Buffer[T], count: int) -> Buffer[T]:
    """Return ``count`` copies of ``x`` one after another along axis 0. Raises `ShapeError`.

    >>> x = device.buffer_from_array(np.array([[1, 2]], np.float32))
    >>> gpustd.repeat_batch(x, 2).read().tolist()
    [[1.0, 2.0], [1.0, 2.0]]
    """
    require_buffers("repeat_batch", x)
    count = as_int("repeat_batch", "count", count)
    if not x.shape or count < 1:
        raise ShapeError(
            f"repeat_batch: x must have an axis and count be at least 1, got {x.shape} and {count}"
        )
    y = x.device.buffer(x.dtype, (x.shape[0] * count, *x.shape[1:]))
    _Block(count, x.size, 0, 0, x.size, 0).copy("repeat_batch", x, y)
    return y


def _check_parts(op: str, parts: Any) -> None:
    """Check that ``parts`` are a list of buffers. Raises `ArgumentError`, `ShapeError`."""
    if not isinstance(parts, Sequence):
        raise ArgumentError(f"{op}: parts must be a list of buffers, got {type(parts).__name__}")
    if not len(parts):
        raise ShapeError(f"{op}: parts must be at least one buffer, got none")
    require_buffers(op, *parts)


def _concat_scalars(parts: Sequence[Buffer[T]], axis: int) -> Buffer[T]:
    """Join buffers of a dtype that WGSL has, by a copy of each."""
    first = parts[0]
    extent = sum(p.shape[axis] for p in parts)
    y = first.device.buffer(first.dtype, (*first.shape[:axis], extent, *first.shape[axis + 1 :]))
    rows, rest = math.prod(first.shape[:axis]), math.prod(first.shape[axis + 1 :])
    start = 0
    for part in parts:
        inner = part.shape[axis] * rest
        _Block(rows, inner, inner, 0, extent * rest, start).copy("concat", part, y)
        start += inner
    return y


def _concat_words(parts: Sequence[Buffer[Any]], axis: int) -> Buffer[Any]:
    """Join up to six buffers of one dtype in one launch."""
    if len(parts) == 1:
        return parts[0]
    shape = list(parts[0].shape)
    shape[axis] = sum(p.shape[axis] for p in parts)
    y: Buffer[Any] = parts[0].device.buffer(parts[0].dtype, tuple(shape))
    if y.size:
        rest = math.prod(shape[axis + 1 :])
        ends = [rest * sum(p.shape[axis] for p in parts[: k + 1]) for k in range(len(parts))]
        sizes = {"last": y.size - 1} | {f"end{k}": end for k, end in enumerate(ends)}
        spec: dict[str, Value] = {"kind": y.dtype.name, "parts": len(parts)}
        launch_each("arrays/concat.wgsl", spec, (*parts, y), words_of(y.size), sizes)
    return y
