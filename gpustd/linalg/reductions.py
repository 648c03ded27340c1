"""Reductions of the last axis: the launches behind dot, asum, nrm2, iamax and vector norms."""

from __future__ import annotations

from typing import Any, NamedTuple

from gpucore import Buffer, DType, c64, f32, u32
from gpucore.integers import ceil_div
from gpustd.launch.elements import float_scalar, width_of
from gpustd.launch.grid import flat_grid
from gpustd.launch.template import Value, kernel
from gpustd.launch.variants import forced_variant

__all__ = ["reduce_last"]

_STATES: dict[str, tuple[type[DType], int]] = {
    "iamax": (u32, 2),
    "amax": (u32, 1),
    "amin": (u32, 1),
    "nrm2": (f32, 4),
}
_GROUPS = {"lanes": 256, "alone": 16}
# Elements of a chunk, and the most chunks of a row: enough to fill the largest GPUs.
_SPANS = {"lanes": 8192, "alone": 1024}
_MAX_CHUNKS = 1024
# Rows shorter than this leave most lanes of a workgroup idle.
_SHORT = 32


class _Pass(NamedTuple):
    """One pass: rows, chunks of a row, elements of a row, and elements of a chunk."""

    rows: int
    chunks: int
    length: int
    span: int


def reduce_last(
    op: str,
    kind: str,
    operands: tuple[Buffer[Any], ...],
    result: Buffer[Any],
    *,
    conjugate: bool = False,
    power: float = 1.0,
) -> None:
    """Reduce the last axis of one or two operands of a shape (..., N) into ``result`` (...).

    ``kind`` is one of shaders/linalg/reduce.wgsl, ``op`` the name in errors. The cuts of a row
    depend on N alone. An empty row gives the start value of the kind. Raises `DTypeError`.
    """
    x = operands[0]
    length = x.shape[-1]
    scalar = "c64" if x.dtype is c64 else float_scalar(op, *operands)
    cpu = x.device.is_cpu
    variant = forced_variant("reduce") or ("alone" if cpu or length < _SHORT else "lanes")
    unit = width_of(length) if scalar != "c64" else 1
    span = max(_SPANS[variant], ceil_div(length, _MAX_CHUNKS * 4) * 4)
    chunks = max(ceil_div(length, span), 1)
    spec: dict[str, Value] = {
        "kind": kind,
        "scalar": scalar,
        "out": result.dtype.name,
        "conjugate": conjugate,
    }
    if chunks == 1:
        single = _Pass(result.size, 1, length, length)
        _launch(variant, {**spec, "unit": unit}, (*operands, result), single, power)
        return
    dtype, words = _STATES.get(kind, (c64 if scalar == "c64" else f32, 1))
    states = x.device.buffer(dtype, result.size * chunks * words)
    partial: dict[str, Value] = {**spec, "unit": unit, "partial": True}
    first = _Pass(result.size, chunks, length, span)
    _launch(variant, partial, (*operands, states), first, power)
    merging: dict[str, Value] = {**spec, "unit": 1, "merging": True}
    _launch(variant, merging, (states, result), _Pass(result.size, 1, chunks, chunks), power)


def _launch(
    variant: str,
    spec: dict[str, Value],
    buffers: tuple[Buffer[Any], ...],
    extents: _Pass,
    power: float,
) -> None:
    """Record one pass."""
    unit = int(spec["unit"] or 1)
    group = _GROUPS[variant]
    lanes = group if variant == "lanes" else 1
    full: dict[str, Value] = {
        "merging": False,
        "partial": False,
        **spec,
        "lanes": lanes,
        "group": group,
    }
    params = {
        "rows": extents.rows,
        "chunks": extents.chunks,
        "length": extents.length // unit,
        "span": extents.span // unit,
        "power": power,
    }
    launch = kernel(buffers[-1].device, "linalg/reduce.wgsl", **full)
    launch(*buffers, params, grid=flat_grid(extents.rows * extents.chunks * lanes, group))
