"""Softmax over the last axis."""

from __future__ import annotations

import math

from gpucore import Buffer, ShapeError, T
from gpustd.launch.checks import require_buffers
from gpustd.launch.elements import float_scalar, width_of
from gpustd.launch.grid import flat_grid
from gpustd.launch.template import kernel
from gpustd.launch.variants import forced_variant

__all__ = ["softmax"]

_ROWS_OF_A_GROUP = {"naive": 64, "workgroup": 2}
# Rows shorter than this leave most lanes of a workgroup idle.
_SHORT = 32


def softmax(x: Buffer[T]) -> Buffer[T]:
    """``exp(x) / sum(exp(x))`` over the last axis, whose largest element is subtracted first.

    ``x`` (..., C) is f16 or f32; computed in f32. Raises `ShapeError` or `DTypeError`.

    >>> import numpy as np
    >>> import gpustd
    >>> from gpucore import Device
    >>> device = Device.auto()
    >>> x = device.buffer_from_array(np.zeros((1, 4), np.float32))
    >>> gpustd.softmax(x).read().tolist()
    [[0.25, 0.25, 0.25, 0.25]]
    """
    require_buffers("softmax", x)
    if not x.shape:
        raise ShapeError(f"softmax: {x.shape}: wants a last axis to normalise")
    length = x.shape[-1]
    scalar = float_scalar("softmax", x)
    suited = "naive" if x.device.is_cpu or length <= _SHORT else "workgroup"
    variant = forced_variant("softmax") or suited
    width = width_of(length)
    y = x.device.buffer(x.dtype, x.shape)
    if not y.size:
        return y
    rows = math.prod(x.shape[:-1])
    launch = kernel(x.device, f"nn/softmax/{variant}.wgsl", scalar=scalar, width=width)
    sizes = {"rows": rows, "units": length // width}
    launch(x, y, sizes, grid=flat_grid(rows, _ROWS_OF_A_GROUP[variant]))
    return y
