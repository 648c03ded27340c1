"""A 3 x 3 convolution of an image enlarged by two, with 2.25 times fewer multiplications.

Each pixel becomes four equal ones, so that a window over them sees 2 x 2 different pixels. The four
results over a pixel are 2 x 2 convolutions of the original image. Their weights are sums of the
3 x 3 ones.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gpucore import Buffer, ShapeError, T, f32
from gpustd.launch.checks import require_buffers
from gpustd.matmul.conv import Padding, Window, Wrap, conv_matmul
from gpustd.matmul.epilogue import Epilogue, require_epilogue
from gpustd.matmul.launching import launch_matmul
from gpustd.matmul.weights import transform_weights

__all__ = ["upsampling_conv2d", "upsampling_weights"]

_TAPS_OF_PARITIES = (2, 2, 2, 2)


def upsampling_weights(w: Buffer[T]) -> Buffer[T]:
    """Return the weights of a 3 x 3 convolution as `upsampling_conv2d` takes them.

    ``w``: (3, 3, C, Cout), f16 or f32. Returns (2, 2, 2, 2, C, Cout) of the same dtype: the
    parities of y and x, then the taps. Raises `ShapeError` or `DTypeError`.

    >>> w = device.buffer_from_array(np.ones((3, 3, 1, 1), np.float32))
    >>> gpustd.upsampling_weights(w).read()[0, 0, :, :, 0, 0].tolist()
    [[1.0, 2.0], [2.0, 4.0]]
    """
    shader = "matmul/upsampling_conv/weights.wgsl"
    return transform_weights("upsampling_weights", shader, w, _TAPS_OF_PARITIES, {})


def upsampling_conv2d(
    x: Buffer[T],
    u: Buffer[T],
    *,
    bias: Buffer[f32] | None = None,
    residual: Buffer[T] | None = None,
    activation: str | None = None,
    wrap: Wrap = "",
) -> Buffer[T]:
    """Return `fused_conv2d` with padding 1 of the image enlarged by two by nearest neighbour.

    Args:
        x: (images, height, width, C), f16 or f32.
        u: (2, 2, 2, 2, C, Cout), from `upsampling_weights`.
        bias: as in `fused_conv2d`.
        residual: as in `fused_conv2d`.
        activation: as in `fused_conv2d`.
        wrap: as in `fused_conv2d`.

    Returns (images, 2 height, 2 width, Cout). Sums of weights are rounded to the dtype. Raises
    `ShapeError` or `DTypeError`.

    >>> x = device.buffer_from_array(np.ones((1, 1, 2, 1), np.float32))
    >>> w = device.buffer_from_array(np.ones((3, 3, 1, 1), np.float32))
    >>> gpustd.upsampling_conv2d(x, gpustd.upsampling_weights(w)).read()[0, :, :, 0].tolist()
    [[4.0, 6.0, 6.0, 4.0], [4.0, 6.0, 6.0, 4.0]]
    """
    op = "upsampling_conv2d"
    require_buffers(op, u)
    if len(u.shape) != 6 or u.shape[:4] != _TAPS_OF_PARITIES:
        raise ShapeError(f"{op}: weights must be those of upsampling_weights, got {u.shape}")
    window = Window(padding=Padding(1, 0, 1, 0), wrap=wrap)
    matmul = conv_matmul(op, x, None, (2, 2, *u.shape[4:]), window, activation, 0)
    images, height, width, _ = x.shape
    shape = (images, 2 * height, 2 * width, matmul.n)
    epilogue = Epilogue(bias, None, residual)
    require_epilogue(op, epilogue, shape, matmul.columns)
    y: Buffer[Any] = x.device.buffer(x.dtype, shape)
    if y.size:
        launch_matmul(replace(matmul, batch=4), x, u, y, epilogue=epilogue)
    return y
