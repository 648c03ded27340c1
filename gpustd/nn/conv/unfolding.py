"""Windows along one axis written out as channels."""

from __future__ import annotations

import math

from gpucore import Buffer, T
from gpustd.launch.elements import common_scalar, launch_each, width_of
from gpustd.launch.template import Value
from gpustd.nn.conv.windows import Axis

__all__ = ["unfold"]


def unfold(x: Buffer[T], number: int, axis: Axis) -> Buffer[T]:
    """Return (..., size, ..., C) as (..., result, ..., kernel * C): a window's taps side by side.

    ``number`` is the axis in ``x``; the axes between it and the channels have windows of one tap.
    """
    shape = x.shape
    channels = shape[-1]
    y_shape = (*shape[:number], axis.result, *shape[number + 1 : -1], axis.kernel * channels)
    y = x.device.buffer(x.dtype, y_shape)
    width = width_of(channels)
    spec: dict[str, Value] = {"scalar": common_scalar("unfold", x), "width": width}
    sizes = {
        "units": channels // width,
        "kernel": axis.kernel,
        "inner": math.prod(shape[number + 1 : -1]),
        "size": axis.size,
        "result": axis.result,
        "stride": axis.stride,
        "dilation": axis.dilation,
        "before": axis.before,
    }
    launch_each("nn/unfold.wgsl", spec, (x, y), y.size // width, sizes)
    return y
