"""Transposed convolution: the adjoint of a convolution, which enlarges feature maps.

Result o is ``sum x[i] w[k]`` over ``o = i stride - padding + k dilation``. The results o with one
remainder by the stride see the same taps: for each remainder this is an ordinary convolution with
some of the taps in reverse order, and its results are dealt out. In two dimensions with stride 2,
an even kernel and odd padding these are a batch of one product.

Weights are (kernel..., Cin / groups, Cout), as in `gpustd.nn.conv.convolution`: PyTorch's
(Cin, Cout / groups, kernel...) of each group, with the first two axes behind the kernel's.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from typing import Any

from gpucore import ArgumentError, Buffer, ShapeError, T, f32
from gpucore.integers import ceil_div
from gpustd.launch.checks import as_int, require_buffer_fits
from gpustd.launch.elements import common_scalar, float_scalar, launch_each, launch_flat, width_of
from gpustd.launch.template import Value
from gpustd.matmul.conv import Padding, Window, conv_matmul
from gpustd.matmul.epilogue import Epilogue
from gpustd.matmul.launching import launch_matmul
from gpustd.nn.conv.convolution import check_bias, check_weight
from gpustd.nn.conv.dispatch import convolve
from gpustd.nn.conv.windows import AXES, Axis, Extents, each_axis, spatial

__all__ = ["conv_transpose1d", "conv_transpose2d", "conv_transpose3d"]


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
    """``x`` (N, L, C) with ``weight`` (k, C / groups, Cout).

    Returns (N, (L - 1) stride - 2 padding + dilation (k - 1) + output_padding + 1, Cout); operands
    f16 or f32, bias f32 (Cout,), sums f32. ``padding`` is what is cut from both ends,
    ``output_padding`` what is added at the end. Raises `ShapeError`, `ArgumentError`, `DTypeError`.

        >>> import numpy as np
        >>> from gpucore import Device
        >>> from gpustd import nn
        >>> up = Device.auto().buffer_from_array
        >>> x = up(np.array([[[1], [2]]], np.float32))
        >>> w = up(np.array([[[1]], [[10]], [[100]]], np.float32))
        >>> nn.conv_transpose1d(x, w, stride=2).read().ravel().tolist()
        [1.0, 10.0, 102.0, 20.0, 200.0]
    """
    numbers = (stride, padding, output_padding, dilation)
    return _transposed("conv_transpose1d", 1, (x, weight, bias), numbers, groups)


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
    """``x`` (N, H, W, C) with ``weight`` (kh, kw, C / groups, Cout), as (N, Hout, Wout, Cout).

    Extents, dtypes and errors as `conv_transpose1d`.

        >>> import numpy as np
        >>> from gpucore import Device
        >>> from gpustd import nn
        >>> up = Device.auto().buffer_from_array
        >>> x, w = up(np.full((1, 1, 2, 1), 3, np.float32)), up(np.ones((2, 2, 1, 1), np.float32))
        >>> nn.conv_transpose2d(x, w, padding=(0, 1), output_padding=0).read().ravel().tolist()
        [6.0, 6.0]
    """
    numbers = (stride, padding, output_padding, dilation)
    return _transposed("conv_transpose2d", 2, (x, weight, bias), numbers, groups)


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
    """``x`` (N, D, H, W, C) with ``weight`` (kd, kh, kw, C / groups, Cout), as (N, ..., Cout).

    Extents, dtypes and errors as `conv_transpose1d`.

        >>> import numpy as np
        >>> from gpucore import Device
        >>> from gpustd import nn
        >>> x = Device.auto().buffer_from_array(np.full((1, 1, 1, 1, 1), 3, np.float32))
        >>> nn.conv_transpose3d(x, x).read().ravel().tolist()
        [9.0]
    """
    numbers = (stride, padding, output_padding, dilation)
    return _transposed("conv_transpose3d", 3, (x, weight, bias), numbers, groups)


@dataclass(frozen=True)
class _Phase:
    """The results of one remainder along an axis: their window, and the taps it sees.

    Tap t of the window is tap ``last - t step`` of the kernel.
    """

    axis: Axis
    last: int
    step: int
    remainder: int


@dataclass(frozen=True)
class _Scatter:
    """A transposed convolution along one axis, of ``result`` elements."""

    size: int
    kernel: int
    stride: int
    padding: int
    dilation: int
    result: int

    @property
    def doubles(self) -> bool:
        """Whether both remainders by 2 see equally many taps, those of 1 one element further on."""
        plain = (self.stride, self.dilation, self.padding % 2, self.kernel % 2) == (2, 1, 1, 0)
        return plain and self.result % 2 == 0 and self.padding < self.kernel - 1

    @property
    def pads(self) -> tuple[int, int]:
        """Zeros before and after, for the results of remainder 0 of what `doubles`."""
        before = (self.kernel - 1 - self.padding) // 2
        return before, before - 1

    def phases(self) -> list[_Phase]:
        """One for each remainder of the results by the stride."""
        return [self._phase(r) for r in range(min(self.stride, self.result))]

    def _phase(self, remainder: int) -> _Phase:
        results = ceil_div(self.result - remainder, self.stride)
        common = math.gcd(self.stride, self.dilation)
        step = self.stride // common
        start = remainder + self.padding
        taps = [k for k in range(self.kernel) if (start - k * self.dilation) % self.stride == 0]
        if not taps:
            # No tap meets these results: one that lies behind the elements gives zeros.
            return _Phase(Axis(self.size, before=-self.size, result=results), 0, 1, remainder)
        first = (start - taps[-1] * self.dilation) // self.stride
        axis = Axis(
            self.size,
            len(taps),
            dilation=self.dilation // common,
            before=-first,
            result=results,
        )
        return _Phase(axis, taps[-1], step, remainder)


def _transposed(
    op: str,
    rank: int,
    operands: tuple[Buffer[T], Buffer[T], Buffer[f32] | None],
    numbers: tuple[Extents, Extents, Extents, Extents],
    groups: int,
) -> Buffer[T]:
    x, weight, bias = operands
    sizes, groups = spatial(op, x, rank), as_int(op, "groups", groups)
    check_weight(op, rank, x, weight, groups)
    check_bias(op, weight.shape[-1], bias)
    float_scalar(op, x, weight)
    axes = _axes(op, sizes, weight.shape[:rank], numbers)
    if rank == 2 and groups == 1 and all(axis.doubles for axis in axes):
        return _doubled(op, x, weight, bias, axes)
    lead = (1,) * (3 - rank)
    along = [_Scatter(1, 1, 1, 0, 1, 1)] * (3 - rank) + axes
    volumes = x.view((x.shape[0], *lead, *x.shape[1:]))
    kernel = weight.view((*lead, *weight.shape))
    shape = (x.shape[0], *(axis.result for axis in axes), weight.shape[-1])
    require_buffer_fits(op, x.device, x.dtype, shape)
    phases = list(itertools.product(*(axis.phases() for axis in along)))
    if len(phases) == 1:
        return _phase_result(op, volumes, kernel, bias, phases[0], groups).view(shape)
    y = x.device.buffer(x.dtype, shape)
    for phase in phases if y.size else ():
        _deal_out(_phase_result(op, volumes, kernel, bias, phase, groups), y, along, phase)
    return y


def _doubled(
    op: str, x: Buffer[T], weight: Buffer[T], bias: Buffer[f32] | None, axes: list[_Scatter]
) -> Buffer[T]:
    """The four convolutions of stride 2 as a batch of one product, which deals its results out."""
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
    window = Window(padding=Padding(top, bottom, left, right))
    matmul = conv_matmul(op, x, None, u.shape[2:], window, None, 0)
    launch_matmul(replace(matmul, batch=4), x, u, y, epilogue=Epilogue(bias))
    return y


def _axes(
    op: str,
    sizes: tuple[int, ...],
    kernel: tuple[int, ...],
    numbers: tuple[Extents, Extents, Extents, Extents],
) -> list[_Scatter]:
    rank = len(sizes)
    stride, padding, output_padding, dilation = numbers
    columns = (
        each_axis(op, "stride", stride, rank),
        each_axis(op, "padding", padding, rank, 0),
        each_axis(op, "output_padding", output_padding, rank, 0),
        each_axis(op, "dilation", dilation, rank),
    )
    axes = []
    for size, k, s, p, more, d in zip(sizes, kernel, *columns, strict=True):
        if more >= max(s, d):
            raise ArgumentError(
                f"{op}: output_padding {more} must be less than stride {s} or dilation {d}"
            )
        result = (size - 1) * s - 2 * p + d * (k - 1) + more + 1
        if k < 1 or size < 1 or result < 1:
            raise ShapeError(
                f"{op}: extent {size} with kernel {k}, stride {s}, padding {p}: no result"
            )
        axes.append(_Scatter(size, k, s, p, d, result))
    return axes


def _phase_result(
    op: str,
    x: Buffer[T],
    weight: Buffer[T],
    bias: Buffer[f32] | None,
    phase: tuple[_Phase, ...],
    groups: int,
) -> Buffer[T]:
    z, y, xs = (p.axis for p in phase)
    return convolve(op, x, _taps(weight, phase), bias, (z, y, xs), groups)


def _taps(weight: Buffer[T], phase: tuple[_Phase, ...]) -> Buffer[T]:
    """The taps of the kernel that a phase sees, in the order of its window."""
    kernel = tuple(p.axis.kernel for p in phase)
    if kernel == (1, 1, 1) == weight.shape[:3]:
        return weight
    y = weight.device.buffer(weight.dtype, (*kernel, *weight.shape[3:]))
    inner = math.prod(weight.shape[3:])
    width = width_of(inner)
    sizes: dict[str, int] = {"units": inner // width}
    for name, p, taps in zip(AXES, phase, weight.shape[:3], strict=True):
        sizes |= {
            f"taps_{name}": taps,
            f"kernel_{name}": p.axis.kernel,
            f"last_{name}": p.last,
            f"step_{name}": p.step,
        }
    spec: dict[str, Value] = {"scalar": common_scalar("conv_transpose", weight), "width": width}
    launch_flat("nn/taps.wgsl", spec, (weight, y), y.size // width, sizes)
    return y


def _deal_out(
    part: Buffer[Any], y: Buffer[Any], along: list[_Scatter], phase: tuple[_Phase, ...]
) -> None:
    """Write the results of a phase to their places."""
    width = width_of(part.shape[4])
    sizes: dict[str, int] = {"units": part.shape[4] // width}
    for name, p, axis in zip(AXES, phase, along, strict=True):
        sizes |= {
            f"part_{name}": p.axis.result,
            f"result_{name}": axis.result,
            f"stride_{name}": axis.stride,
            f"first_{name}": p.remainder,
        }
    spec: dict[str, Value] = {"scalar": common_scalar("conv_transpose", part), "width": width}
    launch_each("nn/deal_out.wgsl", spec, (part, y), part.size // width, sizes)
