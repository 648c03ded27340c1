"""A case of a benchmark (`Entry`), its goal (`Target`) and its result (`Row`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from gpucore import Device

__all__ = ["Entry", "Row", "Target"]

_Kind = Literal["tflops", "of peer", "of copy rate", "seconds"]


@dataclass(frozen=True)
class Target:
    """A goal: a least number of ``tflops``, a least share, or a greatest number of ``seconds``.

    A share is relative to the fastest peer's rate, or to the rate of copies on the card.
    """

    kind: _Kind
    value: float

    def __str__(self) -> str:
        if self.kind == "tflops":
            return f"≥ {self.value:g} TFLOP/s"
        if self.kind == "seconds":
            large = self.value >= 1
            return f"≤ {self.value:g} s" if large else f"≤ {self.value * 1e3:g} ms"
        return f"≥ {self.value:.0%} {self.kind}"


@dataclass(frozen=True)
class Row:
    """Result of an entry. None stands for an unknown value.

    ``roof`` is the least time at the roof divided by the measured time. ``copy_share`` is the rate
    of bytes divided by that of copies. ``peers`` are the seconds of other libraries. ``date`` is
    the day of the measurement, where it is earlier than that of the rest of the file.
    """

    name: str
    seconds: float
    flops: float = 0.0
    bytes: float = 0.0
    roof: float | None = None
    copy_share: float | None = None
    peers: Mapping[str, float] = field(default_factory=dict)
    target: Target | None = None
    date: str | None = None

    @property
    def ratio(self) -> float | None:
        """Return our rate divided by the fastest peer's: above 1 we are faster."""
        return min(self.peers.values()) / self.seconds if self.peers else None

    @property
    def grade(self) -> float | None:
        """Return the rate divided by the target's; None without a target or without a peer."""
        if self.target is None:
            return None
        kind, value = self.target.kind, self.target.value
        if kind == "seconds":
            return value / self.seconds
        if kind == "tflops":
            return self.flops / self.seconds / (value * 1e12)
        share = self.ratio if kind == "of peer" else self.copy_share
        return None if share is None else share / value

    @property
    def reached(self) -> bool | None:
        """Return true where the target is reached; None without a target or without a peer."""
        return None if self.grade is None else self.grade >= 1

    @classmethod
    def of_json(cls, data: Mapping[str, Any]) -> Row:
        """Return a row from the JSON of `dataclasses.asdict`."""
        target = data.get("target")
        return cls(**{**data, "target": Target(**target) if target else None})


@dataclass(frozen=True)
class Entry:
    """One case to time.

    Attributes:
        name: the computation, with its sizes and dtype.
        setup: makes the operands on a device, and returns a call that records the operation once.
        flops: floating-point operations of one call; 0 where only bytes matter.
        bytes: bytes that one call must at least read and write.
        numpy: the same computation in NumPy on the host, or None. It is called several times, and
            makes its operands at the first call.
        torch: takes PyTorch, makes the operands on its default device, and returns a call that
            launches the same computation; or None.
        cupy: the same as ``torch``, with CuPy.
        torch_name: the name under which PyTorch's times are shown.
        target: goal on one NVIDIA H200.
        f16: true where the entry needs a device with f16; it is left out elsewhere.
        cpu: true where the entry is small enough for a software renderer.
    """

    name: str
    setup: Callable[[Device], Callable[[], object]]
    flops: float
    bytes: float
    numpy: Callable[[], object] | None = None
    torch: Callable[[Any], Callable[[], object]] | None = None
    cupy: Callable[[Any], Callable[[], object]] | None = None
    torch_name: str = "PyTorch"
    target: Target | None = None
    f16: bool = False
    cpu: bool = True
