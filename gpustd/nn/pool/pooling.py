"""Pooling of feature maps (N, L, C), (N, H, W, C) and (N, D, H, W, C), f16 or f32.

``stride`` None is the kernel's size. ``padding`` is on both sides of an axis and at most half of
the window; ``ceil_mode`` adds the windows that begin inside and end outside. A window with a NaN
gives NaN. Sums are in f32. A mean that counts the padding divides by the elements of the window
that lie in the padded axes, as PyTorch's does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from gpucore import ArgumentError, Buffer, ShapeError, T
from gpustd.launch.elements import float_scalar, launch_flat, width_of
from gpustd.launch.template import Value
from gpustd.nn.conv.windows import (
    Axis,
    Extents,
    Window,
    each_axis,
    is_wide,
    spatial_extents,
    window_of,
)
from gpustd.nn.pool.kernels import launch_mean, launch_pool

__all__ = [
    "adaptive_avg_pool2d",
    "adaptive_max_pool2d",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "global_avg_pool",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
]


@dataclass(frozen=True)
class _Pool:
    """The arguments of a pooling over ``rank`` axes."""

    op: str
    rank: int
    kernel_size: Extents
    stride: Extents | None
    padding: Extents
    dilation: Extents
    ceil_mode: bool

    def window(self, x: Buffer[Any]) -> Window:
        """Return the window over ``x``. Raises `ShapeError`, `ArgumentError`, `DTypeError`."""
        float_scalar(self.op, x)
        sizes = spatial_extents(self.op, x, self.rank)
        stride = self.kernel_size if self.stride is None else self.stride
        numbers = [
            each_axis(self.op, "kernel_size", self.kernel_size, self.rank),
            each_axis(self.op, "stride", stride, self.rank),
            each_axis(self.op, "dilation", self.dilation, self.rank),
            each_axis(self.op, "padding", self.padding, self.rank, 0),
        ]
        return window_of([self._axis(x, *each) for each in zip(sizes, *numbers, strict=True)])

    def _axis(
        self, x: Buffer[Any], size: int, kernel: int, stride: int, dilation: int, pad: int
    ) -> Axis:
        """Return the window along one axis."""
        axis = Axis(size, kernel, stride, dilation, pad, pad)
        if 2 * pad > axis.span:
            raise ArgumentError(
                f"{self.op}: padding must be at most half of a window of {axis.span}, got {pad}"
            )
        room = size + 2 * pad - axis.span
        result = room // stride + 1
        # One window more, where the last one leaves a rest and the next begins before the end.
        if self.ceil_mode and room % stride and result * stride < size + pad:
            result += 1
        if result < 1:
            raise ShapeError(
                f"{self.op}: x must hold a window of {axis.span}, got {x.shape} with padding {pad}"
            )
        return replace(axis, result=result)


def max_pool1d(
    x: Buffer[T],
    kernel_size: Extents,
    stride: Extents | None = None,
    padding: Extents = 0,
    dilation: Extents = 1,
    ceil_mode: bool = False,
) -> Buffer[T]:
    """Return the largest element of each window of (N, L, C); beyond the edges lies -infinity.

    Raises `ShapeError`, `ArgumentError`, `DTypeError`.

        >>> x = device.buffer_from_array(np.array([[[3], [1], [4], [1], [5]]], np.float32))
        >>> nn.max_pool1d(x, 2).read().ravel().tolist()
        [3.0, 4.0]
    """
    pool = _Pool("max_pool1d", 1, kernel_size, stride, padding, dilation, ceil_mode)
    return launch_pool("max", x, pool.window(x))


def max_pool2d(
    x: Buffer[T],
    kernel_size: Extents,
    stride: Extents | None = None,
    padding: Extents = 0,
    dilation: Extents = 1,
    ceil_mode: bool = False,
) -> Buffer[T]:
    """Return the largest element of each window of (N, H, W, C); beyond the edges lies -infinity.

    Raises `ShapeError`, `ArgumentError`, `DTypeError`.

        >>> x = np.arange(16, dtype=np.float32).reshape(1, 4, 4, 1)
        >>> nn.max_pool2d(device.buffer_from_array(x), 2).read().ravel().tolist()
        [5.0, 7.0, 13.0, 15.0]
    """
    pool = _Pool("max_pool2d", 2, kernel_size, stride, padding, dilation, ceil_mode)
    return launch_pool("max", x, pool.window(x))


def max_pool3d(
    x: Buffer[T],
    kernel_size: Extents,
    stride: Extents | None = None,
    padding: Extents = 0,
    dilation: Extents = 1,
    ceil_mode: bool = False,
) -> Buffer[T]:
    """Return the largest element of each window of (N, D, H, W, C).

    Beyond the edges lies -infinity.

    Raises `ShapeError`, `ArgumentError`, `DTypeError`.

        >>> x = np.arange(8, dtype=np.float32).reshape(1, 2, 2, 2, 1)
        >>> nn.max_pool3d(device.buffer_from_array(x), (1, 2, 2)).read().ravel().tolist()
        [3.0, 7.0]
    """
    pool = _Pool("max_pool3d", 3, kernel_size, stride, padding, dilation, ceil_mode)
    return launch_pool("max", x, pool.window(x))


def avg_pool1d(
    x: Buffer[T],
    kernel_size: Extents,
    stride: Extents | None = None,
    padding: Extents = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Buffer[T]:
    """Return the mean of each window of (N, L, C); beyond the edges lie zeros, counted or not.

    Raises `ShapeError`, `ArgumentError`, `DTypeError`.

        >>> x = device.buffer_from_array(np.array([[[3], [1], [4], [2], [5]]], np.float32))
        >>> nn.avg_pool1d(x, 2).read().ravel().tolist()
        [2.0, 3.0]
    """
    pool = _Pool("avg_pool1d", 1, kernel_size, stride, padding, 1, ceil_mode)
    return launch_pool("mean", x, pool.window(x), count_include_pad)


def avg_pool2d(
    x: Buffer[T],
    kernel_size: Extents,
    stride: Extents | None = None,
    padding: Extents = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Buffer[T]:
    """Return the mean of each window of (N, H, W, C); beyond the edges lie zeros, counted or not.

    Raises `ShapeError`, `ArgumentError`, `DTypeError`.

        >>> x = np.arange(16, dtype=np.float32).reshape(1, 4, 4, 1)
        >>> nn.avg_pool2d(device.buffer_from_array(x), 2).read().ravel().tolist()
        [2.5, 4.5, 10.5, 12.5]
    """
    pool = _Pool("avg_pool2d", 2, kernel_size, stride, padding, 1, ceil_mode)
    return launch_pool("mean", x, pool.window(x), count_include_pad)


def avg_pool3d(
    x: Buffer[T],
    kernel_size: Extents,
    stride: Extents | None = None,
    padding: Extents = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Buffer[T]:
    """Return the mean of each window of (N, D, H, W, C).

    Beyond the edges lie zeros, counted or not.

    Raises `ShapeError`, `ArgumentError`, `DTypeError`.

        >>> x = np.arange(8, dtype=np.float32).reshape(1, 2, 2, 2, 1)
        >>> nn.avg_pool3d(device.buffer_from_array(x), (1, 2, 2)).read().ravel().tolist()
        [1.5, 5.5]
    """
    pool = _Pool("avg_pool3d", 3, kernel_size, stride, padding, 1, ceil_mode)
    return launch_pool("mean", x, pool.window(x), count_include_pad)


def adaptive_avg_pool2d(x: Buffer[T], output_size: Extents) -> Buffer[T]:
    """Return the means of (N, H, W, C) over ``output_size`` windows that cover each axis evenly.

    Window i of n goes from floor(i size / n) to ceil((i + 1) size / n). Raises `ShapeError`,
    `ArgumentError`, `DTypeError`.

        >>> x = np.arange(6, dtype=np.float32).reshape(1, 2, 3, 1)
        >>> y = nn.adaptive_avg_pool2d(device.buffer_from_array(x), (1, 2))
        >>> y.read().ravel().tolist()
        [2.0, 3.0]
    """
    return _pool_adaptively("adaptive_avg_pool2d", "mean", x, output_size)


def adaptive_max_pool2d(x: Buffer[T], output_size: Extents) -> Buffer[T]:
    """Return the largest elements over the windows of `adaptive_avg_pool2d`.

    Raises `ShapeError`, `ArgumentError`, `DTypeError`.

        >>> x = np.arange(6, dtype=np.float32).reshape(1, 2, 3, 1)
        >>> y = nn.adaptive_max_pool2d(device.buffer_from_array(x), (1, 2))
        >>> y.read().ravel().tolist()
        [4.0, 5.0]
    """
    return _pool_adaptively("adaptive_max_pool2d", "max", x, output_size)


def global_avg_pool(x: Buffer[T]) -> Buffer[T]:
    """Return the mean of (N, ..., C) over all axes between: (N, C), summed in f32.

    Raises `ShapeError`, `DTypeError`.

        >>> x = np.arange(8, dtype=np.float32).reshape(1, 2, 2, 2)
        >>> nn.global_avg_pool(device.buffer_from_array(x)).read().tolist()
        [[3.0, 4.0]]
    """
    float_scalar("global_avg_pool", x)
    if len(x.shape) < 3 or 0 in x.shape[1:-1]:
        raise ShapeError(f"global_avg_pool: x must be (N, ..., C) with pixels, got {x.shape}")
    return launch_mean(x)


def _pool_adaptively(op: str, kind: str, x: Buffer[T], output_size: Extents) -> Buffer[T]:
    """Return the ``max`` or ``mean`` over ``output_size`` windows that cover each axis evenly."""
    height, width = spatial_extents(op, x, 2)
    out_height, out_width = each_axis(op, "output_size", output_size, 2)
    if not height * width:
        raise ShapeError(f"{op}: x must have at least one pixel, got {x.shape}")
    scalar = float_scalar(op, x)
    images, channels = x.shape[0], x.shape[3]
    if kind == "mean" and (out_height, out_width) == (1, 1):
        return launch_mean(x).view((images, 1, 1, channels))
    y = x.device.buffer(x.dtype, (images, out_height, out_width, channels))
    word = width_of(channels)
    sizes = {
        "units": channels // word,
        "height": height,
        "width": width,
        "out_height": out_height,
        "out_width": out_width,
    }
    spec: dict[str, Value] = {"scalar": scalar, "width": word, "kind": kind}
    spec["wide"] = is_wide(op, (height, width), (out_height, out_width))
    launch_flat("nn/adaptive_pool.wgsl", spec, (x, y), y.size // word, sizes)
    return y
