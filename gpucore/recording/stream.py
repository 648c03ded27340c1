"""A stream: commands are recorded here and submitted in one go."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from gpucore.backends import Command, Copy, Launch
from gpucore.errors import CaptureError, GpuError
from gpucore.memory.pool import Arena, Storage
from gpucore.memory.sharing import real
from gpucore.not_copyable import NotCopyable
from gpucore.recording.work import Work

if TYPE_CHECKING:
    from gpucore.backends import Backend
    from gpucore.device import Device
    from gpucore.recording.event import Event

__all__ = ["Stream"]

_MOST_RECORDED = 512
# Bytes: engines may keep what the host wrote until something is submitted.
_MOST_WRITTEN = 32 << 20


class Stream(NotCopyable):
    """An ordered list of launches and copies. A device has one, `Device.new_stream` makes more.

    Nothing runs before `submit`; reading a buffer submits first, and so does writing one that
    recorded commands use. Long lists are submitted by themselves, so that the device starts early
    and the list stays bounded.

    WebGPU has one queue a device: submitted lists run in the order of submission, whichever stream
    they come from, and streams do not make a device do two things at once. Streams are lists that
    are recorded side by side; what another stream has recorded and not submitted comes later, or
    earlier once an `Event` is recorded behind it, or the stream submitted. Reads, writes and
    `Device.synchronize` submit every stream first, in the order in which they began to record.

    ``with stream:`` records into it what is called inside. It is a setting of the device, so that
    a task of an event loop must not await inside: leaving raises `GpuError` where others came
    between. As a device, a stream is for one thread.

    >>> increment, x = device.compile_kernel(INCREMENT), device.buffer(f32, 64)
    >>> side = device.new_stream("side")
    >>> with side:
    ...     increment(x, grid=1)
    >>> side
    Stream('side', 1 commands not submitted)

    ``send`` takes all lists that are submitted, a graph's too: the backend's ``submit``, or a
    profile. ``region`` is what launches are recorded under (see `Device.region`).
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._commands: list[Command] = []
        self._touched: set[Any] = set()  # handles that they use
        self._written = 0  # bytes, since anything was submitted
        self._captured: CommandList | None = None
        # Several streams: what unsubmitted commands use must not be handed out again to another
        # stream, and a stream that holds commands must not be lost. None while there is one.
        self._held: list[tuple[Storage, ...]] | None = None
        self._open: dict[Stream, None] = {}
        self._siblings: weakref.WeakSet[Stream] = weakref.WeakSet()
        self._device: weakref.ref[Device] | None = None
        self._outer: list[Stream] = []
        self.name = "main"
        self.region = ""
        self.send: Callable[..., object] = backend.submit

    def sibling(self, device: Device, name: str) -> Stream:
        """Another stream of the same queue; called on the main one (see `Device.new_stream`)."""
        if self._held is None:
            self.flush()
            self._held = []
            self._device = weakref.ref(device)
        other = Stream(self._backend)
        other._held, other._open, other._device = [], self._open, self._device
        other.name, other.send = name, self.send
        other._siblings.add(self)
        self._siblings.add(other)
        return other

    def __repr__(self) -> str:
        state = "capturing a graph, " if self._captured is not None else ""
        return f"Stream({self.name!r}, {state}{len(self._commands)} commands not submitted)"

    def __enter__(self) -> Self:
        device = self._device() if self._device is not None else None
        if device is None:
            return self  # the only stream of its device
        if device.stream._captured is not None and device.stream is not self:
            raise CaptureError(
                "another stream inside device.capture(): a graph is captured on one stream, enter "
                "the stream first and capture inside"
            )
        self._outer.append(device.stream)
        self.region = device.stream.region
        device.stream = self
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        device = self._device() if self._device is not None else None
        if device is None or not self._outer:
            return
        inner, outer = device.stream, self._outer.pop()
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
        bind: Callable[[], Any],
        grid: tuple[int, int, int],
        storages: tuple[Storage, ...],
        work: Work,
    ) -> None:
        """Record a launch with the group that ``bind`` makes.

        If a graph is being captured, ``storages`` are pinned, and ``bind`` is called at its end.
        """
        region = self.region
        self._record(lambda: Launch(program, bind(), grid, region, work), storages)

    def copy(self, source: Storage, target: Storage, nbytes: int) -> None:
        """Record a copy between buffers."""
        one, other = source.handle, target.handle
        self._record(lambda: Copy(real(one), real(other), nbytes), (source, target))

    def _record(self, make: Callable[[], Command], storages: tuple[Storage, ...]) -> None:
        if self._captured is not None:
            self._captured.add(make, storages)
            return
        self._commands.append(make())
        self._touched.update([storage.handle for storage in storages])
        if self._held is not None:
            self._held.append(storages)
            self._open[self] = None
        if len(self._commands) >= _MOST_RECORDED:
            self.submit()

    def submit(self, *more: Sequence[Command]) -> None:
        """Hand everything recorded to the device, and ``more`` behind it; does not wait."""
        if self._captured is not None:
            self._captured.refuse_read()
        self.flush(*more)

    def flush(self, *more: Sequence[Command]) -> None:
        """Submit what was recorded outside of a capture, also while one is under way."""
        commands, self._commands, self._touched = self._commands, [], set()
        self._written = 0
        if commands and self._held is not None:
            self._held = [] if self._siblings else None
            self._open.pop(self, None)
        lists = [each for each in (commands, *more) if each]
        if lists:
            self.send(*lists)

    def precede(self, storage: Storage, nbytes: int) -> None:
        """Submit what must come before the host writes ``nbytes`` of ``storage``.

        That is all that was recorded, where any of it uses the same memory, much was written since
        the last submission, or there are several streams; else nothing.
        """
        self._written += nbytes
        shared = self._held is not None or self._captured is not None
        if shared or self._written > _MOST_WRITTEN or storage.handle in self._touched:
            self.submit_all()

    def flush_all(self) -> None:
        """`flush` for every stream of the device."""
        for stream in tuple(self._open):
            stream.flush()
        self.flush()
        if self._held is not None and not self._siblings:
            self._held = None  # the only stream again

    def submit_all(self) -> None:
        """`submit` for every stream of the device."""
        if self._captured is not None:
            self._captured.refuse_read()
        self.flush_all()

    def wait(self, event: Event) -> None:
        """Let what is recorded from here on run after ``event``; the host does not wait.

        The event is of this device and was recorded, which submitted the work before it: the one
        queue then keeps the order. For an event of another device, and it alone, the host waits.
        Raises `ArgumentError` if the event was never recorded.
        """
        event.order(self._backend)

    def synchronize(self) -> None:
        """Submit and block until the device is done, with every stream's submitted work."""
        self.submit()
        self._backend.synchronize()

    def begin_capture(self) -> CommandList:
        """Record into a new list, unsubmitted, until `end_capture`."""
        if self._captured is not None:
            raise CaptureError("a graph is already being captured on this stream")
        self.submit_all()
        self._captured = CommandList()
        return self._captured

    def end_capture(self) -> None:
        """Back to recording for submission."""
        self._captured = None


class CommandList:
    """Commands of a graph, and the storages that they use and that are not in its arena.

    Those in the arena need no pin: nobody else has their memory while the graph runs. Commands are
    made when it is known where that is.
    """

    def __init__(self) -> None:
        self.commands: list[Command] = []
        self.storages: set[Storage] = set()
        self.arena: Arena | None = None
        self._makes: list[Callable[[], Command]] = []

    def add(self, make: Callable[[], Command], storages: tuple[Storage, ...]) -> None:
        """Append what makes a command, and pin its storages."""
        for storage in storages:
            if storage.arena is not self.arena:
                self.storages.add(storage)
            else:
                storage.handle.use(len(self._makes))
        self._makes.append(make)

    def bind(self) -> None:
        """Make the commands, with the memory that buffers have now."""
        self.commands = [make() for make in self._makes]

    def refuse_read(self) -> None:
        """Host access would run before the commands it should see."""
        raise CaptureError(
            "read, write, replay or synchronize inside device.capture(): a captured graph holds "
            "device commands only; move host access before the capture or after graph.replay()"
        )
