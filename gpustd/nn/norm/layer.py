"""Normalisation of each token: over its last axis."""

from __future__ import annotations

import math
from typing import Any

from gpucore import Buffer, Device, ShapeError, T, f32
from gpucore.integers import ceil_div
from gpustd.launch.checks import as_float, require_buffers
from gpustd.launch.elements import float_scalar, widest_word, width_of
from gpustd.launch.grid import flat_grid
from gpustd.launch.subgroups import row_lanes
from gpustd.launch.template import Value, kernel
from gpustd.launch.variants import forced_variant
from gpustd.nn.norm.affine import fill_affine

__all__ = ["layer_norm"]

_NAIVE_ROWS, _ROWS = 64, 4
_WORKGROUP_LANES = 32
# A lane keeps at most so many elements, in at most so many words.
_KEPT_ELEMENTS, _KEPT_WORDS = 64, 16


def layer_norm(
    x: Buffer[T],
    weight: Buffer[f32] | None = None,
    bias: Buffer[f32] | None = None,
    eps: float = 1e-5,
) -> Buffer[T]:
    """Return ``(x - mean) / sqrt(variance + eps) * weight + bias`` over the last axis.

    Ba, Kiros and Hinton 2016 (arXiv 1607.06450). ``x`` (..., C) is f16 or f32, ``weight`` and
    ``bias`` f32 (C,); without them, 1 and 0. The statistics are f32, in two passes. Raises
    `ShapeError`, `DTypeError`.

        >>> x = device.buffer_from_array(np.array([[1, 3], [10, 30]], np.float32))
        >>> nn.layer_norm(x).read().round(3).tolist()
        [[-1.0, 1.0], [-1.0, 1.0]]
    """
    require_buffers("layer_norm", x)
    eps = as_float("layer_norm", "eps", eps)
    if not x.shape:
        raise ShapeError(f"layer_norm: x must be (..., C), got {x.shape}")
    channels = x.shape[-1]
    scalar = float_scalar("layer_norm", x)
    weight, bias = fill_affine("layer_norm", x.device, channels, weight, bias)
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
        spec = _lanes_spec(x, lanes)
        grid = flat_grid(rows, _ROWS)
    launch = kernel(x.device, f"nn/layer_norm/{variant}.wgsl", scalar=scalar, **spec)
    sizes = {"rows": rows, "units": channels // int(spec["width"] or 1), "eps": eps}
    launch(x, weight, bias, y, sizes, grid=grid)
    return y


def _best_variant(device: Device) -> str:
    """Return the fastest variant for a device."""
    if device.is_cpu:
        return "naive"
    return "subgroup" if row_lanes(device) else "workgroup"


def _lanes_spec(x: Buffer[Any], lanes: int) -> dict[str, Value]:
    """Return the template variables of ``lanes`` lanes a row; ``depth`` 0: too long to keep."""
    width = widest_word(x.dtype.itemsize, x.shape[-1])
    depth = ceil_div(x.shape[-1], width * lanes)
    kept = depth * width <= _KEPT_ELEMENTS and depth <= _KEPT_WORDS
    return {"width": width, "lanes": lanes, "depth": depth if kept else 0}
