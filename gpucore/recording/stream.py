"""`Stream`: commands are recorded into it and submitted together."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from threading import get_ident
from types import TracebackType
from typing import Any, Protocol, Self

from gpucore.backends import AdapterInfo, Backend, Command, Copy, Launch, Pending, Queue
from gpucore.backends.work import Work
from gpucore.errors import CaptureError, GpuError
from gpucore.memory.pool import Pool, Storage
from gpucore.memory.sharing import resolve_handle
from gpucore.not_copyable import NotCopyable
from gpucore.recording.ahead import Filling
from gpucore.recording.command_list import CommandList
from gpucore.sanitizer import checker
from gpucore.waiting import Lock, under_lock, wait_in_turns

__all__ = ["RecordingDevice", "Stream", "StreamEvent"]

_MAX_RECORDED = 512
# Bytes: engines may keep what the host wrote until something is submitted.
_MAX_WRITTEN = 32 << 20


class RecordingDevice(Protocol):
    """The part of a `Device` that streams, graphs, events and profiles use."""

    engine: Backend
    pool: Pool
    stream: Stream
    lock: Lock

    @property
    def info(self) -> AdapterInfo:
        """Return what the engine says of the adapter."""

    @property
    def name(self) -> str:
        """Return the card's name."""

    @property
    def features(self) -> frozenset[str]:
        """Return the names of the adapter's features."""

    @property
    def streams(self) -> tuple[Stream, ...]:
        """Return the streams that are in use, the main one first."""

    def submit(self) -> None:
        """Submit every stream."""

    def wait_for(self, pending: Pending) -> None:
        """Block until work is done, while other threads use the device."""


class StreamEvent(Protocol):
    """The part of an `Event` that a stream uses."""

    def order_before(self, stream: Stream) -> None:
        """Make what ``stream`` submits from here on run after the event."""


class Stream(NotCopyable):
    """An ordered list of launches and copies. A device has one, `Device.new_stream` makes more.

    Nothing runs before `submit`; reading a buffer submits first, and so does writing one that
    recorded commands use. Long lists are submitted by themselves, so that the device starts early
    and the list stays bounded.

    Submitted lists that use the same memory run in the order of submission, whichever stream they
    come from, and so read and write what they would one after the other. Beyond that, CUDA and HIP
    have a stream of the card for each, which may run at the same time. WebGPU has one queue per
    device: there streams are lists that are recorded side by side. What another stream has recorded
    but not submitted runs later, unless an `Event` is recorded after it or the stream is submitted.
    Reads, writes and `Device.synchronize` submit every stream first, in the order in which they
    began to record.

    ``with stream:`` records into it what this thread calls inside. Other threads go on recording
    into their own stream. A task of an event loop must not await inside: leaving raises `GpuError`
    where another stream came between.

    >>> increment, x = device.compile_kernel(INCREMENT), device.buffer(f32, 64)
    >>> side = device.new_stream("side")
    >>> with side:
    ...     increment(x, grid=1)
    >>> side
    Stream('side', 1 commands not submitted)

    ``send`` takes all lists that are submitted, also those of graphs: the ``submit`` of its
    ``queue``, or a profile's. ``region`` is that of the launches that this thread records (see
    `Device.region`). ``lock`` is the device's.
    """

    def __init__(self, backend: Backend, lock: Lock, queue: Queue | None = None) -> None:
        self.lock = lock
        self.queue = backend.queue if queue is None else queue
        self._backend = backend
        self._regions: dict[int, str] = {}  # of each thread that is in one, for all streams
        self._commands: list[Command] = []
        self._used_handles: set[Any] = set()  # those that the commands use
        self._written = 0  # bytes, since anything was submitted
        self._captured: CommandList | None = None
        # With several streams, memory that unsubmitted commands use must not be handed out again
        # to another stream, and a stream with commands must not be lost. None for a single stream.
        self._pinned: list[tuple[Storage, ...]] | None = None
        self._unsubmitted: dict[Stream, None] = {}
        self._siblings: weakref.WeakSet[Stream] = weakref.WeakSet()
        self._device: weakref.ref[RecordingDevice] | None = None
        self._outer: dict[int, list[Stream]] = {}  # of each thread that entered it
        self.name = "main"
        self.send: Callable[..., object] = self.queue.submit

    def new_sibling(self, device: RecordingDevice, name: str) -> Stream:
        """Return another stream of the device; call it on the main stream only."""
        if self._pinned is None:
            self.flush()
            self._pinned = []
            self._device = weakref.ref(device)
        other = Stream(self._backend, self.lock, self._backend.new_queue())
        other._pinned, other._unsubmitted, other._device = [], self._unsubmitted, self._device
        other._regions = self._regions
        other.name = name
        if self.send != self.queue.submit:  # a profile is under way
            other.send = self.send
        other._siblings.add(self)
        self._siblings.add(other)
        return other

    @property
    def is_capturing(self) -> bool:
        """True inside ``device.capture()``."""
        return self._captured is not None

    @property
    def region(self) -> str:
        return self._regions.get(get_ident(), "") if self._regions else ""

    @region.setter
    def region(self, name: str) -> None:
        if name:
            self._regions[get_ident()] = name
        else:
            self._regions.pop(get_ident(), None)

    def __repr__(self) -> str:
        state = "capturing a graph, " if self._captured is not None else ""
        return f"Stream({self.name!r}, {state}{len(self._commands)} commands not submitted)"

    @under_lock
    def __enter__(self) -> Self:
        device = self._device() if self._device is not None else None
        if device is None:
            return self  # the only stream of its device
        if device.stream._captured is not None and device.stream is not self:
            raise CaptureError(
                "another stream inside device.capture(): a graph is captured on one stream; enter "
                "the stream first and capture inside"
            )
        self._outer.setdefault(get_ident(), []).append(device.stream)
        device.stream = self
        return self

    @under_lock
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        device = self._device() if self._device is not None else None
        mine = self._outer.get(get_ident())
        if device is None or not mine:
            return
        inner, outer = device.stream, mine.pop()
        if not mine:
            del self._outer[get_ident()]
        device.stream = outer if inner is self else device.streams[0]
        if inner is not self and error is None:
            raise GpuError(
                f"{self!r} was left while {inner!r} was recorded into, so that launches may be in "
                "the wrong one: leave streams in the reverse order, and do not await inside "
                "`with stream:`"
            )

    def launch(
        self,
        program: Any,
        bind: Callable[[], tuple[Any, tuple[tuple[Any, int], ...]]],
        grid: tuple[int, int, int],
        storages: tuple[Storage, ...],
        work: Work,
        ahead: bool = False,
    ) -> None:
        """Record a launch with the bind group that ``bind`` makes, and what is bound.

        While a graph is captured, ``storages`` are pinned, and ``bind`` is called when the capture
        ends. The caller has the lock. ``ahead``: as for a `Kernel`.
        """
        region = self._regions.get(get_ident(), "") if self._regions else ""  # as `region`, quicker
        self._record(
            lambda: Launch(program, *bind(), grid, region, work, ahead),
            storages,
            Filling.LAUNCH if ahead else None,
        )

    def copy(
        self, source: Storage, target: Storage, nbytes: int, *, from_host: bool = False
    ) -> None:
        """Record a copy of ``nbytes`` between two storages.

        ``from_host``: of what never changes there, to new memory. A graph may make it earlier.
        """
        source_handle, target_handle = source.handle, target.handle
        self._record(
            lambda: Copy(resolve_handle(source_handle), resolve_handle(target_handle), nbytes),
            (source, target),
            Filling.COPY if from_host else None,
        )

    def _record(
        self,
        make: Callable[[], Command],
        storages: tuple[Storage, ...],
        filling: Filling | None,
    ) -> None:
        if self._captured is not None:
            self._captured.add(make, storages, filling)
            return
        self._commands.append(make())
        self._used_handles.update([storage.handle for storage in storages])
        if self._pinned is not None:
            self._pinned.append(storages)
            self._unsubmitted[self] = None
        if len(self._commands) >= _MAX_RECORDED or checker() is not None:
            self.submit()

    @under_lock
    def submit(self, *more: Sequence[Command]) -> None:
        """Submit everything recorded, and the lists ``more`` after it; do not wait.

        Raises `CaptureError` while a graph is captured.
        """
        if self._captured is not None:
            self._captured.forbid_host_access()
        self.flush(*more)

    def flush(self, *more: Sequence[Command]) -> None:
        """Submit what was recorded outside of a capture, also while one is under way."""
        self._written = 0
        commands = self._commands
        if commands:
            self._commands, self._used_handles = [], set()
            if self._pinned is not None:
                self._pinned = [] if self._siblings else None
                self._unsubmitted.pop(self, None)
        lists = [each for each in (commands, *more) if each]
        if lists:
            self.deliver(*lists)

    def deliver(self, *lists: Sequence[Command]) -> None:
        """Give lists to the engine, or to the sanitizer where it is on."""
        sanitizer = checker()
        if sanitizer is None:
            self.send(*lists)
        else:
            sanitizer.run(self._backend, lists)

    def submit_before_write(self, storage: Storage, nbytes: int) -> None:
        """Submit what must run before the host writes ``nbytes`` of ``storage``.

        Everything recorded must, where a command uses the same memory, where much was written since
        the last submission, or where there are several streams. Otherwise nothing must.
        """
        self._written += nbytes
        shared = self._pinned is not None or self._captured is not None
        if shared or self._written > _MAX_WRITTEN or storage.handle in self._used_handles:
            self.submit_all()

    def flush_all(self) -> None:
        """Call `flush` for every stream of the device."""
        for stream in tuple(self._unsubmitted):
            stream.flush()
        self.flush()
        if self._pinned is not None and not self._siblings:
            self._pinned = None  # the only stream again

    @under_lock
    def submit_all(self) -> None:
        """Call `submit` for every stream of the device."""
        if self._captured is not None:
            self._captured.forbid_host_access()
        self.flush_all()

    def wait(self, event: StreamEvent) -> None:
        """Let what is submitted from here on run after an `Event`; the host does not wait.

        The host waits only for an event of another device. Raises `ArgumentError` if the event was
        never recorded.
        """
        event.order_before(self)

    def synchronize(self) -> None:
        """Submit, and block until the device has done the submitted work of every stream."""
        with self.lock:
            self.submit()
            fence = self._backend.fence()
        wait_in_turns(fence, self.lock, self._backend.encode_ahead)
        with self.lock:
            fence.wait()

    def begin_capture(self) -> CommandList:
        """Record into a new list, unsubmitted, until `end_capture`; return the list."""
        if self._captured is not None:
            raise CaptureError(
                "a graph is already being captured on this stream: end its capture first"
            )
        self.submit_all()
        self._captured = CommandList()
        return self._captured

    def end_capture(self) -> None:
        """Record for submission again."""
        self._captured = None
