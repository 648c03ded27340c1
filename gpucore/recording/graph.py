"""A captured command list that replays with next to no Python work per launch."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Self

from gpucore.backends import Command, Launch, Recording
from gpucore.errors import CaptureError, GpuError
from gpucore.memory.pool import Arena
from gpucore.not_copyable import NotCopyable
from gpucore.recording.stream import CommandList, Stream
from gpucore.recording.work import Work

if TYPE_CHECKING:
    from gpucore.device import Device

__all__ = ["Graph"]

# Commands of the first submission where the device has little to do: to hand over 600 launches
# takes the host over 1 ms, and it begins with these meanwhile. A graph of fewer than six times as
# many goes as a whole, as all do behind other work: one more submission costs the device 25 µs.
_FIRST = 48


class Graph(NotCopyable):
    """Made by ``with device.capture() as graph:``; what is called inside is recorded, not run.

    Buffers that exist before the capture are pinned and are the graph's inputs: write them, then
    `replay`. Buffers made inside belong to the graph; those still referenced afterwards are its
    outputs and hold new values after each replay. The others get memory when the capture ends, what
    is never in use together the same, and all graphs of a device share it: what one leaves there
    is gone when another has run.

    >>> x, y = (device.buffer(f32, 64) for _ in range(2))
    >>> with device.capture() as graph:
    ...     y.copy_from(x)
    >>> for step in range(3):
    ...     x.write(np.full(64, step, np.float32))
    ...     graph.replay()
    >>> len(graph)
    1
    """

    def __init__(self, device: Device) -> None:
        self._device = device
        self._list = CommandList()
        self._arena: Arena | None = None
        self._capturing = False
        self._stream: Stream = device.stream

    def __enter__(self) -> Self:
        self._stream = self._device.stream
        captured = self._stream.begin_capture()
        self.release()  # of an earlier capture
        self._list = captured
        self._list.arena = self._arena = self._device.pool.open_arena()
        self._capturing = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pool = self._device.pool
        pool.leave_arena()
        self._stream.end_capture()
        self._capturing = False
        assert self._arena is not None
        try:
            if error is None:
                pool.furnish(self._arena)
                self._bound(self._arena)
                return
            with suppress(GpuError):
                pool.furnish(self._arena, passing=False)
        except BaseException:
            self.release()
            raise
        self.release()

    def _bound(self, arena: Arena) -> tuple[list[Recording], list[Recording]]:
        """What to submit, made anew after memory moved."""
        self._device.pool.find(arena.share)
        if arena.share.bound is None:
            self._list.bind()
            arena.share.bound = _forms(self._list.commands)
        return arena.share.bound

    def __repr__(self) -> str:
        launches = len(self.works)
        copies = len(self) - launches
        state = "" if self._arena is not None else ", released"
        return f"Graph({launches} launches, {copies} copies, on {self._device.name}{state})"

    def __len__(self) -> int:
        """Number of captured commands."""
        return len(self._list.commands)

    @property
    def works(self) -> list[Work]:
        """What each captured launch must do."""
        return [c.work for c in self._list.commands if isinstance(c, Launch)]

    def replay(self) -> None:
        """Submit the captured commands again; does not wait.

        They go as one submission with what was recorded before. Where the device has less under
        way than a graph of 288 commands or more holds, they are two, the first 48 and the rest: the
        device begins with those while the host still hands over the others.

        Raises `CaptureError` once released, `OutOfMemoryError` where other graphs had its memory.
        """
        if self._arena is None:
            raise CaptureError("replay of a graph that was released or never captured: capture it")
        whole, parts = self._bound(self._arena)
        first, *rest = parts if self._device.engine.under_way < len(self) else whole
        self._device.stream.submit(first)
        for part in rest:
            self._device.stream.send(part)

    def release(self) -> None:
        """Unpin the buffers; the graph can no longer be replayed.

        Raises `CaptureError` inside its own capture.
        """
        if self._capturing:
            raise CaptureError("release of a graph inside its own capture: leave the capture first")
        self._list = CommandList()
        if self._arena is not None:
            self._arena.share.bound = None
            self._device.pool.close_arena(self._arena)
            self._arena = None

    def __del__(self) -> None:
        if self._capturing:  # dropped inside its own capture, which ends with it
            self.__exit__(CaptureError, CaptureError("the graph was dropped"), None)
        else:
            self.release()


def _forms(commands: Sequence[Command]) -> tuple[list[Recording], list[Recording]]:
    """The commands as one submission, and as those of a device that has little to do."""
    whole = [Recording(commands)]
    if len(commands) < 6 * _FIRST:
        return whole, whole
    return whole, [Recording(commands[:_FIRST]), Recording(commands[_FIRST:])]
