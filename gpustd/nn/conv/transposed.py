"""Transposed convolution: the adjoint of a convolution, which enlarges feature maps.

It is computed by phases (`gpustd.nn.conv.transposed_phases`), each an ordinary convolution. In two
dimensions with stride 2, an even kernel and odd padding, the phases are a batch of one product.

Weights are (kernel..., Cin / groups, Cout), as in `gpustd.nn.conv.convolution`: PyTorch's
(Cin, Cout / groups, kernel...) of each group, with the first two axes behind the kernel's.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import NamedTuple

from gpucore import ArgumentError, Buffer, ShapeError, T, f32
from gpustd.launch.checks import as_int, require_buffer_fits
from gpustd.launch.elements import common_scalar, float_scalar, launch_flat, width_of
from gpustd.launch.template import Value
from gpustd.matmul.conv import Padding, conv_matmul
from gpustd.matmul.conv import Window as Plane
from gpustd.matmul.epilogue import Epilogue
from gpustd.matmul.launching import launch_matmul
from gpustd.nn.conv.convolution import check_bias, check_weight
from gpustd.nn.conv.kernel_choice import convolve
from gpustd.nn.conv.transposed_phases import Phase, TransposedAxis, scatter_phase, select_taps
from gpustd.nn.conv.windows import Extents, Window, each_axis, spatial_extents

__all__ = ["conv_transpose1d", "conv_transpose2d", "conv_transpose3d"]


class _Geometry(NamedTuple):
    """The arguments that place the results of a transposed convolution."""

    stride: Extents
    padding: Extents
    output_padding: Extents
    dilation: Extents


def conv_transpose1d(
    x: Buffer[T],
    weight: Buffer[T],
    bias: Buffer[f32] | None = None,
    stride: Extents = 1,
    padding: Extents = 0,
    output_padding: Extents = 0,
    groups: int = 1,
    dilation: Extents = 1,
) -> Buffer[T]:
    """Apply the adjoint of `conv1d` to ``x`` (N, L, C) with ``weight`` (k, C / groups, Cout).

    Returns (N, (L - 1) stride - 2 padding + dilation (k - 1) + output_padding + 1, Cout); operands
    f16 or f32, bias f32 (Cout,), sums f32. ``padding`` is cut from both ends, ``output_padding``
    added at the end. Raises `ShapeError`, `ArgumentError`, `DTypeError`.

        >>> up = device.buffer_from_array
        >>> x = up(np.array([[[1], [2]]], np.float32))
        >>> w = up(np.array([[[1]], [[10]], [[100]]], np.float32))
        >>> nn.conv_transpose1d(x, w, stride=2).read().ravel().tolist()
        [1.0, 10.0, 102.0, 20.0, 200.0]
    """
    geometry = _Geometry(stride, padding, output_padding, dilation)
    return _convolve_transposed("conv_transpose1d", 1, x, weight, bias, geometry, groups)


def conv_transpose2d(
    x: Buffer[T],
    weight: Buffer[T],
    bias: Buffer[f32] | None = None,
    stride: Extents = 1,
    padding: Extents = 0,
    output_padding: Extents = 0,
    groups: int = 1,
    dilation: Extents = 1,
) -> Buffer[T]:
    """Apply the adjoint of `conv2d` to ``x`` (N, H, W, C).

    ``weight`` is (kh, kw, C / groups, Cout), the result (N, Hout, Wout, Cout). Extents, dtypes and
    errors as `conv_transpose1d`.

        >>> up = device.buffer_from_array
        >>> x, w = up(np.full((1, 1, 2, 1), 3, np.float32)), up(np.ones((2, 2, 1, 1), np.float32))
        >>> nn.conv_transpose2d(x, w, padding=(0, 1), output_padding=0).read().ravel().tolist()
        [6.0, 6.0]
    """
    geometry = _Geometry(stride, padding, output_padding, dilation)
    return _convolve_transposed("conv_transpose2d", 2, x, weight, bias, geometry, groups)


def conv_transpose3d(
    x: Buffer[T],
    weight: Buffer[T],
    bias: Buffer[f32] | None = None,
    stride: Extents = 1,
    padding: Extents = 0,
    output_padding: Extents = 0,
    groups: int = 1,
    dilation: Extents = 1,
) -> Buffer[T]:
    """Apply the adjoint of `conv3d` to ``x`` (N, D, H, W, C).

    ``weight`` is (kd, kh, kw, C / groups, Cout), the result (N, Dout, Hout, Wout, Cout). Extents,
    dtypes and errors as `conv_transpose1d`.

        >>> x = device.buffer_from_array(np.full((1, 1, 1, 1, 1), 3, np.float32))
        >>> nn.conv_transpose3d(x, x).read().ravel().tolist()
        [9.0]
    """
    geometry = _Geometry(stride, padding, output_padding, dilation)
    return _convolve_transposed("conv_transpose3d", 3, x, weight, bias, geometry, groups)


def _convolve_transposed(
    op: str,
    rank: int,
    x: Buffer[T],
    weight: Buffer[T],
    bias: Buffer[f32] | None,
    geometry: _Geometry,
    groups: int,
) -> Buffer[T]:
    """Check the operands and convolve, phase by phase or all phases as a batch."""
    sizes, groups = spatial_extents(op, x, rank), as_int(op, "groups", groups)
    check_weight(op, rank, x, weight, groups)
    check_bias(op, weight.shape[-1], bias)
    float_scalar(op, x, weight)
    axes = _transposed_axes(op, sizes, weight.shape[:rank], geometry)
    if rank == 2 and groups == 1 and all(axis.doubles for axis in axes):
        return _convolve_doubled(op, x, weight, bias, axes)
    lead = (1,) * (3 - rank)
    volumes = x.view((x.shape[0], *lead, *x.shape[1:]))
    kernel = weight.view((*lead, *weight.shape))
    shape = (x.shape[0], *(axis.result for axis in axes), weight.shape[-1])
    require_buffer_fits(op, x.device, x.dtype, shape)
    three_axes = [TransposedAxis()] * (3 - rank) + axes
    phases = list(itertools.product(*(axis.phases() for axis in three_axes)))

    def convolve_phase(phase: tuple[Phase, ...]) -> Buffer[T]:
        window = Window(*(p.axis for p in phase))
        return convolve(op, volumes, select_taps(kernel, phase), bias, window, groups)

    if len(phases) == 1:
        return convolve_phase(phases[0]).view(shape)
    y = x.device.buffer(x.dtype, shape)
    for phase in phases if y.size else ():
        scatter_phase(convolve_phase(phase), y, three_axes, phase)
    return y


def _convolve_doubled(
    op: str, x: Buffer[T], weight: Buffer[T], bias: Buffer[f32] | None, axes: list[TransposedAxis]
) -> Buffer[T]:
    """Compute the four phases of stride 2 as a batch of one product, which places its results."""
    ky, kx, channels, outputs = weight.shape
    y = x.device.buffer(x.dtype, (x.shape[0], *(axis.result for axis in axes), outputs))
    if not y.size:
        return y
    u = x.device.buffer(x.dtype, (2, 2, ky // 2, kx // 2, channels, outputs))
    width = width_of(channels * outputs)
    units = channels * outputs // width
    spec: dict[str, Value] = {"scalar": common_scalar(op, weight), "width": width}
    sizes = {"units": units, "kernel_y": ky, "kernel_x": kx}
    if u.size:
        launch_flat("nn/parities.wgsl", spec, (weight, u), u.size // width, sizes)
    (top, bottom), (left, right) = (axis.pads for axis in axes)
    plane = Plane(padding=Padding(top, bottom, left, right))
    matmul = conv_matmul(op, x, None, u.shape[2:], plane, None, 0)
    launch_matmul(replace(matmul, batch=4), x, u, y, epilogue=Epilogue(bias))
    return y


def _transposed_axes(
    op: str, sizes: tuple[int, ...], kernel: tuple[int, ...], geometry: _Geometry
) -> list[TransposedAxis]:
    """Return the transposed convolution along each axis. Raises `ArgumentError`, `ShapeError`."""
    rank = len(sizes)
    columns = (
        each_axis(op, "stride", geometry.stride, rank),
        each_axis(op, "padding", geometry.padding, rank, 0),
        each_axis(op, "output_padding", geometry.output_padding, rank, 0),
        each_axis(op, "dilation", geometry.dilation, rank),
    )
    axes = []
    for size, k, s, p, more, d in zip(sizes, kernel, *columns, strict=True):
        if more >= max(s, d):
            raise ArgumentError(
                f"{op}: output_padding must be less than stride {s} or dilation {d}, got {more}"
            )
        result = (size - 1) * s - 2 * p + d * (k - 1) + more + 1
        if k < 1 or size < 1 or result < 1:
            raise ShapeError(
                f"{op}: there must be at least one result, got none of extent {size} with "
                f"kernel {k}, stride {s} and padding {p}"
            )
        axes.append(TransposedAxis(size, k, s, p, d, result))
    return axes
