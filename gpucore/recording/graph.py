"""`Graph`: a captured command list that replays with next to no Python work per launch."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

from gpucore.backends import Command, Launch, Recording
from gpucore.backends.work import Work
from gpucore.errors import CaptureError, GpuError
from gpucore.memory.pool import Arena
from gpucore.not_copyable import NotCopyable
from gpucore.recording.command_list import CommandList
from gpucore.recording.stream import RecordingDevice, Stream

__all__ = ["Graph"]

# Commands of the first submission where the device has little to do. Submitting 600 launches takes
# the host over 1 ms, and meanwhile the device begins with these. A graph of fewer than six times as
# many is one submission, and so is every graph behind other work: a submission more costs the
# device 25 µs.
_FIRST_COMMANDS = 48


class Graph(NotCopyable):
    """Captured commands, made by ``with device.capture() as graph:``.

    Calls inside the ``with`` block are recorded and do not run. Buffers that exist before the
    capture are pinned and are the graph's inputs: write them, then `replay`. Buffers made inside
    belong to the graph. Those still referenced afterwards are its outputs and hold new values after
    each replay. The others share memory, which they get when the capture ends. All graphs of a
    device share it, so that its contents are gone when another graph has run.

    A ``with`` block belongs to the thread that opened it: calls of other threads to the device wait
    until it ends. Inside, do not wait for a thread that uses the device.

    >>> x, y = (device.buffer(f32, 64) for _ in range(2))
    >>> with device.capture() as graph:
    ...     y.copy_from(x)
    >>> for step in range(3):
    ...     x.write(np.full(64, step, np.float32))
    ...     graph.replay()
    >>> len(graph)
    1
    """

    def __init__(self, device: RecordingDevice) -> None:
        self._device = device
        self._list = CommandList()
        self._arena: Arena | None = None
        self._capturing = False
        self._stream: Stream = device.stream

    def __enter__(self) -> Self:
        self._device.lock.acquire()  # until the block ends: other threads wait
        try:
            self._stream = self._device.stream
            captured = self._stream.begin_capture()
            self.release()  # of an earlier capture
            self._list = captured
            self._list.arena = self._arena = self._device.pool.open_arena()
            self._capturing = True
        except BaseException:
            self._device.lock.release()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._end(error)
        finally:
            self._device.lock.release()

    def _end(self, error: BaseException | None) -> None:
        """End the capture, after which the graph has memory, or is released after an error."""
        pool = self._device.pool
        pool.leave_arena()
        self._stream.end_capture()
        self._capturing = False
        assert self._arena is not None
        try:
            if error is None:
                self._list.arrange(ahead="async-copies" in self._device.features)
                pool.assign_memory(self._arena)
                self._bind(self._arena)
                return
            with suppress(GpuError):
                pool.assign_memory(self._arena, temporary=False)
        except BaseException:
            self._drop()
            raise
        self._drop()

    def _bind(self, arena: Arena) -> tuple[list[Recording], list[Recording]]:
        """Return the recordings to submit, as one and in parts; bind them again if memory moved."""
        self._device.pool.place_scratch(arena.share)
        if arena.share.bound is None:
            self._list.bind()
            arena.share.bound = _recordings(self._list.commands)
        return arena.share.bound

    def __repr__(self) -> str:
        launches = len(self.works)
        copies = len(self) - launches
        state = "" if self._arena is not None else ", released"
        return f"Graph({launches} launches, {copies} copies, on {self._device.name}{state})"

    def __len__(self) -> int:
        """Return the number of captured commands."""
        return len(self._list.commands)

    @property
    def works(self) -> list[Work]:
        """The work of each captured launch."""
        return [c.work for c in self._list.commands if isinstance(c, Launch)]

    def replay(self) -> None:
        """Submit the captured commands again; do not wait.

        They are one submission together with what was recorded before. A graph of 288 commands or
        more is two submissions where the device has fewer commands under way than the graph holds.
        The device then begins with the first 48 while the host still submits the others.

        Raises `CaptureError` once released, `OutOfMemoryError` if its memory moved and there is no
        room for it.
        """
        with self._device.lock:
            if self._arena is None:
                raise CaptureError(
                    "replay of a graph that was released or never captured: capture it"
                )
            single, parts = self._bind(self._arena)
            is_idle = self._device.engine.under_way < len(self._list.commands)
            first, *rest = parts if is_idle else single
            stream = self._device.stream
            stream.submit(first)
            for part in rest:
                stream.deliver(part)

    def release(self) -> None:
        """Unpin the buffers; the graph can no longer be replayed.

        Raises `CaptureError` inside its own capture.
        """
        with self._device.lock:
            if self._capturing:
                raise CaptureError(
                    "release of a graph inside its own capture: end the capture first"
                )
            self._drop()

    def _drop(self) -> None:
        """Drop commands and memory; it takes no lock, since the collector calls it anywhere."""
        self._list = CommandList()
        if self._arena is not None:
            self._arena.share.bound = None
            self._device.pool.close_arena(self._arena)
            self._arena = None

    def __del__(self) -> None:
        if self._capturing:  # dropped inside its own capture, which ends with it
            self.__exit__(CaptureError, CaptureError("the graph was dropped"), None)
        else:
            self._drop()


def _recordings(commands: Sequence[Command]) -> tuple[list[Recording], list[Recording]]:
    """Return the commands as one recording, and in parts for a device that has little to do."""
    single = [Recording(commands)]
    if len(commands) < 6 * _FIRST_COMMANDS:
        return single, single
    return single, [Recording(commands[:_FIRST_COMMANDS]), Recording(commands[_FIRST_COMMANDS:])]
