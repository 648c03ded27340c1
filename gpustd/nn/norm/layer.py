"""Layer normalisation over the last axis."""

from __future__ import annotations

import math
from typing import Any

from gpucore import Buffer, Device, DTypeError, ShapeError, T, f32
from gpucore.integers import ceil_div
from gpustd.launch.checks import as_float, require_buffers
from gpustd.launch.elements import float_scalar, widest_word, width_of
from gpustd.launch.grid import flat_grid
from gpustd.launch.subgroups import row_lanes
from gpustd.launch.template import Value, kernel
from gpustd.launch.variants import forced_variant

__all__ = ["layer_norm"]

_NAIVE_ROWS, _ROWS = 64, 4
_WORKGROUP_LANES = 32
# A lane keeps at most so many elements, in at most so many words.
_HELD_ELEMENTS, _HELD_WORDS = 64, 16


def layer_norm(x: Buffer[T], gamma: Buffer[f32], beta: Buffer[f32], *, eps: float) -> Buffer[T]:
    """``(x - mean) / sqrt(variance + eps) * gamma + beta`` over the last axis.

    Ba, Kiros and Hinton 2016 (arXiv 1607.06450). ``x`` (..., C) is f16 or f32, ``gamma`` and
    ``beta`` (C,) f32; statistics in f32, two passes. Raises `ShapeError`, `DTypeError`.

    >>> import numpy as np
    >>> import gpustd
    >>> from gpucore import Device
    >>> device = Device.auto()
    >>> one, nothing = (device.buffer_from_array(np.full(2, v, np.float32)) for v in (1, 0))
    >>> x = device.buffer_from_array(np.array([[3, 5]], np.float32))
    >>> gpustd.layer_norm(x, one, nothing, eps=0.0).read().round(4).tolist()
    [[-1.0, 1.0]]
    """
    require_buffers("layer_norm", x)
    eps = as_float("layer_norm", "eps", eps)
    if not x.shape:
        raise ShapeError(f"layer_norm: {x.shape}: wants a last axis to normalise")
    channels = x.shape[-1]
    check_affine("layer_norm", channels, gamma, beta)
    scalar = float_scalar("layer_norm", x)
    y = x.device.buffer(x.dtype, x.shape)
    if not y.size:
        return y
    rows = math.prod(x.shape[:-1])
    variant = forced_variant("layer_norm") or _best_variant(x.device)
    if variant == "naive":
        spec: dict[str, Value] = {"width": width_of(channels)}
        grid = flat_grid(rows, _NAIVE_ROWS)
    else:
        lanes = row_lanes(x.device) if variant == "subgroup" else _WORKGROUP_LANES
        spec = _spec(x, lanes, variant)
        grid = flat_grid(rows, _ROWS)
    launch = kernel(x.device, f"nn/layer_norm/{variant}.wgsl", scalar=scalar, **spec)
    sizes = {"rows": rows, "units": channels // int(spec["width"] or 1), "eps": eps}
    launch(x, gamma, beta, y, sizes, grid=grid)
    return y


def _best_variant(device: Device) -> str:
    if device.is_cpu:
        return "naive"
    return "subgroup" if row_lanes(device) else "workgroup"


def _spec(x: Buffer[Any], lanes: int, variant: str) -> dict[str, Value]:
    """Template variables of ``lanes`` lanes a row; ``depth`` 0: too long to be kept."""
    width = widest_word(x.dtype.itemsize, x.shape[-1])
    depth = ceil_div(x.shape[-1], width * lanes)
    kept = depth * width <= _HELD_ELEMENTS and depth <= _HELD_WORDS
    spec: dict[str, Value] = {"width": width, "lanes": lanes, "depth": depth if kept else 0}
    if variant == "subgroup":
        spec["enable_subgroups"] = x.device.info.engine == "dawn"
    return spec


def check_affine(op: str, channels: int, gamma: Buffer[Any], beta: Buffer[Any]) -> None:
    """Raise `ShapeError` or `DTypeError` unless both are f32 (channels,), or `ArgumentError`."""
    require_buffers(op, gamma, beta)
    for name, buffer in (("gamma", gamma), ("beta", beta)):
        if buffer.shape != (channels,):
            raise ShapeError(f"{op}: {name} {buffer.shape} for {channels} channels")
        if buffer.dtype is not f32:
            raise DTypeError(f"{op}: {name} must be f32, got {buffer!r}: cast it")
