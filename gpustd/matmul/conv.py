"""Two-dimensional convolution over channels-last images, as an implicit matrix product."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from gpucore import ArgumentError, Buffer, ShapeError, T, f32
from gpustd.launch.checks import as_int, choice, require_buffers
from gpustd.matmul.epilogue import Epilogue, require_activation, require_epilogue
from gpustd.matmul.launching import launch_matmul
from gpustd.matmul.operation import Matmul
from gpustd.matmul.quantized.checks import require_factors
from gpustd.matmul.quantized.weight import QuantizedWeight

__all__ = ["NO_PADDING", "Padding", "Window", "Wrap", "conv_matmul", "fused_conv2d", "result_shape"]

Wrap = Literal["", "x", "y", "xy"]


class Padding(NamedTuple):
    """Rows and columns of zeros around an image."""

    top: int
    bottom: int
    left: int
    right: int


NO_PADDING = Padding(0, 0, 0, 0)


@dataclass(frozen=True)
class Window:
    """Positions of a convolution's kernel on its image, enlarged to ``upsample`` where given.

    Axes in ``wrap`` are padded with the image's opposite side instead of zeros.
    """

    stride: int = 1
    padding: Padding = NO_PADDING
    upsample: tuple[int, int] | None = None
    wrap: Wrap = ""


def fused_conv2d(
    x: Buffer[T],
    w: Buffer[T] | QuantizedWeight,
    *,
    bias: Buffer[f32] | None = None,
    stride: int = 1,
    padding: int | tuple[int, int, int, int] = 0,
    upsample: tuple[int, int] | None = None,
    second: Buffer[T] | None = None,
    per_image: Buffer[T] | None = None,
    per_image_first: int = 0,
    residual: Buffer[T] | None = None,
    activation: str | None = None,
    wrap: Wrap = "",
) -> Buffer[T]:
    """Return ``activation(conv(x, w) + bias + per_image) + residual``, accumulated in f32.

    Args:
        x: (images, height, width, C1), f16 or f32.
        w: (kernel height, kernel width, C1 + C2, Cout) of the same dtype, or quantised.
        bias: f32 (Cout).
        stride: the stride of both axes.
        padding: zeros around the image: one number, or (top, bottom, left, right).
        upsample: (height, width) to which the image is enlarged first, by nearest neighbour. Each
            is twice the image's, or one less, which restores an odd size.
        second: (images, height, width, C2), whose channels follow those of ``x``.
        per_image: (images, Cout), added to all pixels of an image (time embedding). It may be
            wider, with columns of other convolutions.
        per_image_first: the first column of ``per_image`` that is added, a multiple of 8.
        residual: like the result, added last.
        activation: as in `gpustd.gemm`, without ``geglu``.
        wrap: axes whose padding is the image's opposite side instead of zeros, so that copies of
            the result join without a seam.

    Returns (images, out height, out width, Cout). Raises `ShapeError` or `DTypeError`.

    >>> x = device.buffer_from_array(np.ones((1, 3, 3, 1), np.float32))
    >>> w = device.buffer_from_array(np.ones((3, 3, 1, 1), np.float32))
    >>> gpustd.fused_conv2d(x, w, padding=1).read()[0, :, :, 0].tolist()
    [[4.0, 6.0, 4.0], [6.0, 9.0, 6.0], [4.0, 6.0, 4.0]]
    """
    op = "fused_conv2d"
    require_factors(op, x, w)
    stride = as_int(op, "stride", stride)
    if stride < 1:
        raise ShapeError(f"{op}: stride must be at least 1, got {stride}")
    window = Window(stride, _as_padding(op, padding), upsample, wrap)
    matmul = conv_matmul(op, x, second, w.shape, window, activation, per_image_first)
    shape, epilogue = result_shape(matmul), Epilogue(bias, per_image, residual)
    require_epilogue(op, epilogue, shape, matmul.columns, matmul.image_first)
    y = x.device.buffer(x.dtype, shape)
    if y.size:
        launch_matmul(matmul, x, w, y, second=second, epilogue=epilogue)
    return y


def conv_matmul(
    op: str,
    x: Buffer[Any],
    second: Buffer[Any] | None,
    weights: tuple[int, ...],
    window: Window,
    activation: str | None,
    per_image_first: int,
) -> Matmul:
    """Return the matrix product that makes a convolution.

    ``weights`` is (kernel height, kernel width, C, Cout). Raises `ShapeError` or `ArgumentError`.
    """
    require_activation(op, activation)
    choice(op, "wrap", window.wrap, get_args(Wrap))
    if activation == "geglu":
        raise ShapeError(f"{op}: activation must be one without gates, got {activation!r}")
    channels = _source_channels(op, x, second, weights)
    images, out_height, out_width, n = _result_extents(op, x, weights, window)
    view_height, view_width = window.upsample or x.shape[1:3]
    return Matmul(
        op=op,
        source="matmul/conv/pixels.wgsl",
        m=images * out_height * out_width,
        images=images,
        n=n,
        channels=channels,
        sizes={
            "m": images * out_height * out_width,
            "n": n,
            "height": x.shape[1],
            "width": x.shape[2],
            "view_height": view_height,
            "view_width": view_width,
            "out_height": out_height,
            "out_width": out_width,
            "c1": channels[0],
            "c2": sum(channels[1:]),
        },
        window={
            "kernel_height": weights[0],
            "kernel_width": weights[1],
            "stride": window.stride,
            "scale": 2 if window.upsample else 1,
            "pad_top": window.padding.top,
            "pad_left": window.padding.left,
            "wrap_y": int("y" in window.wrap),
            "wrap_x": int("x" in window.wrap),
        },
        activation=activation,
        image_first=as_int(op, "per_image_first", per_image_first),
    )


def result_shape(matmul: Matmul) -> tuple[int, int, int, int]:
    """Return (images, out height, out width, Cout) of a convolution's matrix product."""
    sizes = matmul.sizes
    return matmul.images, sizes["out_height"], sizes["out_width"], matmul.n


def _as_padding(op: str, padding: Any) -> Padding:
    """Return one number, or four, as padding. Raises `ArgumentError`."""
    several = isinstance(padding, Sequence) or (isinstance(padding, np.ndarray) and padding.ndim)
    sides = [as_int(op, "padding", n) for n in (padding if several else (padding,) * 4)]
    if len(sides) != 4:
        raise ArgumentError(
            f"{op}: padding must be one number or (top, bottom, left, right), got {padding!r}"
        )
    return Padding(*sides)


def _result_extents(
    op: str,
    x: Buffer[Any],
    weights: tuple[int, ...],
    window: Window,
) -> tuple[int, int, int, int]:
    """Return (images, out height, out width, Cout). Raises `ShapeError`."""
    images, height, width, _ = x.shape
    stride, padding, upsample = window.stride, window.padding, _as_size(op, window.upsample)
    if upsample is not None and not (
        2 * height - 1 <= upsample[0] <= 2 * height and 2 * width - 1 <= upsample[1] <= 2 * width
    ):
        raise ShapeError(
            f"{op}: upsample must be twice the image's height and width, or one less, got "
            f"{upsample} for {x.shape}"
        )
    tall, wide = upsample or (height, width)
    out_height = (tall + padding.top + padding.bottom - weights[0]) // stride + 1
    out_width = (wide + padding.left + padding.right - weights[1]) // stride + 1
    if out_height < 1 or out_width < 1 or min(padding) < 0:
        raise ShapeError(
            f"{op}: padding must be at least 0 and leave room for the kernel, got "
            f"{tuple(padding)} for {x.shape} with kernel {weights[:2]}"
        )
    return images, out_height, out_width, weights[3]


def _as_size(op: str, upsample: Any) -> tuple[int, int] | None:
    """Return height and width, or None. Raises `ArgumentError`."""
    if upsample is None:
        return None
    if not isinstance(upsample, Sequence) or len(upsample) != 2:
        raise ArgumentError(f"{op}: upsample must be (height, width), got {upsample!r}")
    return as_int(op, "upsample", upsample[0]), as_int(op, "upsample", upsample[1])


def _source_channels(
    op: str, x: Buffer[Any], second: Buffer[Any] | None, weights: tuple[int, ...]
) -> tuple[int, ...]:
    """Return the channels of each source. Raises `ShapeError` where they do not fit the weights."""
    require_buffers(op, x, *(() if second is None else (second,)))
    if len(x.shape) != 4 or len(weights) != 4:
        raise ShapeError(
            f"{op}: x and w must be (N, H, W, C) and (kh, kw, C, Cout), got {x.shape} and {weights}"
        )
    channels: tuple[int, ...] = (x.shape[3],)
    if second is not None:
        if len(second.shape) != 4 or second.shape[:3] != x.shape[:3]:
            raise ShapeError(
                f"{op}: second must have the images, height and width of x {x.shape}, got "
                f"{second.shape}"
            )
        channels += (second.shape[3],)
    if sum(channels) != weights[2]:
        raise ShapeError(
            f"{op}: channels must add up to those of the weights {weights}, got {channels}"
        )
    return channels
