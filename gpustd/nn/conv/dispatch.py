"""Convolution over up to three axes by the kernel that suits it.

One group is a matrix product (`gpustd.conv2d` where it can, else `gpustd.product` with the
addressing in ``shaders/nn/voxels.wgsl``), a group for each channel is bound by memory and has a
kernel of its own, and the groups between have those of `gpustd.nn.conv.grouped`.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from gpucore import Buffer, T, f32
from gpustd.launch.elements import float_scalar
from gpustd.launch.template import Value
from gpustd.launch.variants import forced_variant
from gpustd.matmul.conv import conv2d
from gpustd.matmul.epilogue import Epilogue
from gpustd.matmul.launching import launch_matmul
from gpustd.nn.conv.blocks import launch_window
from gpustd.nn.conv.grouped import launch_grouped
from gpustd.nn.conv.unfold import unfolded
from gpustd.nn.conv.voxels import voxel_matmul
from gpustd.nn.conv.windows import Window
from gpustd.nn.conv.winograd import best_block, in_blocks

__all__ = ["convolve"]

# Products mask taps by bits of a word; see gpustd.product.
_MOST_TAPS = 30
_MOST_UNFOLDED = 2**28


def convolve(
    op: str,
    x: Buffer[T],
    w: Buffer[T],
    bias: Buffer[f32] | None,
    window: Window,
    groups: int,
) -> Buffer[T]:
    """``x`` (N, D, H, W, C) with ``w`` (kd, kh, kw, C / groups, Cout), as (N, ..., Cout).

    Extents are those of the window, whose ``before`` may be negative.
    """
    scalar = float_scalar(op, x, w)
    shape = (x.shape[0], *(axis.result for axis in window), w.shape[4])
    if not math.prod(shape):
        return x.device.buffer(x.dtype, shape)
    if groups == 1:
        block = best_block(x, w, window)
        if block:
            return in_blocks(op, x, w, bias, window, block)
        return _dense(op, x, w, bias, window)
    y = x.device.buffer(x.dtype, shape)
    operands = (x, w) if bias is None else (x, w, bias)
    if groups == x.shape[4] == w.shape[4]:
        _depthwise(scalar, operands, y, window)
    else:
        launch_grouped(scalar, operands, y, window, groups)
    return y


def _dense(
    op: str, x: Buffer[T], w: Buffer[T], bias: Buffer[f32] | None, window: Window
) -> Buffer[T]:
    """One group: all channels of a tap are one run of elements."""
    padding = _plane(window)
    taps = math.prod(axis.kernel for axis in window)
    forced = forced_variant("nn.conv")
    many = taps > _MOST_TAPS and not x.device.is_cpu
    if forced == "unfold" or (many and forced is None):
        narrow = _narrowed(x, w, window)
        if narrow is not None:
            return _dense(op, narrow[0], narrow[1], bias, narrow[2])
    shape = (x.shape[0], *(axis.result for axis in window), w.shape[4])
    if padding is not None and forced != "voxels":
        _, ay, ax = window
        image = x.view((x.shape[0], ay.size, ax.size, x.shape[4]))
        stride = ax.stride if ax.result > 1 else ay.stride
        plane = w.view((ay.kernel, ax.kernel, *w.shape[3:]))
        return conv2d(image, plane, bias=bias, stride=stride, padding=padding).view(shape)
    y = x.device.buffer(x.dtype, shape)
    matmul = voxel_matmul(op, shape, x.shape[4], window)
    launch_matmul(matmul, x, w, y, epilogue=Epilogue(bias))
    return y


def _plane(window: Window) -> tuple[int, int, int, int] | None:
    """Padding (top, bottom, left, right) where `gpustd.conv2d` can do it, else None."""
    z, y, x = window
    if (z.size, z.kernel, z.before, z.result) != (1, 1, 0, 1):
        return None
    if any(a.dilation > 1 and a.kernel > 1 for a in (y, x)):
        return None
    if y.result > 1 < x.result and y.stride != x.stride:
        return None
    stride = x.stride if x.result > 1 else y.stride
    pads: list[int] = []
    for axis in (y, x):
        after = (axis.result - 1) * stride + axis.kernel - axis.size - axis.before
        room = axis.size + axis.before + max(after, 0) - axis.kernel
        if axis.before < 0 or room // stride + 1 != axis.result:
            return None
        pads += [axis.before, max(after, 0)]
    return pads[0], pads[1], pads[2], pads[3]


def _narrowed(
    x: Buffer[T], w: Buffer[T], window: Window
) -> tuple[Buffer[T], Buffer[T], Window] | None:
    """The same with one axis of the window moved to the channels; None where it grows too large."""
    axis = max(i for i, a in enumerate(window) if a.kernel > 1 or i == 0)
    along = window[axis]
    if along.kernel == 1 or x.size // along.size * along.result * along.kernel > _MOST_UNFOLDED:
        return None
    shape = tuple(1 if i == axis else a.kernel for i, a in enumerate(window))
    flat = w.view((*shape, along.kernel * w.shape[3], w.shape[4]))
    done = replace(along, size=along.result, kernel=1, stride=1, dilation=1, before=0, after=0)
    z, y, x_axis = (done if i == axis else a for i, a in enumerate(window))
    return unfolded(x, axis + 1, along), flat, (z, y, x_axis)


def _depthwise(
    scalar: str, operands: tuple[Buffer[Any], ...], y: Buffer[Any], window: Window
) -> None:
    spec: dict[str, Value] = {"scalar": scalar, "bias": len(operands) > 2}
    launch_window("depthwise", spec, (*operands, y), window, {})
