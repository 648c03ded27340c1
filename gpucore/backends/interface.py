"""What a backend must offer: a handful of calls, in bytes and opaque handles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from gpucore.work import Work

__all__ = [
    "AdapterInfo",
    "Backend",
    "BindingSpec",
    "Command",
    "Copy",
    "Handle",
    "Launch",
    "PendingRead",
    "PendingTimes",
    "Program",
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


class Program(Protocol):
    """A compute pipeline, perhaps still compiling. ``label`` names it in profiles."""

    label: str

    def wait(self) -> None:
        """Block until compiled; raises `KernelCompileError`."""


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
    """Commands that are submitted many times; ``plan`` is the backend's own form of them."""

    plan: Any = None


class PendingRead(Protocol):
    """A read under way; wait for it or await it."""

    def wait(self) -> bytes | memoryview:
        """Block until the bytes are here."""

    def __await__(self) -> Any:
        """Await the bytes."""


class PendingTimes(Protocol):
    """Timestamps under way."""

    def wait(self) -> list[tuple[int, int]]:
        """Nanoseconds at the begin and the end of each launch, as the device wrote them."""


class Backend(Protocol):
    """An opened adapter. Calls are ordered as on one queue; only reads and ``wait`` block."""

    info: AdapterInfo

    def allocate(self, nbytes: int) -> Handle:
        """New buffer of ``nbytes`` (a multiple of 4), contents zero. `OutOfMemoryError`."""

    def free(self, handle: Any) -> None:
        """Give a buffer's memory back."""

    def write(self, handle: Any, data: memoryview) -> None:
        """Copy host bytes (a multiple of 4) to the start of a buffer."""

    def read(self, handle: Any, nbytes: int) -> PendingRead:
        """Start copying the first ``nbytes`` (a multiple of 4) to the host."""

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

    def submit(self, commands: Sequence[Command]) -> None:
        """Run commands in order."""

    def submit_timed(self, commands: Sequence[Command]) -> PendingTimes:
        """Run commands in order, each launch by itself between two timestamps.

        Optional: called only where ``info.features`` has ``timestamps``.
        """

    def synchronize(self) -> None:
        """Block until everything submitted is done."""

    def close(self) -> None:
        """Release the device."""
