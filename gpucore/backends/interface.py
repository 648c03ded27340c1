"""The protocol of a backend: a handful of calls that take bytes and opaque handles."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

from gpucore.backends.native import NativeCode, TileMap
from gpucore.backends.work import Work

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
    "Queue",
    "Sharing",
    "StagingStats",
]

_LLVMPIPE = re.compile(r"llvmpipe \(.*, (\d+) bits\)")

Access = Literal["storage", "read-only-storage", "uniform"]
Kind = Literal["discrete", "integrated", "virtual", "cpu", "unknown", "null"]


@dataclass(frozen=True)
class AdapterInfo:
    """One adapter as one engine describes it.

    ``features`` are names of ours: ``f16``, ``subgroups``, ``matrix-units``, ``timestamps``,
    ``subgroup-size-control``, ``async-copies`` (a graph's copies from memory of the host run
    beside its launches), ``cuda-kernels`` (native kernels run), ``ampere`` (on
    NVIDIA's compute capability 8.x), ``wgmma`` (those for Hopper run).
    ``limits`` have WebGPU's names, with underscores. ``memory_size`` is in bytes; None where the
    engine does not report it.
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
    def lanes(self) -> int:
        """The invocations of a subgroup where they are known and all alike, else 32.

        Mesa's llvmpipe runs one invocation in each 32-bit lane of its vectors, whose width stands
        in its name. The sizes that it reports are only bounds.
        """
        least, most = self.subgroup_size
        found = _LLVMPIPE.match(self.name)
        if found is not None:
            return int(found[1]) // 32
        return most if 0 < least == most else 32

    @property
    def backend(self) -> str:
        """Engine and API, such as ``dawn-vulkan``; this name selects the adapter.

        An engine that is an API itself has no other: ``cuda``.
        """
        return f"{self.engine}-{self.api}" if self.api else self.engine


class BindingSpec(NamedTuple):
    """One entry of a bind group layout: binding number, access, least size in bytes.

    ``tiles`` is the `TileMap` through which a native kernel sees the buffer, if it does.
    """

    binding: int
    access: Access
    min_size: int
    tiles: TileMap | None = None


class Handle(Protocol):
    """A GPU buffer of the engine. ``nbytes`` is its allocated size."""

    nbytes: int


@dataclass(frozen=True)
class StagingStats:
    """Staging memory through which reads go: bytes, and how often it was reused.

    ``nbytes`` are taken from the device, and ``idle`` of them wait for the next read. ``made``
    counts the reads that needed new memory, ``reused`` those that did not.
    """

    nbytes: int = 0
    idle: int = 0
    made: int = 0
    reused: int = 0


class Pending(Protocol):
    """Work that the device or its compiler has not finished."""

    @property
    def done(self) -> bool:
        """True once `wait` no longer blocks, also where it failed; the check takes no time."""

    def wait(self) -> None:
        """Block until it is done. Raises `DeviceLostError` where it never will be."""


class Program(Pending, Protocol):
    """A compute pipeline that may still be compiling; `wait` raises `KernelCompileError`.

    ``label`` names it in profiles, ``listing`` is what the sanitizer must know.
    """

    label: str
    listing: Any


@dataclass(frozen=True, slots=True)
class Launch:
    """Run a program over a grid of workgroups with bound buffers.

    ``bound`` are the handles in ``group``, each with its bytes, in the order of the bindings.
    Profiles sort it by its ``region`` and make rates from its ``work``. ``beside``: it may run
    beside all launches that do not use what it writes, since what it reads never changes.
    """

    program: Any
    group: Any
    bound: tuple[tuple[Any, int], ...]
    grid: tuple[int, int, int]
    region: str
    work: Work
    beside: bool = False


@dataclass(frozen=True, slots=True)
class Copy:
    """Copy ``nbytes`` (a multiple of 4) from the start of one handle to another."""

    source: Any
    target: Any
    nbytes: int


Command = Launch | Copy


class Recording(list[Command]):
    """Commands that are submitted many times.

    ``plan`` is the backend's own form of them, ``ahead`` a form that the next submission uses up.
    """

    plan: Any = None
    ahead: Any = None


class PendingRead(Protocol):
    """A read under way: call `wait`, use the bytes, then call `release`."""

    @property
    def done(self) -> bool:
        """True once `wait` no longer blocks."""

    def wait(self) -> memoryview:
        """Block until the bytes are there; they are valid until `release`."""

    def release(self) -> None:
        """Give the staging memory back, and abandon a read that is not done yet."""


class PendingTimes(Protocol):
    """Timestamps under way."""

    def wait(self) -> list[tuple[int, int]]:
        """Return the begin and the end of each launch in nanoseconds, as the device wrote them."""


class Sharing(Protocol):
    """Memory that an engine shares with other libraries of the process, such as PyTorch.

    ``place`` is DLPack's kind and number of the device, ``stream`` the engine's own stream there.
    """

    place: tuple[int, int]
    stream: int

    def address_of(self, handle: Any) -> int:
        """Return where a buffer lies on the device."""

    def order_before(self, stream: int) -> None:
        """Make another stream of the device wait for everything submitted so far."""

    def adopt(self, address: int, nbytes: int, release: Callable[[], None]) -> Handle:
        """Return a handle of others' memory; ``release`` is called when it is of no more use."""

    def give_back(self, handle: Any) -> None:
        """Queue the release of an adopted handle; called at any time, in any thread."""

    def take_back(self, storage: object) -> None:
        """Queue the end of a storage that was lent; called at any time, in any thread."""


class Queue(Protocol):
    """Submissions in order, beside those of a device's other queues.

    What uses the same memory keeps its order, whichever queue it is submitted to.
    """

    def submit(self, *lists: Sequence[Command]) -> None:
        """Run lists of commands one after the other, as `Backend.submit`."""

    def fence(self) -> Pending:
        """Return something that is done once everything is that was submitted to this queue."""

    def timestamp(self) -> PendingTimes:
        """Return one pair of timestamps of this queue, as `Backend.timestamp`."""

    def wait(self, fence: Any) -> None:
        """Let what is submitted from here on run after a fence of a queue of the device."""


class Backend(Protocol):
    """An opened adapter. Calls are ordered as on one queue; only pending work can block.

    The caller makes one call at a time, from any thread. What is dropped may end in another thread.

    Every call raises `DeviceLostError` once the device is lost or closed. ``sharing`` is None where
    no other library reaches the memory.
    """

    info: AdapterInfo
    sharing: Sharing | None

    @property
    def queue(self) -> Queue:
        """The main queue, which the backend's own calls use; an engine with one is it itself."""

    def new_queue(self) -> Queue:
        """Return another queue, or the main one where there is no other."""

    @property
    def under_way(self) -> int:
        """The number of submitted commands that are not known to be done."""

    @property
    def is_ready(self) -> bool:
        """False while a submission would block until an earlier one is done."""

    def one_submission(self) -> AbstractContextManager[object]:
        """Return a context in which the last call is `read`: it and what is submitted are one."""

    def encode_ahead(self) -> None:
        """Prepare the next submissions, while the host has to wait."""

    def allocate(self, nbytes: int) -> Handle:
        """Return a new buffer of ``nbytes`` (a multiple of 4); its contents are undefined.

        Raises `OutOfMemoryError`.
        """

    def free(self, handle: Any) -> None:
        """Give a buffer's memory back."""

    def keep_on_host(self, source: Any, nbytes: int) -> Handle:
        """Return memory of the host with the first ``nbytes`` of a buffer, for the device's copies.

        They are as all that was submitted leaves them. Where the device copies there by itself, the
        host does not wait. ``nbytes`` is a multiple of 4. `free` gives the memory back. Raises
        `OutOfMemoryError`.
        """

    def write(self, handle: Any, data: memoryview, offset: int = 0) -> None:
        """Copy host bytes at once to ``offset`` of a buffer (both multiples of 4)."""

    def read(self, handle: Any, nbytes: int, offset: int = 0) -> PendingRead:
        """Start copying ``nbytes`` from ``offset`` (both multiples of 4) to the host."""

    def compile(
        self,
        source: str,
        entry: str,
        constants: Mapping[str, float],
        bindings: tuple[BindingSpec, ...],
    ) -> Program:
        """Start compiling a pipeline; ``Program.wait`` raises its errors."""

    def compile_native(self, code: NativeCode) -> Program:
        """Start compiling a kernel in the engine's own language, as `compile`.

        Optional: called only where ``info.features`` has ``cuda-kernels``.
        """

    def bind(self, bindings: tuple[BindingSpec, ...], buffers: Sequence[tuple[Any, int]]) -> Any:
        """Return a bind group of (handle, bytes) for a layout."""

    def submit(self, *lists: Sequence[Command]) -> None:
        """Run lists of commands one after the other, as one submission."""

    def submit_timed(self, commands: Sequence[Command]) -> PendingTimes:
        """Run commands in order, each launch by itself between two timestamps.

        Work that a driver does at a program's first launch (Mesa compiles) comes before the first
        timestamp. Optional: called only where ``info.features`` has ``timestamps``.
        """

    def timestamp(self) -> PendingTimes:
        """Return one pair of timestamps, written when everything submitted before is done.

        Optional, as `submit_timed`.
        """

    def fence(self) -> Pending:
        """Return something that is done once everything submitted so far is."""

    def synchronize(self) -> None:
        """Block until everything submitted is done."""

    @property
    def staging(self) -> StagingStats:
        """The staging memory that reads go through."""

    def trim(self) -> None:
        """Give idle staging memory back to the device."""

    def close(self) -> None:
        """Release the device."""
