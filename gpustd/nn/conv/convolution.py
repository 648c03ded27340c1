"""Convolution of feature maps (N, L, C), (N, H, W, C) and (N, D, H, W, C).

Weights are (kernel..., Cin / groups, Cout): PyTorch's (Cout, Cin / groups, kernel...) with its
first two axes moved behind the kernel's and exchanged. Operands are f16 or f32, biases f32, sums
f32. ``padding`` is zeros on both sides of an axis; ``same`` keeps the extents (one zero more at
the end where their number is odd), ``valid`` adds none.
"""

from __future__ import annotations

from typing import Any

from gpucore import ArgumentError, Buffer, DTypeError, ShapeError, T, f32
from gpustd.launch.checks import as_int, require_buffers
from gpustd.nn.conv.dispatch import convolve
from gpustd.nn.conv.windows import Axis, Extents, Padding, each_axis, spatial, three

__all__ = ["conv1d", "conv2d", "conv3d"]


def conv1d(
    x: Buffer[T],
    weight: Buffer[T],
    bias: Buffer[f32] | None = None,
    stride: Extents = 1,
    padding: Padding = 0,
    dilation: Extents = 1,
    groups: int = 1,
) -> Buffer[T]:
    """``x`` (N, L, C) with ``weight`` (k, C / groups, Cout), as (N, Lout, Cout).

    Raises `ShapeError`, `ArgumentError`, `DTypeError`.

        >>> import numpy as np
        >>> from gpucore import Device
        >>> from gpustd import nn
        >>> up = Device.auto().buffer_from_array
        >>> x = up(np.array([[[1], [2], [4], [8]]], np.float32))
        >>> nn.conv1d(x, up(np.array([[[1]], [[10]]], np.float32))).read().ravel().tolist()
        [21.0, 42.0, 84.0]
    """
    return _convolution("conv1d", 1, (x, weight, bias), (stride, padding, dilation), groups)


def conv2d(
    x: Buffer[T],
    weight: Buffer[T],
    bias: Buffer[f32] | None = None,
    stride: Extents = 1,
    padding: Padding = 0,
    dilation: Extents = 1,
    groups: int = 1,
) -> Buffer[T]:
    """``x`` (N, H, W, C) with ``weight`` (kh, kw, C / groups, Cout), as (N, Hout, Wout, Cout).

    `gpustd.conv2d` can also apply an activation, add a residual, enlarge and join images. Raises
    `ShapeError`, `ArgumentError`, `DTypeError`.

        >>> import numpy as np
        >>> from gpucore import Device
        >>> from gpustd import nn
        >>> ones = Device.auto().buffer_from_array(np.ones((1, 3, 3, 1), np.float32))
        >>> nn.conv2d(ones, ones.view((3, 3, 1, 1)), padding="same").read().ravel().tolist()
        [4.0, 6.0, 4.0, 6.0, 9.0, 6.0, 4.0, 6.0, 4.0]
    """
    return _convolution("conv2d", 2, (x, weight, bias), (stride, padding, dilation), groups)


def conv3d(
    x: Buffer[T],
    weight: Buffer[T],
    bias: Buffer[f32] | None = None,
    stride: Extents = 1,
    padding: Padding = 0,
    dilation: Extents = 1,
    groups: int = 1,
) -> Buffer[T]:
    """``x`` (N, D, H, W, C) with ``weight`` (kd, kh, kw, C / groups, Cout), as (N, ..., Cout).

    On matrix units, 3 x 3 planes of 64 channels and more with padding 1 and no stride go by
    blocks as in `gpustd.winograd_conv2d`: results in f16 err by 1.9e-3 of their size instead of
    2e-4, and what may overflow is said there. Raises `ShapeError`,
    `ArgumentError`, `DTypeError`.

        >>> import numpy as np
        >>> from gpucore import Device
        >>> from gpustd import nn
        >>> x = Device.auto().buffer_from_array(np.ones((1, 2, 2, 2, 1), np.float32))
        >>> nn.conv3d(x, x.view((2, 2, 2, 1, 1))).read().ravel().tolist()
        [8.0]
    """
    return _convolution("conv3d", 3, (x, weight, bias), (stride, padding, dilation), groups)


def _convolution(
    op: str,
    rank: int,
    operands: tuple[Buffer[T], Buffer[T], Buffer[f32] | None],
    numbers: tuple[Extents, Padding, Extents],
    groups: int,
) -> Buffer[T]:
    """Check, add axes of one element up to three, compute, take them away again."""
    x, weight, bias = operands
    sizes, groups = spatial(op, x, rank), as_int(op, "groups", groups)
    check_weight(op, rank, x, weight, groups)
    check_bias(op, weight.shape[-1], bias)
    axes = _axes(op, sizes, weight.shape[:rank], numbers)
    if any(axis.result < 1 for axis in axes):
        raise ShapeError(
            f"{op}: {x.shape} with weights {weight.shape} and padding {numbers[1]!r}: no result"
        )
    lead = (1,) * (3 - rank)
    volumes = x.view((x.shape[0], *lead, *x.shape[1:]))
    y = convolve(op, volumes, weight.view((*lead, *weight.shape)), bias, three(axes), groups)
    return y.view((y.shape[0], *y.shape[4 - rank :]))


def check_weight(op: str, rank: int, x: Buffer[Any], weight: Buffer[Any], groups: int) -> None:
    """Raise `ShapeError` unless the weights fit ``x`` and the groups, or `ArgumentError`."""
    require_buffers(op, weight)
    if len(weight.shape) != rank + 2:
        axes = ", ".join(("kd", "kh", "kw")[3 - rank :] if rank > 1 else ("k",))
        raise ShapeError(f"{op}: weights {weight.shape}: wants ({axes}, C / groups, Cout)")
    inputs, outputs = weight.shape[-2:]
    if groups < 1 or x.shape[-1] != inputs * groups or outputs % groups:
        raise ShapeError(
            f"{op}: {x.shape} with weights {weight.shape} in {groups} groups: wants "
            "(..., C / groups, Cout), and a Cout that the groups divide"
        )


def check_bias(op: str, channels: int, bias: Buffer[Any] | None) -> None:
    """Raise `ShapeError` or `DTypeError` unless it is f32 (channels,)."""
    if bias is None:
        return
    require_buffers(op, bias)
    if bias.shape != (channels,):
        raise ShapeError(f"{op}: bias {bias.shape} for {channels} channels")
    if bias.dtype is not f32:
        raise DTypeError(f"{op}: bias must be f32, got {bias!r}: cast it")


def _axes(
    op: str,
    sizes: tuple[int, ...],
    kernel: tuple[int, ...],
    numbers: tuple[Extents, Padding, Extents],
) -> list[Axis]:
    """The window along each axis. Raises `ArgumentError`."""
    stride, padding, dilation = numbers
    rank = len(sizes)
    strides = each_axis(op, "stride", stride, rank)
    dilations = each_axis(op, "dilation", dilation, rank)
    if min(kernel) < 1:
        raise ShapeError(f"{op}: a kernel of {kernel} has no taps")
    if isinstance(padding, str):
        if padding not in ("same", "valid") or (padding == "same" and max(strides) > 1):
            raise ArgumentError(
                f"{op}: padding {padding!r} with stride {stride}: wants numbers, 'valid', or "
                "'same' with stride 1"
            )
        spans = [
            (k - 1) * d if padding == "same" else 0 for k, d in zip(kernel, dilations, strict=True)
        ]
        pads = [(n // 2, n - n // 2) for n in spans]
    else:
        pads = [(n, n) for n in each_axis(op, "padding", padding, rank, 0)]
    return [
        Axis(size, k, s, d, before, after).sized()
        for size, k, s, d, (before, after) in zip(
            sizes, kernel, strides, dilations, pads, strict=True
        )
    ]
