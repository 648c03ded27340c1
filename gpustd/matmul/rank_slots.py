"""Slots of low-rank updates: matrices from an adapter's file, brought into a slot's layout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gpucore import Buffer, u32
from gpustd.launch.checks import require_buffers
from gpustd.launch.elements import float_scalar
from gpustd.launch.grid import flat_grid
from gpustd.launch.template import Value, kernel

__all__ = ["Region", "Source", "place_matrix"]

_WORKGROUP = 64


@dataclass(frozen=True)
class Region:
    """A region of a buffer: ``rows`` by ``columns`` elements, from element ``first`` on.

    ``pitch``: elements from one of its rows to the next. ``taps``: its rows stand tap by tap, those
    of the source channel by channel.
    """

    first: int
    pitch: int
    rows: int
    columns: int
    taps: int = 1


@dataclass(frozen=True)
class Source:
    """A matrix (columns, ``line``) of f16 or f32, of which some ``rows`` and ``columns`` count."""

    buffer: Buffer[Any]
    line: int
    rows: int
    columns: int
    factor: float = 1.0


def place_matrix(source: Source, slots: Buffer[Any], region: Region, failures: Buffer[u32]) -> None:
    """Record ``slots[region] = factor * source.T``, with zeros past what counts of the source.

    Numbers that ``slots``, f16 or f32, cannot hold become 0, and are counted in ``failures`` (1,).
    Raises `DTypeError`.
    """
    op = "place_matrix"
    require_buffers(op, source.buffer, slots, failures)
    count = region.rows * region.columns
    if not count:
        return
    spec: dict[str, Value] = {
        "scalar": float_scalar(op, source.buffer),
        "target": float_scalar(op, slots),
    }
    params = {
        "count": count,
        "width": region.columns,
        "rows": source.rows,
        "columns": source.columns,
        "line": source.line,
        "channels": max(region.rows // region.taps, 1),
        "taps": region.taps,
        "base": region.first,
        "pitch": region.pitch,
        "factor": source.factor,
    }
    record = kernel(slots.device, "matmul/low_rank/place.wgsl", **spec)
    record(source.buffer, failures, slots, params, grid=flat_grid(count, _WORKGROUP))
