"""Weights of 3 x 3 convolutions, transformed once for a quicker convolution."""

from __future__ import annotations

from collections.abc import Mapping

from gpucore import Buffer, ShapeError, T
from gpustd.launch.checks import require_buffers
from gpustd.launch.elements import float_scalar, launch_flat, width_of
from gpustd.launch.template import Value

__all__ = ["transform_weights"]


def transform_weights(
    op: str, shader: str, w: Buffer[T], planes: tuple[int, ...], spec: Mapping[str, Value]
) -> Buffer[T]:
    """Return weights (3, 3, C, Cout) transformed by a shader: (*planes, C, Cout).

    Raises `ArgumentError`, `ShapeError` or `DTypeError`.
    """
    require_buffers(op, w)
    if len(w.shape) != 4 or w.shape[:2] != (3, 3):
        raise ShapeError(f"{op}: w must be (3, 3, C, Cout), got {w.shape}")
    scalar = float_scalar(op, w)
    u = w.device.buffer(w.dtype, (*planes, *w.shape[2:]))
    count = w.shape[2] * w.shape[3]
    if count:
        width = width_of(count)
        launch_flat(shader, {"scalar": scalar, "width": width, **spec}, (w, u), count // width)
    return u
