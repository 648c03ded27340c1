"""Checks of axis numbers, and arrays seen as (outer, n, inner)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from gpucore import Buffer, ShapeError
from gpustd.launch.checks import as_int, require_buffers

__all__ = ["Axes", "axes_of", "axis_of", "three_extents"]

Axes = int | Sequence[int] | None


def axis_of(op: str, axis: int, x: Buffer[Any]) -> int:
    """Return ``axis`` counted from the front. Raises `ShapeError`, `ArgumentError`."""
    require_buffers(op, x)
    rank, axis = len(x.shape), as_int(op, "axis", axis)
    if not -rank <= axis < rank:
        raise ShapeError(f"{op}: axis {axis} of {x.shape}: it has {rank} axes")
    return axis % rank


def axes_of(op: str, axis: Axes, x: Buffer[Any]) -> tuple[int, ...]:
    """Return the axes in rising order, all for None. Raises `ShapeError` for one named twice."""
    require_buffers(op, x)
    if axis is None:
        return tuple(range(len(x.shape)))
    named = list(axis) if isinstance(axis, Sequence) else [axis]
    found = sorted(axis_of(op, a, x) for a in named)
    if len(set(found)) != len(found):
        raise ShapeError(f"{op}: axes must differ, got {tuple(named)} for {x.shape}")
    return tuple(found)


def three_extents(shape: Sequence[int], first: int, last: int) -> tuple[int, int, int]:
    """Return the extents before, of, and behind the axes ``first`` to ``last`` (included)."""
    middle = math.prod(shape[first : last + 1])
    return math.prod(shape[:first]), middle, math.prod(shape[last + 1 :])
