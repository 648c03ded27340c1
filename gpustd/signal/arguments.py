"""Checks of arguments and small functions of shapes that this package shares."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from gpucore import Buffer, DType, DTypeError, ShapeError, c64, f32
from gpustd.launch.checks import choice, require_buffers

__all__ = [
    "MAX_AXES",
    "Norm",
    "element_type",
    "inner_size",
    "norm_scale",
    "outer_size",
    "require_dtype",
    "require_few_axes",
    "require_float_or_complex",
    "require_norm",
    "with_extent",
]

Norm = str | None

MAX_AXES = 6
"""Axes of an array, at most, that kernels over boxes take."""


def require_dtype(op: str, x: Buffer[Any], *dtypes: type[DType]) -> None:
    """Raise `DTypeError` unless ``x`` has one of the dtypes, or `ArgumentError` for no buffer."""
    require_buffers(op, x)
    if x.dtype not in dtypes:
        names = " or ".join(d.name for d in dtypes)
        raise DTypeError(f"{op}: a signal must be {names}, got {x!r}; cast it (gpustd.cast)")


def outer_size(shape: Sequence[int], axis: int) -> int:
    """Return the product of the extents before ``axis``."""
    return math.prod(shape[:axis])


def inner_size(shape: Sequence[int], axis: int) -> int:
    """Return the product of the extents after ``axis``."""
    return math.prod(shape[axis + 1 :])


def with_extent(shape: Sequence[int], axis: int, extent: int) -> tuple[int, ...]:
    """Return ``shape`` with another extent of one axis."""
    return (*shape[:axis], extent, *shape[axis + 1 :])


def norm_scale(op: str, norm: Norm, n: int, *, inverse: bool) -> float:
    """Return the factor of a transform of ``n``. Raises `ArgumentError` for another norm."""
    require_norm(op, norm)
    if norm == "ortho":
        return 1.0 / math.sqrt(n)
    return 1.0 / n if inverse != (norm == "forward") else 1.0


def require_norm(op: str, norm: Norm) -> None:
    """Raise `ArgumentError` for an unknown norm."""
    choice(op, "norm", norm, ("backward", "ortho", "forward", None))


def require_float_or_complex(op: str, x: Buffer[Any]) -> None:
    """Raise `DTypeError` unless ``x`` is f32 or c64."""
    require_dtype(op, x, f32, c64)


def require_few_axes(op: str, x: Buffer[Any]) -> None:
    """Raise `ShapeError` for more than 6 axes."""
    if len(x.shape) > MAX_AXES:
        raise ShapeError(f"{op}: a signal must have at most {MAX_AXES} axes, got {x!r}")


def element_type(x: Buffer[Any]) -> str:
    """Return the WGSL type of an element of f32 or c64."""
    return "c64x1" if x.dtype is c64 else "f32"
