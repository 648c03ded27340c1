"""3 x 3 convolutions with 2.25 or 4 times fewer multiplications, after Winograd.

F(2 x 2, 3 x 3) and F(4 x 4, 3 x 3) of Lavin and Gray 2015 (arXiv 1509.09308) make blocks of 2 x 2
or 4 x 4 results from 16 or 36 matrix products over transformed pixels and weights. The direct form
needs 9 over each pixel. Pixels and sums are moved more often, and the weights take 16 or 36 numbers
instead of 9, so that it is quicker only with many channels.

An image enlarged by two has equal neighbours, whose differences are zero. Of the 16 products of a
block 9 remain, which makes 4 times fewer multiplications in all.
"""

from __future__ import annotations

from gpucore import Buffer, Device, DType, ShapeError, T, f16, f32
from gpustd.launch.checks import as_int, require_buffers
from gpustd.launch.elements import float_scalar
from gpustd.matmul.conv import Padding, Window, Wrap, conv_matmul, result_shape
from gpustd.matmul.dense import multiply_batch
from gpustd.matmul.epilogue import Epilogue, require_epilogue
from gpustd.matmul.launching import launch_matmul
from gpustd.matmul.weights import transform_weights
from gpustd.matmul.winograd_blocks import PLANES, WinogradBlocks

__all__ = ["winograd_block", "winograd_conv2d", "winograd_weights"]

_BLOCKS = {planes: block for block, planes in PLANES.items()}
# Larger weights take blocks of 4 only from 64 x 64 pixels on: at 32 x 32 SDXL would gain 0.6 %, and
# would need 1 GB more.
_MOST_WEIGHTS_OF_SMALL_IMAGES = 1920 * 640


def winograd_block(
    device: Device,
    dtype: type[DType],
    channels: int,
    n: int,
    side: int | None = None,
    *,
    doubles: bool = False,
) -> int | None:
    """Return the side of the fastest blocks of `winograd_conv2d`, None if `fused_conv2d` is faster.

    ``channels`` and ``n`` are those of the source and of the result of a 3 x 3 convolution of
    stride 1. ``side`` is the usual side of its images, None where it is not known. ``doubles``: the
    images are enlarged by two. The limits are measured (bench/results). Software renderers gain
    nothing in a whole run, and take seconds more to compile.

    >>> from gpustd.matmul.winograd import winograd_block
    >>> print(winograd_block(device, f32, 4, 320))
    None
    """
    least = min(channels, n)
    direct = "wgmma" in device.features and dtype is f16 and channels % 64 == 0 == n % 8
    if device.is_cpu or (direct and not doubles):
        return None
    if device.has_matrix_units and dtype is f16 and least % 8 == 0:
        return _block_for_matrix_units(channels, n, side or 0, doubles=doubles)
    return 2 if least >= 32 and n % 4 == 0 else None


def _block_for_matrix_units(channels: int, n: int, side: int, *, doubles: bool) -> int | None:
    least, greatest = sorted((channels, n))
    smallest = 32 if channels * n <= _MOST_WEIGHTS_OF_SMALL_IMAGES else 64
    # The second condition is where autoencoders go from 256 channels to 128.
    many = least >= 256 or (least >= 128 and greatest >= 256 and side >= 512)
    if not doubles and many and side >= smallest:
        return 4
    large = least >= 320 and channels * n >= 640 * 320
    return 2 if large and 16 <= side <= 128 else None


def winograd_weights(w: Buffer[T], block: int = 2) -> Buffer[T]:
    """Return the weights of a 3 x 3 convolution as `winograd_conv2d` takes them.

    ``w``: (3, 3, C, Cout), f16 or f32; ``block``: side of the blocks of results, 2 or 4. Returns
    (16, C, Cout) or (36, C, Cout) of the same dtype. Raises `ShapeError` or `DTypeError`.

    >>> w = device.buffer_from_array(np.ones((3, 3, 1, 1), np.float32))
    >>> gpustd.winograd_weights(w).read().ravel()[:6].tolist()
    [1.0, 1.5, 1.0, 1.5, 2.25, 1.5]
    """
    op = "winograd_weights"
    require_buffers(op, w)
    block = as_int(op, "block", block)
    if block not in PLANES:
        raise ShapeError(f"{op}: block must be 2 or 4, got {block}")
    planes = (PLANES[block],)
    return transform_weights(op, "matmul/winograd/weights.wgsl", w, planes, {"block": block})


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
    """Return `gpustd.fused_conv2d` with stride 1 and padding 1, from transformed 3 x 3 weights.

    Args:
        x: (images, height, width, C1), f16 or f32.
        u: (16 or 36, C1 + C2, Cout), from `winograd_weights`.
        bias: as in `fused_conv2d`.
        upsample: as in `fused_conv2d`.
        second: as in `fused_conv2d`.
        per_image: as in `fused_conv2d`.
        per_image_first: as in `fused_conv2d`.
        residual: as in `fused_conv2d`.
        activation: as in `fused_conv2d`.
        wrap: as in `fused_conv2d`.

    Returns (images, height, width, Cout). Transformed pixels and weights, and the sums of their
    products, are rounded once more to the dtype. With random numbers in f16, the error relative to
    the results' size is 6e-4 with blocks of 2, and 1.9e-3 with blocks of 4.

    In f16, pixels beyond 16 376 (blocks of 2) or 32 398 (blocks of 4) may overflow, and weights
    beyond 22 000 in blocks of 4. Sums may overflow where results come near the largest number.
    Results below 2e-3 lose digits. Raises `ShapeError` or `DTypeError`.

    >>> x = device.buffer_from_array(np.ones((1, 3, 3, 1), np.float32))
    >>> u = gpustd.winograd_weights(device.buffer_from_array(np.ones((3, 3, 1, 1), np.float32)))
    >>> gpustd.winograd_conv2d(x, u).read()[0, :, :, 0].tolist()
    [[4.0, 6.0, 4.0], [6.0, 9.0, 6.0], [4.0, 6.0, 4.0]]
    """
    op = "winograd_conv2d"
    require_buffers(op, u)
    if len(u.shape) != 3 or u.shape[0] not in _BLOCKS:
        raise ShapeError(
            f"{op}: weights must be (16 or 36, C, Cout) of winograd_weights, got {u.shape}"
        )
    window = Window(padding=Padding(1, 1, 1, 1), upsample=upsample, wrap=wrap)
    weights = (3, 3, *u.shape[1:])
    direct = conv_matmul(op, x, second, weights, window, activation, per_image_first)
    shape, epilogue = result_shape(direct), Epilogue(bias, per_image, residual)
    require_epilogue(op, epilogue, shape, direct.columns, direct.image_first)
    y = x.device.buffer(x.dtype, shape)
    if not y.size:
        return y
    if not u.size:
        launch_matmul(direct, x, u, y, second=second, epilogue=epilogue)
        return y
    float_scalar(op, *(b for b in (x, second, u, per_image, residual) if b is not None))
    blocks = WinogradBlocks.of(direct, _BLOCKS[u.shape[0]])
    for first, count in blocks.parts(x.dtype.itemsize):
        v = blocks.transform_pixels(x, second, first, count)
        sums = x.device.buffer(x.dtype, (blocks.planes, count, u.shape[2]))
        multiply_batch(op, v, u, sums)
        blocks.write_results(sums, first, epilogue, y)
    return y
