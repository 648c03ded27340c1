"""Unfinished work of a card: kernels that compile, reads, fences, timestamps."""

from __future__ import annotations

import ctypes as c
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future
from typing import Any, Protocol

from gpucore.backends.compilers import Compilers
from gpucore.backends.drivers.driver import Driver, Function
from gpucore.backends.drivers.errors import DriverError
from gpucore.backends.staging import StagingBuffer
from gpucore.errors import GpuError, KernelCompileError
from gpucore.waiting import wait_in_turns
from gpucore.wgsl import WgslError

__all__ = ["CardFence", "CardProgram", "CardRead", "CardTimes", "Origin"]


class PendingOwner(Protocol):
    """The part of a `CardBackend` that its unfinished work uses."""

    compilers: Compilers

    @property
    def title(self) -> str:
        """The engine's name in errors."""

    def failure(self, action: str, error: DriverError | str) -> GpuError:
        """Return the error to raise where the driver reports one during ``action``."""

    def require_open(self, action: str) -> None:
        """Raise `DeviceLostError` where the device was closed or lost."""

    def is_reached(self, event: int) -> bool:
        """Tell whether the work before an event is done. Raises `DeviceLostError`."""

    def drop_event(self, event: int) -> None:
        """Destroy an event later; the collector calls it at any time, in any thread."""

    def note_done(self, count: int) -> None:
        """Note that the first ``count`` commands sent are done."""

    def return_staging(self, staging: StagingBuffer, *, is_done: bool) -> None:
        """Take a read's staging memory back."""

    def abandon_staging(self, staging: StagingBuffer) -> None:
        """Note that a read was dropped."""


class CardProgram:
    """A kernel that may still be compiling; ``future`` has its `Function`."""

    __slots__ = ("_backend", "_function", "_future", "_source", "label", "listing")

    def __init__(self, backend: PendingOwner, future: Future[Function], source: str) -> None:
        self.label = ""
        self.listing: Any = None
        self._backend = backend
        self._future = future
        self._source = source
        self._function: Function | None = None

    @property
    def done(self) -> bool:
        return self._function is not None or self._backend.compilers.is_done(self._future)

    def wait(self) -> None:
        """Block until it is compiled. Raises `KernelCompileError`."""
        if self._function is None:
            try:
                self._function = self._backend.compilers.result(self._future)
            except WgslError as error:
                raise KernelCompileError(
                    f"WGSL does not compile: {error.message}",
                    self._source,
                    error.line,
                    error.column,
                ) from None
            except CancelledError:
                raise self._backend.failure("compiling a kernel", "it was closed") from None
            except DriverError as error:
                raise self._failure(error) from None
            self._backend.require_open("compiling a kernel")

    def _failure(self, error: DriverError) -> GpuError:
        if error.is_loss and not error.is_of_code:
            return self._backend.failure("compiling a kernel", error)
        return KernelCompileError(
            f"{self._backend.title} does not compile this kernel: {error}", self._source
        )

    @property
    def function(self) -> Function:
        """The kernel; it waits for the compiler."""
        if self._function is None:
            self.wait()
        assert self._function is not None
        return self._function


class CardFence:
    """Events behind what was submitted; the first ``sent`` commands are done when it is."""

    def __init__(self, backend: PendingOwner, events: Sequence[int], sent: int) -> None:
        self.events = events
        self._backend = backend
        self._sent = sent

    @property
    def done(self) -> bool:
        try:
            reached = all(map(self._backend.is_reached, self.events))
        except GpuError:
            return True  # `wait` raises it
        if reached:
            self._backend.note_done(self._sent)
        return reached

    def wait(self) -> None:
        """Block until it is reached. Raises `DeviceLostError`."""
        wait_in_turns(self)
        self._backend.is_reached(self.events[0])

    def __del__(self) -> None:
        for event in self.events:
            self._backend.drop_event(event)


class CardRead:
    """A copy to staging memory."""

    def __init__(
        self, backend: PendingOwner, staging: StagingBuffer, nbytes: int, fence: CardFence
    ) -> None:
        self._backend = backend
        self._staging: StagingBuffer | None = staging
        self._nbytes = nbytes
        self._fence = fence

    @property
    def done(self) -> bool:
        return self._fence.done

    def wait(self) -> memoryview:
        if self._staging is None:
            raise GpuError("this read was finished or abandoned already: begin another")
        self._backend.require_open("reading")
        self._fence.wait()
        found: memoryview = self._staging.raw.view(self._nbytes)
        return found

    def release(self) -> None:
        if self._staging is not None:
            self._backend.return_staging(self._staging, is_done=self._fence.done)
            self._staging = None

    def __del__(self) -> None:
        if getattr(self, "_staging", None) is not None:
            self._backend.abandon_staging(self._staging)  # type: ignore[arg-type]


class CardTimes:
    """Pairs of events."""

    def __init__(
        self, backend: PendingOwner, pairs: list[tuple[int, int]], fence: CardFence, origin: Origin
    ) -> None:
        self._backend = backend
        self._pairs = pairs
        self._origin = origin
        self._fence = fence

    def wait(self) -> list[tuple[int, int]]:
        self._fence.wait()
        try:
            at = [(self._origin.at(begin), self._origin.at(end)) for begin, end in self._pairs]
        except DriverError as error:
            raise self._backend.failure("reading timestamps", error) from None
        return [(round(begin * 1e6), round(end * 1e6)) for begin, end in at]

    def __del__(self) -> None:
        for pair in self._pairs:
            for event in pair:
                self._backend.drop_event(event)


class Origin:
    """An event from which times count, and when it was itself.

    The driver tells the time between two events in milliseconds of 32 bits. So the origin moves
    along, and each one is measured from the one before.
    """

    def __init__(self, driver: Driver, event: int, before: Origin | None = None) -> None:
        self.event = event
        self._driver = driver
        self._before = before
        self._at = 0.0

    def at(self, event: int) -> float:
        """Return the milliseconds from the first origin to an event that is reached."""
        if self._before is not None:
            self._at, self._before = self._before.at(self.event), None
        passed = c.c_float()
        self._driver("elapsed_time", c.byref(passed), self.event, event)
        return self._at + passed.value
