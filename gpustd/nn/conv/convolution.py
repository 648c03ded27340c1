"""Convolution of feature maps (N, L, C), (N, H, W, C) and (N, D, H, W, C).

Weights are (kernel..., Cin / groups, Cout): PyTorch's (Cout, Cin / groups, kernel...) with its
first two axes moved behind the kernel's and exchanged. Operands are f16 or f32, biases f32, sums
f32. ``padding`` is zeros on both sides of an axis; ``same`` keeps the extents (one zero more at
the end where their number is odd), ``valid`` adds none.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from gpucore import ArgumentError, Buffer, DTypeError, ShapeError, T, f32
from gpustd.launch.checks import as_int, require_buffers
from gpustd.nn.conv.kernel_choice import convolve
from gpustd.nn.conv.windows import (
    Axis,
    Extents,
    Padding,
    each_axis,
    spatial_extents,
    window_of,
)

__all__ = ["check_bias", "check_weight", "conv1d", "conv2d", "conv3d"]


class _Geometry(NamedTuple):
    """The arguments that place a convolution's windows."""

    stride: Extents
    padding: Padding
    dilation: Extents


def conv1d(
    x: Buffer[T],
    weight: Buffer[T],
    bias: Buffer[f32] | None = None,
    stride: Extents = 1,
    padding: Padding = 0,
    dilation: Extents = 1,
    groups: int = 1,
) -> Buffer[T]:
    """Convolve ``x`` (N, L, C) with ``weight`` (k, C / groups, Cout) to (N, Lout, Cout).

    Raises `ShapeError`, `ArgumentError`, `DTypeError`.

        >>> up = device.buffer_from_array
        >>> x = up(np.array([[[1], [2], [4], [8]]], np.float32))
        >>> nn.conv1d(x, up(np.array([[[1]], [[10]]], np.float32))).read().ravel().tolist()
        [21.0, 42.0, 84.0]
    """
    return _convolve("conv1d", 1, x, weight, bias, _Geometry(stride, padding, dilation), groups)


def conv2d(
    x: Buffer[T],
    weight: Buffer[T],
    bias: Buffer[f32] | None = None,
    stride: Extents = 1,
    padding: Padding = 0,
    dilation: Extents = 1,
    groups: int = 1,
) -> Buffer[T]:
    """Convolve ``x`` (N, H, W, C) with ``weight`` (kh, kw, C / groups, Cout).

    Returns (N, Hout, Wout, Cout). `gpustd.fused_conv2d` can also apply an activation, add a
    residual, enlarge and join images. Raises `ShapeError`, `ArgumentError`, `DTypeError`.

        >>> ones = device.buffer_from_array(np.ones((1, 3, 3, 1), np.float32))
        >>> nn.conv2d(ones, ones.view((3, 3, 1, 1)), padding="same").read().ravel().tolist()
        [4.0, 6.0, 4.0, 6.0, 9.0, 6.0, 4.0, 6.0, 4.0]
    """
    return _convolve("conv2d", 2, x, weight, bias, _Geometry(stride, padding, dilation), groups)


def conv3d(
    x: Buffer[T],
    weight: Buffer[T],
    bias: Buffer[f32] | None = None,
    stride: Extents = 1,
    padding: Padding = 0,
    dilation: Extents = 1,
    groups: int = 1,
) -> Buffer[T]:
    """Convolve ``x`` (N, D, H, W, C) with ``weight`` (kd, kh, kw, C / groups, Cout).

    Returns (N, Dout, Hout, Wout, Cout). On matrix units, 3 x 3 planes of 64 channels and more with
    padding 1 and stride 1 go by blocks as in `gpustd.winograd_conv2d`. Results in f16 then err by
    1.9e-3 of their size instead of 2e-4, and may overflow as said there. Raises `ShapeError`,
    `ArgumentError`, `DTypeError`.

        >>> x = device.buffer_from_array(np.ones((1, 2, 2, 2, 1), np.float32))
        >>> nn.conv3d(x, x.view((2, 2, 2, 1, 1))).read().ravel().tolist()
        [8.0]
    """
    return _convolve("conv3d", 3, x, weight, bias, _Geometry(stride, padding, dilation), groups)


def _convolve(
    op: str,
    rank: int,
    x: Buffer[T],
    weight: Buffer[T],
    bias: Buffer[f32] | None,
    geometry: _Geometry,
    groups: int,
) -> Buffer[T]:
    """Check the operands, add axes of one element up to three, convolve, and remove them again."""
    sizes, groups = spatial_extents(op, x, rank), as_int(op, "groups", groups)
    check_weight(op, rank, x, weight, groups)
    check_bias(op, weight.shape[-1], bias)
    axes = _window_axes(op, sizes, weight.shape[:rank], geometry)
    if any(axis.result < 1 for axis in axes):
        raise ShapeError(
            f"{op}: x must hold at least one window, got {x.shape} with weight {weight.shape} "
            f"and padding {geometry.padding!r}"
        )
    lead = (1,) * (3 - rank)
    volumes = x.view((x.shape[0], *lead, *x.shape[1:]))
    window = window_of(axes)
    y = convolve(op, volumes, weight.view((*lead, *weight.shape)), bias, window, groups)
    return y.view((y.shape[0], *y.shape[4 - rank :]))


def check_weight(op: str, rank: int, x: Buffer[Any], weight: Buffer[Any], groups: int) -> None:
    """Check that the weights fit ``x`` and the groups. Raises `ShapeError`, `ArgumentError`."""
    require_buffers(op, weight)
    axes = ", ".join(("kd", "kh", "kw")[3 - rank :] if rank > 1 else ("k",))
    if len(weight.shape) != rank + 2:
        raise ShapeError(f"{op}: weight must be ({axes}, C / groups, Cout), got {weight.shape}")
    inputs, outputs = weight.shape[-2:]
    if groups < 1 or x.shape[-1] != inputs * groups or outputs % groups:
        raise ShapeError(
            f"{op}: weight must be ({axes}, C / groups, Cout) with a Cout that groups divides, "
            f"got {weight.shape} for x {x.shape} in {groups} groups"
        )


def check_bias(op: str, channels: int, bias: Buffer[Any] | None) -> None:
    """Check that a bias is f32 (channels,). Raises `ShapeError`, `DTypeError`."""
    if bias is None:
        return
    require_buffers(op, bias)
    if bias.shape != (channels,):
        raise ShapeError(f"{op}: bias must be ({channels},), got {bias.shape}")
    if bias.dtype is not f32:
        raise DTypeError(f"{op}: bias must be f32, got {bias!r}; cast it to f32")


def _window_axes(
    op: str, sizes: tuple[int, ...], kernel: tuple[int, ...], geometry: _Geometry
) -> list[Axis]:
    """Return the window along each axis. Raises `ArgumentError`, `ShapeError`."""
    rank = len(sizes)
    strides = each_axis(op, "stride", geometry.stride, rank)
    dilations = each_axis(op, "dilation", geometry.dilation, rank)
    if min(kernel) < 1:
        raise ShapeError(f"{op}: the kernel must have at least one tap an axis, got {kernel}")
    pads = _pads(op, kernel, geometry.padding, strides, dilations)
    columns = zip(sizes, kernel, strides, dilations, pads, strict=True)
    return [Axis(size, k, s, d, *pair).fill_result() for size, k, s, d, pair in columns]


def _pads(
    op: str,
    kernel: tuple[int, ...],
    padding: Padding,
    strides: tuple[int, ...],
    dilations: tuple[int, ...],
) -> list[tuple[int, int]]:
    """Return the zeros before and after each axis. Raises `ArgumentError`."""
    if not isinstance(padding, str):
        return [(n, n) for n in each_axis(op, "padding", padding, len(kernel), 0)]
    if padding not in ("same", "valid") or (padding == "same" and max(strides) > 1):
        raise ArgumentError(
            f"{op}: padding must be numbers, 'valid', or 'same' with stride 1, "
            f"got {padding!r} with stride {strides}"
        )
    if padding == "valid":
        return [(0, 0)] * len(kernel)
    zeros = [(k - 1) * d for k, d in zip(kernel, dilations, strict=True)]
    return [(n // 2, n - n // 2) for n in zeros]
