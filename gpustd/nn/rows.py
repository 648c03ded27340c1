"""Kernels that reduce each row and then write it: ``shaders/nn/rows.wgsl``."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from gpucore import Buffer, Device, T
from gpucore.integers import ceil_div
from gpustd.launch.elements import float_scalar, width_of
from gpustd.launch.grid import flat_grid
from gpustd.launch.subgroups import row_lanes
from gpustd.launch.template import Value, kernel
from gpustd.launch.variants import forced_variant

__all__ = ["RowPlan", "launch_rows", "row_plan"]

_LANES = 32
_THREADS = 128
_NAIVE_THREADS = 64
# Words of a row that a lane keeps in registers.
_MOST_KEPT = 16


class RowPlan(NamedTuple):
    """Lanes of a row, invocations of a workgroup, template variables of ``row_reduce.wgsl``."""

    lanes: int
    threads: int
    spec: dict[str, Value]


def row_plan(device: Device) -> RowPlan:
    """Return how rows are reduced on a device.

    Variants: ``naive`` one lane, ``workgroup`` 32 lanes and a tree, ``subgroup`` a subgroup.
    """
    subgroup = 0 if device.is_cpu else row_lanes(device)
    variant = forced_variant("nn.rows") or ("subgroup" if subgroup else "workgroup")
    if device.is_cpu and forced_variant("nn.rows") is None:
        variant = "naive"
    lanes = {"naive": 1, "workgroup": _LANES}.get(variant) or row_lanes(device)
    threads = _NAIVE_THREADS if lanes == 1 else _THREADS
    spec: dict[str, Value] = {
        "lanes": lanes,
        "threads": threads,
        "subgroups": variant == "subgroup",
    }
    return RowPlan(lanes, threads, spec)


def launch_rows(
    kind: str, x: Buffer[T], *operands: Buffer[Any], eps: float = 0.0, weighted: bool = False
) -> Buffer[T]:
    """Return ``kind`` over the last axis of ``x``; ``operands`` are bound after ``x``."""
    y = x.device.buffer(x.dtype, x.shape)
    if not y.size:
        return y
    width = width_of(x.shape[-1])
    lanes, threads, spec = row_plan(x.device)
    spec |= {"scalar": float_scalar(kind, x), "width": width, "kind": kind, "weighted": weighted}
    rows, units = math.prod(x.shape[:-1]), x.shape[-1] // width
    spec["kept"] = _words_kept(units, lanes)
    sizes = {"rows": rows, "units": units, "eps": eps}
    launch = kernel(x.device, "nn/rows.wgsl", **spec)
    launch(x, *operands, y, sizes, grid=flat_grid(rows, threads // lanes))
    return y


def _words_kept(units: int, lanes: int) -> int:
    """Return the words that a lane keeps of a row of ``units``; 0 where rows are long.

    They are a power of two, so that there are few kernels.
    """
    words = 1 << (ceil_div(units, lanes) - 1).bit_length()
    return words if lanes > 1 and words <= _MOST_KEPT else 0
