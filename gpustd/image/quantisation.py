"""The last step of a pipeline: floats become the levels of a picture."""

from __future__ import annotations

from typing import Any

from gpucore import Buffer, ShapeError, u8
from gpustd.launch.checks import require_buffers
from gpustd.launch.elements import float_scalar, launch_each, words_of
from gpustd.launch.template import Value

__all__ = ["to_image"]


def to_image(x: Buffer[Any]) -> Buffer[u8]:
    """Convert (N, H, W, 3) of f16 or f32 in [-1, 1] to levels, ``round((x / 2 + 1/2) 255)``.

    The result is u8. It is computed in f32, clamped to 0 .. 255, with ties to even. A NaN gives an
    unspecified level. Raises `ShapeError`, `DTypeError`.

    >>> x = device.buffer_from_array(np.array([-1, 0, 1], np.float32).reshape(1, 1, 1, 3))
    >>> gpustd.to_image(x).read().tolist()
    [[[[0, 128, 255]]]]
    """
    require_buffers("to_image", x)
    if len(x.shape) != 4 or x.shape[3] != 3:
        raise ShapeError(f"to_image: x must be (N, H, W, 3), got {x!r}")
    y = x.device.buffer(u8, x.shape)
    spec: dict[str, Value] = {"scalar": float_scalar("to_image", x), "width": 4}
    launch_each("image/to_image/naive.wgsl", spec, (x, y), words_of(x.size))
    return y
