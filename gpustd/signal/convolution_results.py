"""Dtype, region and empty case of a convolution's result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gpucore import Buffer, ShapeError, c64, f32

__all__ = ["empty_result", "result_dtype", "result_region"]


def empty_result(in1: Buffer[Any], in2: Buffer[Any]) -> Buffer[Any]:
    """Return the result where an operand has no elements."""
    return in1.device.buffer(result_dtype(in1, in2), (0,) * len(in1.shape))


def result_dtype(in1: Buffer[Any], in2: Buffer[Any]) -> Any:
    """Return c64 where either operand is, else f32."""
    return c64 if c64 in (in1.dtype, in2.dtype) else f32


def result_region(
    op: str, in1: Buffer[Any], in2: Buffer[Any], mode: str, axes: Sequence[int]
) -> tuple[list[int], list[int]]:
    """Return starts and extents of a mode's part of the full convolution. Raises `ShapeError`."""
    starts, extents = [0] * len(in1.shape), []
    pairs = list(zip(in1.shape, in2.shape, strict=True))
    inside = all(pairs[a][0] >= pairs[a][1] for a in axes)
    outside = all(pairs[a][0] <= pairs[a][1] for a in axes)
    if mode == "valid" and not inside and not outside:
        raise ShapeError(
            f"{op}: one operand must hold the other for mode 'valid', got {in1.shape} and "
            f"{in2.shape}"
        )
    for a, (m, n) in enumerate(pairs):
        if a not in axes:
            if m != n and 1 not in (m, n):
                raise ShapeError(
                    f"{op}: extents of axis {a} must agree or be 1, got {in1.shape} and {in2.shape}"
                )
            repeated = n if m == 1 else m
            extents.append(m if mode == "same" else repeated)
            starts[a] = (repeated - extents[a]) // 2
        elif mode == "full":
            extents.append(m + n - 1)
        elif mode == "same":
            starts[a] = (n - 1) // 2
            extents.append(m)
        else:
            starts[a] = min(m, n) - 1
            extents.append(abs(m - n) + 1)
    return starts, extents
