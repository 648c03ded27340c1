"""`Work` of a launch, and `Roof`, the best rates of a device to compare it with."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Roof", "Work"]


@dataclass(frozen=True, slots=True)
class Work:
    """The least work of a launch.

    ``flops`` are floating-point operations, where a multiplication and an addition count as two.
    ``bytes`` count each operand read once and each result written once.
    """

    flops: float
    bytes: float

    def __add__(self, other: Work) -> Work:
        return Work(self.flops + other.flops, self.bytes + other.bytes)


@dataclass(frozen=True, slots=True)
class Roof:
    """The best rates of a device: FLOP/s, and bytes/s read and written.

    (Williams, Waterman and Patterson 2009, doi 10.1145/1498765.1498785.)

    ``about`` says in a profile's table how the rates were measured.
    """

    flops_per_second: float
    bytes_per_second: float
    about: str = ""

    def seconds(self, work: Work) -> float:
        """Return the least seconds in which the device can do ``work``."""
        return max(work.flops / self.flops_per_second, work.bytes / self.bytes_per_second)

    def __str__(self) -> str:
        """Both rates, in TFLOP/s and GB/s."""
        return f"{self.flops_per_second / 1e12:.4g} TFLOP/s, {self.bytes_per_second / 1e9:.4g} GB/s"
