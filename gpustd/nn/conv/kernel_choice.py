"""Convolution over up to three axes by the kernel that is fastest for it.

One group is a matrix product: by `gpustd.fused_conv2d` where it can, else with the addressing in
``shaders/nn/voxels.wgsl``. A group for each channel is bound by memory and has a kernel of its own.
Groups of several channels have those of `gpustd.nn.conv.grouped`.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Generic, NamedTuple

from gpucore import Buffer, T, f32
from gpustd.launch.elements import float_scalar
from gpustd.launch.template import Value
from gpustd.launch.variants import forced_variant
from gpustd.matmul.conv import fused_conv2d
from gpustd.matmul.epilogue import Epilogue
from gpustd.matmul.launching import launch_matmul
from gpustd.nn.conv.blocks import launch_window
from gpustd.nn.conv.grouped import launch_grouped
from gpustd.nn.conv.unfolding import unfold
from gpustd.nn.conv.voxels import voxel_matmul
from gpustd.nn.conv.windows import Axis, Window
from gpustd.nn.conv.winograd_slices import best_block, convolve_in_blocks

__all__ = ["convolve"]

# Products mask taps by the bits of one word; see gpustd.matmul.launching.
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
    """Convolve ``x`` (N, D, H, W, C) with ``w`` (kd, kh, kw, C / groups, Cout).

    Returns (N, ..., Cout). Extents are those of the window, whose ``before`` may be negative.
    """
    scalar = float_scalar(op, x, w)
    shape = (x.shape[0], *(axis.result for axis in window), w.shape[4])
    if not math.prod(shape):
        return x.device.buffer(x.dtype, shape)
    if groups == 1:
        block = best_block(x, w, window)
        if block:
            return convolve_in_blocks(op, x, w, bias, window, block)
        return _convolve_dense(op, x, w, bias, window)
    y = x.device.buffer(x.dtype, shape)
    operands = (x, w) if bias is None else (x, w, bias)
    if groups == x.shape[4] == w.shape[4]:
        spec: dict[str, Value] = {"scalar": scalar, "bias": bias is not None}
        launch_window("depthwise", spec, (*operands, y), window, {})
    else:
        launch_grouped(scalar, operands, y, window, groups)
    return y


def _convolve_dense(
    op: str, x: Buffer[T], w: Buffer[T], bias: Buffer[f32] | None, window: Window
) -> Buffer[T]:
    """Convolve one group: all channels of a tap are one run of elements."""
    pads = _plane_pads(window)
    taps = math.prod(axis.kernel for axis in window)
    forced = forced_variant("nn.conv")
    many = taps > _MOST_TAPS and not x.device.is_cpu
    if forced == "unfold" or (many and forced is None):
        unfolded = _unfold_one_axis(x, w, window)
        if unfolded is not None:
            return _convolve_dense(op, unfolded.x, unfolded.w, bias, unfolded.window)
    shape = (x.shape[0], *(axis.result for axis in window), w.shape[4])
    if pads is not None and forced != "voxels":
        _, ay, ax = window
        image = x.view((x.shape[0], ay.size, ax.size, x.shape[4]))
        plane = w.view((ay.kernel, ax.kernel, *w.shape[3:]))
        stride = _plane_stride(ay, ax)
        return fused_conv2d(image, plane, bias=bias, stride=stride, padding=pads).view(shape)
    y = x.device.buffer(x.dtype, shape)
    matmul = voxel_matmul(op, shape, x.shape[4], window)
    launch_matmul(matmul, x, w, y, epilogue=Epilogue(bias))
    return y


def _plane_stride(y: Axis, x: Axis) -> int:
    """Return the one stride of a plane: an axis of one result has none of its own."""
    return x.stride if x.result > 1 else y.stride


def _plane_pads(window: Window) -> tuple[int, int, int, int] | None:
    """Return the zeros (top, bottom, left, right) where `fused_conv2d` can do it, else None."""
    z, y, x = window
    if (z.size, z.kernel, z.before, z.result) != (1, 1, 0, 1):
        return None
    if any(a.dilation > 1 and a.kernel > 1 for a in (y, x)):
        return None
    if y.result > 1 < x.result and y.stride != x.stride:
        return None
    stride = _plane_stride(y, x)
    pads: list[int] = []
    for axis in (y, x):
        after = (axis.result - 1) * stride + axis.kernel - axis.size - axis.before
        room = axis.size + axis.before + max(after, 0) - axis.kernel
        if axis.before < 0 or room // stride + 1 != axis.result:
            return None
        pads += [axis.before, max(after, 0)]
    return pads[0], pads[1], pads[2], pads[3]


class _Unfolded(NamedTuple, Generic[T]):
    """A convolution whose window has one axis less; its taps along it are channels."""

    x: Buffer[T]
    w: Buffer[T]
    window: Window


def _unfold_one_axis(x: Buffer[T], w: Buffer[T], window: Window) -> _Unfolded[T] | None:
    """Move one axis of the window to the channels; return None where that grows too large."""
    number = max(i for i, a in enumerate(window) if a.kernel > 1 or i == 0)
    axis = window[number]
    if axis.kernel == 1 or x.size // axis.size * axis.result * axis.kernel > _MOST_UNFOLDED:
        return None
    shape = tuple(1 if i == number else a.kernel for i, a in enumerate(window))
    flat = w.view((*shape, axis.kernel * w.shape[3], w.shape[4]))
    single = replace(axis, size=axis.result, kernel=1, stride=1, dilation=1, before=0, after=0)
    axes = (single if i == number else a for i, a in enumerate(window))
    return _Unfolded(unfold(x, number + 1, axis), flat, Window(*axes))
