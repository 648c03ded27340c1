"""`Work` of a launch, and the `Roof` of a device that it is held against."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Roof", "Work"]


@dataclass(frozen=True, slots=True)
class Work:
    """What a launch must do at least.

    ``flops`` are floating-point operations, a multiplication and an addition being two; ``bytes``
    are those of each operand read once and each result written once.
    """

    flops: float
    bytes: float

    def __add__(self, other: Work) -> Work:
        return Work(self.flops + other.flops, self.bytes + other.bytes)


@dataclass(frozen=True, slots=True)
class Roof:
    """The best rates of a device: FLOP/s, and bytes/s read and written.

    (Williams, Waterman and Patterson 2009, doi 10.1145/1498765.1498785.)

    ``about`` tells people in a profile's table what the rates are of.
    """

    flops_per_second: float
    bytes_per_second: float
    about: str = ""

    def seconds(self, work: Work) -> float:
        """The least time in which the device can do ``work``."""
        return max(work.flops / self.flops_per_second, work.bytes / self.bytes_per_second)

    def __str__(self) -> str:
        """Both rates, in TFLOP/s and GB/s."""
        return f"{self.flops_per_second / 1e12:.4g} TFLOP/s, {self.bytes_per_second / 1e9:.4g} GB/s"
