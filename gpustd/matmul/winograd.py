"""3 x 3 convolutions with 2.25, or 4, times fewer multiplications, after Winograd.

F(2 x 2, 3 x 3) and F(4 x 4, 3 x 3) of Lavin and Gray 2015 (arXiv 1509.09308): 16 or 36 matrix
products over transformed pixels and weights, for blocks of 2 x 2 or 4 x 4 results, instead of 9
over each pixel. It pays where there are many channels: pixels and sums are moved more often, and
the weights take 16 or 36 numbers instead of 9.

An image enlarged by two has equal neighbours, whose differences are zero: of the 16 products of a
block 9 are left, 4 times fewer multiplications in all.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gpucore import Buffer, Device, DType, ShapeError, T, f16, f32
from gpucore.integers import ceil_div
from gpustd.launch.checks import as_int, require_buffers
from gpustd.launch.elements import WORKGROUP, float_scalar, width_of
from gpustd.launch.grid import flat_grid
from gpustd.launch.template import Value, kernel
from gpustd.matmul.conv import Window, Wrap, check_extras, conv_matmul, other_weights, result_shape
from gpustd.matmul.dense import multiply_batch
from gpustd.matmul.product import Extras, Product, constants

__all__ = ["Form", "winograd_block", "winograd_conv2d", "winograd_weights"]

_PLANES = {2: 16, 4: 36}
_BLOCKS = {planes: block for block, planes in _PLANES.items()}
# Of a block of an enlarged image, those that are not all zero: they come first.
_DOUBLED_PLANES = 9
# Of transformed pixels and sums at a time. More would be quicker, decoding by 2 to 4 %.
_MOST_BYTES = 2**27
_ROWS = 128
# Larger weights take blocks of 4 from 64 x 64 on only: at 32 x 32 SDXL would gain 0.6 % for 1 GB.
_FEW_WEIGHTS = 1920 * 640


def winograd_block(
    device: Device,
    dtype: type[DType],
    channels: int,
    n: int,
    side: int | None = None,
    *,
    doubles: bool = False,
) -> int | None:
    """Side of the blocks by which `winograd_conv2d` is quickest, or None where `conv2d` is.

    Of a 3 x 3 convolution of stride 1: ``channels`` and ``n`` are those of its source and its
    result, ``side`` that of the images it will mostly see, None where nothing is known of it;
    ``doubles`` tells that they are enlarged by two. The limits are measured (bench/results);
    software renderers gain nothing over a whole run, and take seconds more to compile.

    >>> from gpustd.matmul.winograd import winograd_block
    >>> print(winograd_block(device, f32, 4, 320))
    None
    """
    least = min(channels, n)
    if device.is_cpu:
        return None
    if device.has_matrix_units and dtype is f16 and least % 8 == 0:
        return _with_matrix_units(channels, n, side or 0, doubles=doubles)
    return 2 if least >= 32 and n % 4 == 0 else None


def _with_matrix_units(channels: int, n: int, side: int, *, doubles: bool) -> int | None:
    least, greatest = sorted((channels, n))
    smallest = 32 if channels * n <= _FEW_WEIGHTS else 64
    # The latter is how autoencoders go from 256 channels to 128.
    many = least >= 256 or (least >= 128 and greatest >= 256 and side >= 512)
    if not doubles and many and side >= smallest:
        return 4
    large = least >= 320 and channels * n >= 640 * 320
    return 2 if large and 16 <= side <= 128 else None


def winograd_weights(w: Buffer[T], block: int = 2) -> Buffer[T]:
    """Weights of a 3 x 3 convolution as `winograd_conv2d` wants them, made once.

    ``w``: (3, 3, C, Cout), f16 or f32; ``block``: side of the blocks of results, 2 or 4. Returns
    (16, C, Cout) or (36, C, Cout) of the same dtype. Raises `ShapeError` or `DTypeError`.

    >>> w = device.buffer_from_array(np.ones((3, 3, 1, 1), np.float32))
    >>> gpustd.winograd_weights(w).read().ravel()[:6].tolist()
    [1.0, 1.5, 1.0, 1.5, 2.25, 1.5]
    """
    op = "winograd_weights"
    require_buffers(op, w)
    block = as_int(op, "block", block)
    if block not in _PLANES:
        raise ShapeError(f"{op}: {w.shape} for blocks of {block}: wants 2 or 4")
    return other_weights(op, "matmul/winograd/weights.wgsl", w, (_PLANES[block],), {"block": block})


def winograd_conv2d(
    x: Buffer[T],
    u: Buffer[T],
    *,
    bias: Buffer[f32] | None = None,
    upsample: tuple[int, int] | None = None,
    second: Buffer[T] | None = None,
    per_image: Buffer[T] | None = None,
    per_image_first: int = 0,
    residual: Buffer[T] | None = None,
    activation: str | None = None,
    wrap: Wrap = "",
) -> Buffer[T]:
    """`gpustd.conv2d` of stride 1 and padding 1 with the weights of a 3 x 3 kernel transformed.

    Args:
        x: (images, height, width, C1), f16 or f32.
        u: (16 or 36, C1 + C2, Cout), from `winograd_weights`.
        bias: as in `conv2d`, like all that follows.
        upsample: likewise.
        second: likewise.
        per_image: likewise.
        per_image_first: likewise.
        residual: likewise.
        activation: likewise.
        wrap: likewise.

    Returns (images, height, width, Cout). Transformed pixels and weights, and the sums of their
    products, are rounded once more to the dtype: with random numbers that makes an error of 6e-4 in
    f16 with blocks of 2, 1.9e-3 with blocks of 4, relative to the results' size. In f16, pixels
    beyond 16 376 (blocks of 2) or 32 398 (of 4), and weights beyond 22 000 in blocks of 4, may
    overflow, as may sums where results come near the largest number; results below 2e-3 lose
    digits. Raises `ShapeError` or `DTypeError`.

    >>> x = device.buffer_from_array(np.ones((1, 3, 3, 1), np.float32))
    >>> u = gpustd.winograd_weights(device.buffer_from_array(np.ones((3, 3, 1, 1), np.float32)))
    >>> gpustd.winograd_conv2d(x, u).read()[0, :, :, 0].tolist()
    [[4.0, 6.0, 4.0], [6.0, 9.0, 6.0], [4.0, 6.0, 4.0]]
    """
    op = "winograd_conv2d"
    require_buffers(op, u)
    if len(u.shape) != 3 or u.shape[0] not in _BLOCKS:
        raise ShapeError(f"{op}: weights {u.shape}: wants (16 or 36, C, Cout) of winograd_weights")
    weights, window = (3, 3, *u.shape[1:]), Window(1, (1, 1, 1, 1), upsample, wrap)
    direct = conv_matmul(op, x, second, weights, window, activation, per_image_first)
    shape = result_shape(direct)
    check_extras(op, shape, bias, per_image, residual, direct.image_first)
    y = x.device.buffer(x.dtype, shape)
    if not y.size:
        return y
    if not u.size:
        direct.launch(x, second, u, bias, per_image, residual, y)
        return y
    scalar = float_scalar(op, *(b for b in (x, second, u, per_image, residual) if b is not None))
    form = Form.of(direct, _BLOCKS[u.shape[0]])
    for first, count in form.parts(direct, scalar):
        v = form.transformed(direct, x, second, first, count, scalar)
        sums = _products(v, u)
        form.finish(direct, sums, first, (bias, per_image, residual), y)
    return y


@dataclass(frozen=True)
class Form:
    """How results are made in blocks of ``block`` x ``block``, ``across`` and ``down`` of an image.

    ``doubles``: the blocks of 2 are those of an image enlarged by two, of even size.
    """

    block: int
    doubles: bool
    across: int
    down: int

    @classmethod
    def of(cls, whole: Product, block: int) -> Form:
        """The form of a convolution."""
        height, width = whole.sizes["view_height"], whole.sizes["view_width"]
        even = whole.window["scale"] == 2 and height % 2 == 0 == width % 2
        return cls(block, even and block == 2, ceil_div(width, block), ceil_div(height, block))

    @property
    def planes(self) -> int:
        """Products for each block."""
        return _DOUBLED_PLANES if self.doubles else _PLANES[self.block]

    def parts(self, whole: Product, scalar: str) -> Iterator[tuple[int, int]]:
        """First block and number of blocks of parts that are done one after another."""
        blocks = whole.images * self.across * self.down
        each = self.planes * (sum(whole.channels) + whole.n) * (2 if scalar == "f16" else 4)
        most = max(_MOST_BYTES // each // _ROWS, 1) * _ROWS
        parts = ceil_div(blocks, most)
        count = ceil_div(blocks, parts * _ROWS) * _ROWS
        for first in range(0, blocks, count):
            yield first, min(count, blocks - first)

    def transformed(
        self,
        whole: Product,
        x: Buffer[T],
        second: Buffer[T] | None,
        first: int,
        count: int,
        scalar: str,
    ) -> Buffer[T]:
        """Pixels of some blocks, transformed: (planes, blocks, C)."""
        # In f16, words of four channels are slower by a twentieth.
        width = math.gcd(2 if scalar == "f16" else 4, *whole.channels)
        units = [c // width for c in whole.channels]
        v = x.device.buffer(x.dtype, (self.planes, count, sum(whole.channels)))
        sizes = {
            "units": sum(units),
            "units1": units[0],
            "across": self.across,
            "down": self.down,
            "height": whole.sizes["height"],
            "width": whole.sizes["width"],
            "view_height": whole.sizes["view_height"],
            "view_width": whole.sizes["view_width"],
            "scale": whole.window["scale"],
            "wrap_y": whole.window["wrap_y"],
            "wrap_x": whole.window["wrap_x"],
        }
        words = count * sum(units)
        spec: dict[str, Value] = {
            "scalar": scalar,
            "width": width,
            "two": second is not None,
            "sizes": constants({"count": words, **sizes}),
            **self._spec,
        }
        launch = kernel(x.device, "matmul/winograd/input.wgsl", **spec)
        buffers = [b for b in (x, second, v) if b is not None]
        launch(*buffers, {"first": first}, grid=flat_grid(words, WORKGROUP))
        return v

    def finish(
        self,
        whole: Product,
        sums: Buffer[Any],
        first: int,
        extras: Extras,
        y: Buffer[Any],
    ) -> None:
        """Results of some blocks."""
        words = sums.shape[1] * sums.shape[2] // width_of(whole.n)
        form = {"count": words, "across": self.across, "down": self.down, **self._spec}
        whole.finish("matmul/winograd/output.wgsl", sums, extras, y, {"first": first}, form)

    @property
    def _spec(self) -> dict[str, int]:
        return {"block": self.block, "doubles": self.doubles}


def _products(v: Buffer[T], u: Buffer[T]) -> Buffer[T]:
    """The products of each plane, (planes, blocks, Cout)."""
    sums = v.device.buffer(v.dtype, (*v.shape[:2], u.shape[2]))
    multiply_batch("winograd_conv2d", v, u, sums)
    return sums
