"""The weight and bias that normalisations multiply by and add: f32, one for each channel."""

from __future__ import annotations

from typing import Any

from gpucore import Array, Buffer, Device, DTypeError, ShapeError, f32, global_id
from gpustd.launch.checks import require_buffers
from gpustd.launch.plain_kernels import plain_kernel

__all__ = ["check_channel_vectors", "fill_affine"]


def check_channel_vectors(op: str, channels: int, vectors: dict[str, Buffer[Any]]) -> None:
    """Raise `ShapeError` or `DTypeError` unless all ``vectors`` are f32 (channels,).

    Raises `ArgumentError` for one that is no buffer.
    """
    require_buffers(op, *vectors.values())
    for name, buffer in vectors.items():
        if buffer.shape != (channels,):
            raise ShapeError(f"{op}: {name} must be ({channels},), got {buffer.shape}")
        if buffer.dtype is not f32:
            raise DTypeError(f"{op}: {name} must be f32, got {buffer!r}; cast it to f32")


def fill_affine(
    op: str,
    device: Device,
    channels: int,
    weight: Buffer[f32] | None,
    bias: Buffer[f32] | None,
) -> tuple[Buffer[f32], Buffer[f32]]:
    """Return the checked weight and bias, with ones and zeros for those that are None."""
    given = {n: b for n, b in (("weight", weight), ("bias", bias)) if b is not None}
    check_channel_vectors(op, channels, given)
    return (
        _constant(device, channels, 1.0) if weight is None else weight,
        _constant(device, channels, 0.0) if bias is None else bias,
    )


def _constant(device: Device, size: int, value: float) -> Buffer[f32]:
    """Return a new buffer of ``size`` times ``value``."""
    y = device.buffer(f32, size)
    fill(y, value)
    return y


@plain_kernel()
def fill(y: Array[f32], value: f32) -> None:
    """Write one number everywhere."""
    if global_id.x < len(y):
        y[global_id.x] = value
