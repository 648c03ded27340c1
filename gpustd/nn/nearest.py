"""Enlarging images by nearest neighbour (`gpustd.conv` does it by itself where one follows)."""

from __future__ import annotations

from gpucore import Buffer, ShapeError, T
from gpustd.launch.checks import as_int, require_buffers
from gpustd.launch.elements import common_scalar, launch_flat, width_of
from gpustd.launch.template import Value

__all__ = ["upsample_nearest"]


def upsample_nearest(x: Buffer[T], factor: int = 2) -> Buffer[T]:
    """(N, H, W, C) to (N, factor H, factor W, C).

    Any dtype that WGSL has. Raises `ShapeError`, `DTypeError`.

    >>> import numpy as np
    >>> import gpustd
    >>> from gpucore import Device
    >>> device = Device.auto()
    >>> x = device.buffer_from_array(np.array([1, 2], np.float32).reshape(1, 1, 2, 1))
    >>> gpustd.upsample_nearest(x).read()[0, :, :, 0].tolist()
    [[1.0, 1.0, 2.0, 2.0], [1.0, 1.0, 2.0, 2.0]]
    """
    require_buffers("upsample_nearest", x)
    factor = as_int("upsample_nearest", "factor", factor)
    if len(x.shape) != 4 or factor < 1:
        raise ShapeError(
            f"upsample_nearest: {x.shape} by {factor}: wants (N, H, W, C) and a factor >= 1"
        )
    images, height, width, channels = x.shape
    y = x.device.buffer(x.dtype, (images, factor * height, factor * width, channels))
    unit = width_of(channels)
    spec: dict[str, Value] = {"scalar": common_scalar("upsample_nearest", x), "width": unit}
    sizes = {"width": width, "channels": channels // unit, "factor": factor}
    launch_flat("nn/upsample_nearest/naive.wgsl", spec, (x, y), x.size // unit, sizes)
    return y
