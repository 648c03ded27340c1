"""Checks of a product's factors, of which the right one may be quantised."""

from __future__ import annotations

from typing import Any

from gpucore import ArgumentError, Buffer
from gpustd.launch.checks import require_buffers
from gpustd.matmul.quantized.weight import QuantizedWeight

__all__ = ["require_factors"]


def require_factors(op: str, x: Buffer[Any], w: Buffer[Any] | QuantizedWeight) -> None:
    """Raise `ArgumentError` unless these are buffers, or a quantised weight, of one device."""
    if not isinstance(w, QuantizedWeight):
        require_buffers(op, x, w)
        return
    require_buffers(op, x)
    if w.device is not x.device:
        raise ArgumentError(f"{op}: weights must lie on {x.device!r}, got {w!r}; upload them there")
