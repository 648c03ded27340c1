"""Scores to probabilities: softmax and log_softmax over any axis."""

from __future__ import annotations

import math

from gpucore import Buffer, T
from gpustd.arrays.axes import axis_of
from gpustd.launch.elements import float_scalar, launch_flat, width_of
from gpustd.launch.grid import flat_grid
from gpustd.launch.template import Value, kernel
from gpustd.launch.variants import forced_variant
from gpustd.nn.rows import launch_rows

__all__ = ["log_softmax", "softmax"]

_ROWS_OF_WORKGROUP = {"naive": 64, "workgroup": 2}
# Rows up to this length leave most lanes of a workgroup idle.
_SHORT_ROW = 32


def softmax(x: Buffer[T], axis: int = -1) -> Buffer[T]:
    """Return ``exp(x) / sum(exp(x))`` over ``axis``; the largest element is subtracted first.

    ``x`` is f16 or f32 of any shape; computed in f32. Raises `ShapeError`, `DTypeError`.

        >>> x = device.buffer_from_array(np.log(np.array([[1, 6], [3, 2]], np.float32)))
        >>> nn.softmax(x, axis=0).read().round(3).tolist()
        [[0.25, 0.75], [0.75, 0.25]]
    """
    float_scalar("softmax", x)
    if axis_of("softmax", axis, x) == len(x.shape) - 1:
        return _softmax_rows(x)
    return _launch_columns("softmax", x, axis)


def log_softmax(x: Buffer[T], axis: int = -1) -> Buffer[T]:
    """Return ``x - log(sum(exp(x)))`` over ``axis``, with no loss where the sum is large.

    ``x`` is f16 or f32 of any shape; computed in f32. Raises `ShapeError`, `DTypeError`.

        >>> x = device.buffer_from_array(np.array([[1000, 1000], [0, -20]], np.float32))
        >>> print(nn.log_softmax(x).read().round(3) + 0)
        [[ -0.693  -0.693]
         [  0.    -20.   ]]
    """
    float_scalar("log_softmax", x)
    if axis_of("log_softmax", axis, x) == len(x.shape) - 1:
        return launch_rows("log_softmax", x)
    return _launch_columns("log_softmax", x, axis)


def _softmax_rows(x: Buffer[T]) -> Buffer[T]:
    """Return the softmax over the last axis."""
    length = x.shape[-1]
    default = "naive" if x.device.is_cpu or length <= _SHORT_ROW else "workgroup"
    variant = forced_variant("softmax") or default
    width = width_of(length)
    y = x.device.buffer(x.dtype, x.shape)
    if not y.size:
        return y
    rows = math.prod(x.shape[:-1])
    spec: dict[str, Value] = {"scalar": float_scalar("softmax", x), "width": width}
    launch = kernel(x.device, f"nn/softmax/{variant}.wgsl", **spec)
    sizes = {"rows": rows, "units": length // width}
    launch(x, y, sizes, grid=flat_grid(rows, _ROWS_OF_WORKGROUP[variant]))
    return y


def _launch_columns(op: str, x: Buffer[T], axis: int) -> Buffer[T]:
    """Return ``op`` over an axis that is not the last: neighbouring lanes take columns."""
    axis %= len(x.shape)
    y = x.device.buffer(x.dtype, x.shape)
    length, inner = x.shape[axis], math.prod(x.shape[axis + 1 :])
    width = width_of(inner)
    spec: dict[str, Value] = {"scalar": float_scalar(op, x), "width": width, "kind": op}
    sizes = {"length": length, "inner": inner // width}
    count = x.size // max(length, 1) // width
    launch_flat("nn/columns.wgsl", spec, (x, y), count, sizes)
    return y
