"""Layer normalisation over the last axis."""

from __future__ import annotations

import math
from typing import Any

from gpucore import Buffer, DTypeError, ShapeError, T, f32
from gpustd.flat import float_scalar, width_of
from gpustd.grid import flat_grid
from gpustd.rungs import wanted_rung
from gpustd.template import kernel

__all__ = ["layer_norm"]

_ROWS_OF_A_GROUP = {"naive": 64, "workgroup": 4}


def layer_norm(x: Buffer[T], gamma: Buffer[f32], beta: Buffer[f32], *, eps: float) -> Buffer[T]:
    """``(x - mean) / sqrt(variance + eps) * gamma + beta`` over the last axis.

    Ba, Kiros and Hinton 2016 (arXiv 1607.06450). ``x`` (..., C) is f16 or f32, ``gamma`` and
    ``beta`` (C,) f32; statistics in f32, two passes. Raises `ShapeError`, `DTypeError`.
    """
    if not x.shape:
        raise ShapeError(f"layer_norm: {x.shape}: wants a last axis to normalise")
    channels = x.shape[-1]
    check_affine("layer_norm", channels, gamma, beta)
    rung = wanted_rung("layer_norm") or ("naive" if x.device.is_cpu else "workgroup")
    width = width_of(channels)
    scalar = float_scalar("layer_norm", x)
    y = x.device.buffer(x.dtype, x.shape)
    if not y.size:
        return y
    rows = math.prod(x.shape[:-1])
    launch = kernel(x.device, f"layer_norm/{rung}.wgsl", scalar=scalar, width=width)
    sizes = {"rows": rows, "units": channels // width, "eps": eps}
    launch(x, gamma, beta, y, sizes, grid=flat_grid(rows, _ROWS_OF_A_GROUP[rung]))
    return y


def check_affine(op: str, channels: int, gamma: Buffer[Any], beta: Buffer[Any]) -> None:
    """Raise `ShapeError` or `DTypeError` unless both are f32 (channels,)."""
    for name, buffer in (("gamma", gamma), ("beta", beta)):
        if buffer.shape != (channels,):
            raise ShapeError(f"{op}: {name} {buffer.shape} for {channels} channels")
        if buffer.dtype is not f32:
            raise DTypeError(f"{op}: {name} must be f32, got {buffer!r}: cast it")
