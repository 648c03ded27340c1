"""A stream: commands are recorded here and submitted in one go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from gpucore.backends import Command, Copy, Launch, Recording
from gpucore.errors import CaptureError
from gpucore.memory import Arena, Storage
from gpucore.work import Work

if TYPE_CHECKING:
    from gpucore.backends import Backend

__all__ = ["Stream"]

_MOST_RECORDED = 512


class Stream:
    """An ordered list of launches and copies.

    Nothing runs before `submit`; reading a buffer submits first. Long lists are submitted by
    themselves, so that the device starts early and the list stays bounded.

    ``send`` takes every submitted list, a graph's too: the backend's ``submit``, or a profile.
    ``region`` is what launches are recorded under (see `Device.region`).
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._commands: list[Command] = []
        self._captured: CommandList | None = None
        self.region = ""
        self.send: Callable[[Sequence[Command]], object] = backend.submit

    def launch(
        self,
        program: Any,
        group: Any,
        grid: tuple[int, int, int],
        storages: tuple[Storage, ...],
        work: Work,
    ) -> None:
        """Record a launch; ``storages`` are pinned if a graph is being captured."""
        self._record(Launch(program, group, grid, self.region, work), storages)

    def copy(self, source: Storage, target: Storage, nbytes: int) -> None:
        """Record a copy between buffers."""
        self._record(Copy(source.handle, target.handle, nbytes), (source, target))

    def _record(self, command: Command, storages: tuple[Storage, ...]) -> None:
        if self._captured is not None:
            self._captured.add(command, storages)
            return
        self._commands.append(command)
        if len(self._commands) >= _MOST_RECORDED:
            self.submit()

    def submit(self) -> None:
        """Hand everything recorded to the device; does not wait."""
        if self._captured is not None:
            self._captured.refuse_read()
        self.flush()

    def flush(self) -> None:
        """Submit what was recorded outside of a capture, also while one is under way."""
        if self._commands:
            commands, self._commands = self._commands, []
            self.send(commands)

    def synchronize(self) -> None:
        """Submit and block until the device is done."""
        self.submit()
        self._backend.synchronize()

    def begin_capture(self) -> CommandList:
        """Record into a new list, unsubmitted, until `end_capture`."""
        if self._captured is not None:
            raise CaptureError("a graph is already being captured on this stream")
        self.submit()
        self._captured = CommandList()
        return self._captured

    def end_capture(self) -> None:
        """Back to recording for submission."""
        self._captured = None


class CommandList:
    """Commands of a graph, and the storages that they use and that are not in its arena.

    Those in the arena need no pin: their memory goes back to the arena, so that later buffers of
    the same graph share it, and to nobody else.
    """

    def __init__(self) -> None:
        self.commands = Recording()
        self.storages: set[Storage] = set()
        self.arena: Arena | None = None

    def add(self, command: Command, storages: tuple[Storage, ...]) -> None:
        """Append a command and pin its storages."""
        self.commands.append(command)
        self.storages.update(s for s in storages if s.arena is not self.arena)

    def refuse_read(self) -> None:
        """Host access would run before the commands it should see."""
        raise CaptureError(
            "read, write or synchronize inside device.capture(): a captured graph holds device "
            "commands only; move host access before the capture or after graph.replay()"
        )
