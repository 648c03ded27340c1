"""What a backend must offer: a handful of calls, in bytes and opaque handles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from gpucore.recording.work import Work

__all__ = [
    "AdapterInfo",
    "Backend",
    "BindingSpec",
    "Command",
    "Copy",
    "Handle",
    "Launch",
    "Pending",
    "PendingRead",
    "PendingTimes",
    "Program",
    "StagingStats",
]

Access = Literal["storage", "read-only-storage", "uniform"]
Kind = Literal["discrete", "integrated", "virtual", "cpu", "unknown", "null"]


@dataclass(frozen=True)
class AdapterInfo:
    """One adapter as one engine sees it.

    ``features`` are names of ours: ``f16``, ``subgroups``, ``matrix-units``, ``timestamps``,
    ``subgroup-size-control``. ``limits`` carry WebGPU's names with underscores.
    ``memory_size`` is in bytes, None where the engine does not tell.
    """

    engine: str
    api: str
    name: str
    vendor: str
    driver: str
    kind: Kind
    features: frozenset[str]
    limits: Mapping[str, int] = field(repr=False)
    subgroup_size: tuple[int, int] = (0, 0)
    memory_size: int | None = None
    matrix_shapes: tuple[tuple[str, str, int, int, int], ...] = ()
    index: int = 0

    @property
    def backend(self) -> str:
        """Engine and API, such as ``dawn-vulkan``: the name that selects it."""
        return f"{self.engine}-{self.api}"


@dataclass(frozen=True)
class BindingSpec:
    """One entry of a bind group layout: binding number, access, least size in bytes."""

    binding: int
    access: Access
    min_size: int


class Handle(Protocol):
    """A GPU buffer of the engine. ``nbytes`` is its allocated size."""

    nbytes: int


@dataclass(frozen=True)
class StagingStats:
    """Staging memory through which reads go: bytes, and how often some of it was used again.

    ``nbytes`` are taken from the device, ``idle`` of them wait for the next read. ``made`` counts
    the reads that needed new memory, ``reused`` those that did not.
    """

    nbytes: int = 0
    idle: int = 0
    made: int = 0
    reused: int = 0


class Pending(Protocol):
    """Something that the device or its compiler has still to do."""

    @property
    def done(self) -> bool:
        """True once `wait` no longer blocks; looking takes no time. True where it failed, too."""

    def wait(self) -> None:
        """Block until it is done; `DeviceLostError` where it never will be."""


class Program(Pending, Protocol):
    """A compute pipeline, perhaps still compiling; `wait` raises `KernelCompileError`.

    ``label`` names it in profiles.
    """

    label: str


@dataclass(frozen=True, slots=True)
class Launch:
    """Run a program over a grid of workgroups with bound buffers.

    ``region`` is what profiles file it under, ``work`` what their rates are made from.
    """

    program: Any
    group: Any
    grid: tuple[int, int, int]
    region: str
    work: Work


@dataclass(frozen=True, slots=True)
class Copy:
    """Copy ``nbytes`` (a multiple of 4) from the start of one handle to another."""

    source: Any
    target: Any
    nbytes: int


Command = Launch | Copy


class Recording(list[Command]):
    """Commands that are submitted many times.

    ``plan`` is the backend's own form of them, ``ahead`` what the next submission will take.
    """

    plan: Any = None
    ahead: Any = None


class PendingRead(Protocol):
    """A read under way: `wait`, use the bytes, `release`."""

    @property
    def done(self) -> bool:
        """True once `wait` no longer blocks."""

    def wait(self) -> memoryview:
        """Block until the bytes are here. They are valid until `release`."""

    def release(self) -> None:
        """Give the staging memory back; a read that is not done yet is abandoned."""


class PendingTimes(Protocol):
    """Timestamps under way."""

    def wait(self) -> list[tuple[int, int]]:
        """Nanoseconds at the begin and the end of each launch, as the device wrote them."""


class Backend(Protocol):
    """An opened adapter. Calls are ordered as on one queue; only what is pending can block.

    Every call raises `DeviceLostError` once the device is lost or closed.
    """

    info: AdapterInfo

    @property
    def under_way(self) -> int:
        """Submitted commands of which it is not known yet that they are done."""

    def allocate(self, nbytes: int) -> Handle:
        """New buffer of ``nbytes`` (a multiple of 4), contents undefined. `OutOfMemoryError`."""

    def free(self, handle: Any) -> None:
        """Give a buffer's memory back."""

    def write(self, handle: Any, data: memoryview, offset: int = 0) -> None:
        """Copy host bytes to ``offset`` of a buffer (both multiples of 4); the copy is at once."""

    def read(self, handle: Any, nbytes: int, offset: int = 0) -> PendingRead:
        """Start copying ``nbytes`` from ``offset`` (both multiples of 4) to the host."""

    def compile(
        self,
        source: str,
        entry: str,
        constants: Mapping[str, float],
        bindings: tuple[BindingSpec, ...],
    ) -> Program:
        """Start compiling a pipeline; errors come from ``Program.wait``."""

    def bind(self, bindings: tuple[BindingSpec, ...], buffers: Sequence[tuple[Any, int]]) -> Any:
        """Bind group of (handle, bytes) for a layout."""

    def submit(self, *lists: Sequence[Command]) -> None:
        """Run lists of commands, one behind the other, as one submission."""

    def submit_timed(self, commands: Sequence[Command]) -> PendingTimes:
        """Run commands in order, each launch by itself between two timestamps.

        What a driver does at a program's first launch (Mesa compiles) comes before the first one's.
        Optional: called only where ``info.features`` has ``timestamps``.
        """

    def timestamp(self) -> PendingTimes:
        """One pair of timestamps, written when everything submitted before is done.

        Optional, as `submit_timed`.
        """

    def fence(self) -> Pending:
        """Done once everything submitted so far is."""

    def synchronize(self) -> None:
        """Block until everything submitted is done."""

    @property
    def staging(self) -> StagingStats:
        """The staging memory that reads go through."""

    def trim(self) -> None:
        """Give idle staging memory back."""

    def close(self) -> None:
        """Release the device."""
