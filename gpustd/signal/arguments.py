"""Checks of arguments that the functions of this package share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from gpucore import Buffer, DType, DTypeError, c64, f32
from gpustd.launch.checks import choice, require_buffers

__all__ = ["Norm", "check_dtype", "check_norm", "inner_of", "outer_of", "replaced", "scale_of"]

Norm = str | None


def check_dtype(op: str, x: Buffer[Any], *dtypes: type[DType]) -> None:
    """Raise `DTypeError` unless ``x`` has one of the dtypes, `ArgumentError` for no buffer."""
    require_buffers(op, x)
    if x.dtype not in dtypes:
        names = " or ".join(d.name for d in dtypes)
        raise DTypeError(f"{op}: wants {names}, got {x!r}: cast it first (gpustd.cast)")


def outer_of(shape: Sequence[int], axis: int) -> int:
    """Product of the extents before ``axis``."""
    return math.prod(shape[:axis])


def inner_of(shape: Sequence[int], axis: int) -> int:
    """Product of the extents behind ``axis``."""
    return math.prod(shape[axis + 1 :])


def replaced(shape: Sequence[int], axis: int, extent: int) -> tuple[int, ...]:
    """``shape`` with another extent of one axis."""
    return (*shape[:axis], extent, *shape[axis + 1 :])


def scale_of(op: str, norm: Norm, n: int, *, inverse: bool) -> float:
    """Factor of a transform of ``n``. Raises `ArgumentError` for an unknown norm."""
    check_norm(op, norm)
    if norm == "ortho":
        return 1.0 / math.sqrt(n)
    return 1.0 / n if inverse != (norm == "forward") else 1.0


def check_norm(op: str, norm: Norm) -> None:
    """Raise `ArgumentError` for an unknown norm."""
    choice(op, "norm", norm, ("backward", "ortho", "forward", None))


def float_or_complex(op: str, x: Buffer[Any]) -> None:
    """Raise `DTypeError` unless ``x`` is f32 or c64."""
    check_dtype(op, x, f32, c64)
