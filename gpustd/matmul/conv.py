"""Two-dimensional convolution over channels-last images, as an implicit matrix product."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from gpucore import ArgumentError, Buffer, ShapeError, T, f32
from gpustd.launch.checks import as_int, choice, require_buffers
from gpustd.launch.elements import float_scalar, launch_flat, width_of
from gpustd.launch.template import Value
from gpustd.matmul.product import Product, check_activation

__all__ = [
    "Window",
    "Wrap",
    "check_extras",
    "conv2d",
    "conv_matmul",
    "other_weights",
    "result_shape",
]

Padding = int | tuple[int, int, int, int]
Wrap = Literal["", "x", "y", "xy"]


@dataclass(frozen=True)
class Window:
    """How a convolution walks over its image; ``pads`` are top, bottom, left, right."""

    stride: int
    pads: tuple[int, int, int, int]
    upsample: tuple[int, int] | None
    wrap: Wrap


def conv2d(
    x: Buffer[T],
    w: Buffer[T],
    *,
    bias: Buffer[f32] | None = None,
    stride: int = 1,
    padding: Padding = 0,
    upsample: tuple[int, int] | None = None,
    second: Buffer[T] | None = None,
    per_image: Buffer[T] | None = None,
    per_image_first: int = 0,
    residual: Buffer[T] | None = None,
    activation: str | None = None,
    wrap: Wrap = "",
) -> Buffer[T]:
    """``activation(conv(x, w) + bias + per_image) + residual``, accumulated in f32.

    Args:
        x: (images, height, width, C1), f16 or f32.
        w: (kernel height, kernel width, C1 + C2, Cout) of the same dtype.
        bias: f32 (Cout).
        stride: of both axes.
        padding: zeros around the image: one number, or (top, bottom, left, right).
        upsample: convolve the image enlarged by nearest neighbour to this (height, width), each
            twice the image's, or one less (how an odd size comes back).
        second: (images, height, width, C2), whose channels follow those of ``x``.
        per_image: (images, Cout), added to all pixels of an image (time embedding); or wider,
            with those of other convolutions beside it.
        per_image_first: its first column that is this one's, a multiple of 8.
        residual: like the result, added last.
        activation: as in `gpustd.gemm`, without ``geglu``.
        wrap: axes along which the padding is the image's opposite side instead of zeros, so that
            the result can be laid beside itself without a seam.

    Returns (images, out height, out width, Cout). Raises `ShapeError` or `DTypeError`.

    >>> x = device.buffer_from_array(np.ones((1, 3, 3, 1), np.float32))
    >>> w = device.buffer_from_array(np.ones((3, 3, 1, 1), np.float32))
    >>> gpustd.conv2d(x, w, padding=1).read()[0, :, :, 0].tolist()
    [[4.0, 6.0, 4.0], [6.0, 9.0, 6.0], [4.0, 6.0, 4.0]]
    """
    require_buffers("conv2d", x, w)
    stride = as_int("conv2d", "stride", stride)
    if stride < 1:
        raise ShapeError(f"conv2d: stride {stride} is not possible")
    window = Window(stride, _pads("conv2d", padding), upsample, wrap)
    product = conv_matmul("conv2d", x, second, w.shape, window, activation, per_image_first)
    shape = result_shape(product)
    check_extras("conv2d", shape, bias, per_image, residual, product.image_first)
    y = x.device.buffer(x.dtype, shape)
    if y.size:
        product.launch(x, second, w, bias, per_image, residual, y)
    return y


def conv_matmul(
    op: str,
    x: Buffer[Any],
    second: Buffer[Any] | None,
    weights: tuple[int, ...],
    window: Window,
    activation: str | None,
    per_image_first: int,
) -> Product:
    """The product that a convolution is; ``weights`` is (kernel height, kernel width, C, Cout)."""
    check_activation(op, activation)
    choice(op, "wrap", window.wrap, get_args(Wrap))
    if activation == "geglu":
        raise ShapeError(f"{op}: activation {activation!r} is not possible")
    channels = _channels(op, x, second, weights)
    images, out_height, out_width, n = _extents(op, x, weights, window)
    view_height, view_width = window.upsample or x.shape[1:3]
    return Product(
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
            "pad_top": window.pads[0],
            "pad_left": window.pads[2],
            "wrap_y": int("y" in window.wrap),
            "wrap_x": int("x" in window.wrap),
        },
        activation=activation,
        image_first=as_int(op, "per_image_first", per_image_first),
    )


def other_weights(
    op: str, name: str, w: Buffer[T], planes: tuple[int, ...], spec: Mapping[str, Value]
) -> Buffer[T]:
    """Weights (3, 3, C, Cout) as ``shaders/<name>`` makes them anew: (*planes, C, Cout).

    Raises `ShapeError` or `DTypeError`.
    """
    require_buffers(op, w)
    if len(w.shape) != 4 or w.shape[:2] != (3, 3):
        raise ShapeError(f"{op}: {w.shape}: wants (3, 3, C, Cout)")
    scalar = float_scalar(op, w)
    u = w.device.buffer(w.dtype, (*planes, *w.shape[2:]))
    count = w.shape[2] * w.shape[3]
    if count:
        width = width_of(count)
        launch_flat(name, {"scalar": scalar, "width": width, **spec}, (w, u), count // width)
    return u


def _pads(op: str, padding: Any) -> tuple[int, int, int, int]:
    """Top, bottom, left and right. Raises `ArgumentError`."""
    several = isinstance(padding, Sequence) or (isinstance(padding, np.ndarray) and padding.ndim)
    each = padding if several else (padding,) * 4
    pads = tuple(as_int(op, "padding", n) for n in each)
    if len(pads) != 4:
        raise ArgumentError(f"{op}: padding {padding!r}: wants one, or (top, bottom, left, right)")
    return pads[0], pads[1], pads[2], pads[3]


def result_shape(product: Product) -> tuple[int, int, int, int]:
    """(images, out height, out width, Cout) of a convolution's product."""
    sizes = product.sizes
    return product.images, sizes["out_height"], sizes["out_width"], product.n


def _extents(
    op: str,
    x: Buffer[Any],
    weights: tuple[int, ...],
    window: Window,
) -> tuple[int, int, int, int]:
    """(images, out height, out width, Cout)."""
    images, height, width, _ = x.shape
    stride, pads, upsample = window.stride, window.pads, _size(op, window.upsample)
    if upsample is not None and not (
        2 * height - 1 <= upsample[0] <= 2 * height and 2 * width - 1 <= upsample[1] <= 2 * width
    ):
        raise ShapeError(f"{op}: upsample {upsample} of {x.shape}: wants twice, or one less")
    seen: tuple[int, int] = upsample or (height, width)
    out_height = (seen[0] + pads[0] + pads[1] - weights[0]) // stride + 1
    out_width = (seen[1] + pads[2] + pads[3] - weights[1]) // stride + 1
    if out_height < 1 or out_width < 1 or min(pads) < 0:
        raise ShapeError(f"{op}: {x.shape} with kernel {weights[:2]}, padding {pads}: no result")
    return images, out_height, out_width, weights[3]


def _size(op: str, upsample: Any) -> tuple[int, int] | None:
    """Height and width, or None. Raises `ArgumentError`."""
    if upsample is None:
        return None
    if not isinstance(upsample, Sequence) or len(upsample) != 2:
        raise ArgumentError(f"{op}: upsample {upsample!r}: wants (height, width)")
    return as_int(op, "upsample", upsample[0]), as_int(op, "upsample", upsample[1])


def _channels(
    op: str, x: Buffer[Any], second: Buffer[Any] | None, weights: tuple[int, ...]
) -> tuple[int, ...]:
    """Channels of each source, checked against the weights."""
    require_buffers(op, x, *(() if second is None else (second,)))
    if len(x.shape) != 4 or len(weights) != 4:
        raise ShapeError(
            f"{op}: x {x.shape} and w {weights}: wants (N, H, W, C) and (kh, kw, C, Cout)"
        )
    channels: tuple[int, ...] = (x.shape[3],)
    if second is not None:
        if len(second.shape) != 4 or second.shape[:3] != x.shape[:3]:
            raise ShapeError(f"{op}: second source {second.shape} beside {x.shape}")
        channels += (second.shape[3],)
    if sum(channels) != weights[2]:
        raise ShapeError(f"{op}: channels {channels} for weights {weights}")
    return channels


def check_extras(
    op: str,
    shape: tuple[int, int, int, int],
    bias: Buffer[Any] | None,
    per_image: Buffer[Any] | None,
    residual: Buffer[Any] | None,
    first: int,
) -> None:
    """Refuse what does not fit a result of ``shape``. Raises `ShapeError`, `ArgumentError`."""
    require_buffers(op, *(b for b in (bias, per_image, residual) if b is not None))
    if bias is not None and bias.shape != (shape[3],):
        raise ShapeError(f"{op}: bias {bias.shape} for {shape[3]} channels")
    if per_image is not None:
        _check_per_image(op, shape, per_image, first)
    if residual is not None and residual.shape != shape:
        raise ShapeError(f"{op}: residual {residual.shape} for a result {shape}")


def _check_per_image(
    op: str, shape: tuple[int, int, int, int], per_image: Buffer[Any], first: int
) -> None:
    whole = per_image.shape == (shape[0], shape[3]) and first == 0
    words = len(per_image.shape) == 2 and per_image.shape[1] % 8 == 0 == first % 8 and first >= 0
    if whole or (
        words and per_image.shape[0] == shape[0] and per_image.shape[1] >= first + shape[3]
    ):
        return
    raise ShapeError(
        f"{op}: per_image {per_image.shape} from column {first} for a result {shape}: wants "
        "(images, Cout), or more columns, their number and the first multiples of 8"
    )
