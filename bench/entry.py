"""`Entry`: one case of a benchmark; `Target`: what it should reach; `Row`: what it reached."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from gpucore import Device

__all__ = ["Entry", "Row", "Target"]

_Kind = Literal["tflops", "of peer", "of copy rate", "seconds"]


@dataclass(frozen=True)
class Target:
    """A bound: at least so many ``tflops`` or so large a share, or at most so many ``seconds``.

    A share is that of the quickest peer's rate, or that of the rate of copies on the card.
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
    """Result of an entry.

    ``roof`` is the least time at the roof over the time it took, ``copy_share`` its bytes a second
    over those of copies; ``peers`` are seconds of the same by others. None: not known.
    """

    name: str
    seconds: float
    flops: float = 0.0
    bytes: float = 0.0
    roof: float | None = None
    copy_share: float | None = None
    peers: Mapping[str, float] = field(default_factory=dict)
    target: Target | None = None

    @property
    def ratio(self) -> float | None:
        """Our rate over the quickest peer's: above 1 is quicker."""
        return min(self.peers.values()) / self.seconds if self.peers else None

    @property
    def grade(self) -> float | None:
        """The rate over the target's, 1 if it is just reached; None without one or without peer."""
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
        """Whether the target is; None without one, or where the peer is missing."""
        return None if self.grade is None else self.grade >= 1

    @classmethod
    def of_json(cls, data: Mapping[str, Any]) -> Row:
        """A row as `dataclasses.asdict` wrote it."""
        target = data.get("target")
        return cls(**{**data, "target": Target(**target) if target else None})


@dataclass(frozen=True)
class Entry:
    """One case to time.

    Attributes:
        name: what is computed, with its sizes and dtype.
        setup: makes the operands on a device; the call it returns records the operation once.
        flops: floating-point operations of one call; 0 where only bytes matter.
        bytes: bytes that one call must at least read and write.
        numpy: the same computation in NumPy on the host, or None; it is called several times, so
            it makes its operands at the first call.
        torch: given PyTorch, makes the operands on its default device; the call it returns
            launches the same computation. None where there is no such peer.
        cupy: the same, given CuPy. What NumPy calls alike is written once for both.
        torch_name: what that peer is called where its times are shown.
        target: what it should reach on one NVIDIA H200.
        f16: the entry needs a device with f16, and is left out elsewhere.
        cpu: the entry is small enough for a software renderer.
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
