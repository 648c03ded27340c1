"""`Entry`: one row of a benchmark."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gpucore import Device

__all__ = ["Entry"]


@dataclass(frozen=True)
class Entry:
    """One case to time.

    Attributes:
        name: what is computed, with its sizes and dtype.
        setup: makes the operands on a device; the call it returns records the operation once.
        flops: floating-point operations of one call; 0 where only bytes matter.
        bytes: bytes that one call must at least read and write.
        peer: the same computation in NumPy on the host, or None; it is called several times, so
            it makes its operands at the first call.
        f16: the entry needs a device with f16, and is left out elsewhere.
        cpu: the entry is small enough for a software renderer.
    """

    name: str
    setup: Callable[[Device], Callable[[], object]]
    flops: float
    bytes: float
    peer: Callable[[], object] | None = None
    f16: bool = False
    cpu: bool = True
