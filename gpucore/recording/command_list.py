"""The commands of a graph while it is captured, and the memory that they use."""

from __future__ import annotations

from collections.abc import Callable

from gpucore.backends import Command
from gpucore.errors import CaptureError
from gpucore.memory.pool import Arena, Storage
from gpucore.memory.sharing import PlannedHandle
from gpucore.recording.ahead import Filling, Step, with_copies_ahead

__all__ = ["CommandList"]


class CommandList:
    """The commands of a graph, and the storages outside its arena that they use.

    These storages are pinned. Those in the arena need no pin: nobody else has their memory while
    the graph runs. Commands are made by `bind`, once it is known where the memory is.
    """

    def __init__(self) -> None:
        self.commands: list[Command] = []
        self.storages: set[Storage] = set()
        self.arena: Arena | None = None
        self._steps: list[Step] = []

    def add(
        self,
        make: Callable[[], Command],
        storages: tuple[Storage, ...],
        filling: Filling | None = None,
    ) -> None:
        """Append a command, which ``make`` makes later, and pin its storages.

        A ``filling`` may as well run earlier, but where it uses more memory of the graph than one.
        """
        planned: list[PlannedHandle] = []
        for storage in storages:
            if storage.arena is not self.arena:
                self.storages.add(storage)
            else:
                planned.append(storage.handle)
        self._steps.append(Step(make, tuple(planned), filling if len(planned) == 1 else None))

    def arrange(self, *, ahead: bool) -> None:
        """Note when memory is used; put copies from the host ``ahead`` of their place before."""
        if ahead:
            self._steps = with_copies_ahead(self._steps)
        for number, step in enumerate(self._steps):
            for handle in step.handles:
                handle.use(number)

    def bind(self) -> None:
        """Make the commands, with the memory that their buffers have now."""
        self.commands = [step.make() for step in self._steps]

    def forbid_host_access(self) -> None:
        """Raise `CaptureError`: host access would run before the commands that it follows."""
        raise CaptureError(
            "read, write, replay or synchronize inside device.capture(): a captured graph holds "
            "device commands only; move host access before the capture or after graph.replay()"
        )
