"""The interface of engines, which tests implement with one that draws at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, TypeAlias

from diffusion.server.engine.messages import Command, EngineEvent, LoadedModel

__all__ = ["Engine", "EngineState", "EngineStatus", "Listener"]


class EngineState(Enum):
    """States of an engine; only one that is ready takes jobs."""

    STARTING = "starting"
    READY = "ready"
    RESTARTING = "restarting"
    FAILED = "failed"
    CLOSED = "closed"


@dataclass(frozen=True)
class EngineStatus:
    """An engine as others see it. ``reason``: why it is not ready; ``restarts``: since its start.

    ``reserved``: bytes that its device has given out.
    """

    state: EngineState
    reason: str = ""
    device: str = ""
    models: tuple[LoadedModel, ...] = ()
    reserved: int = 0
    restarts: int = 0


Listener: TypeAlias = Callable[[EngineEvent], None]


class Engine(Protocol):
    """A device that draws. All methods are called in the event loop, and none blocks it.

    ``capacity``: how many jobs it takes at once, once it is ready.
    """

    name: str
    capacity: int

    @property
    def status(self) -> EngineStatus:
        """The state now."""

    async def start(self, listener: Listener) -> None:
        """Begin to start; events go to ``listener``, in the event loop, from now on."""

    def send(self, command: Command) -> None:
        """Hand over a command. One for an engine that is not ready is dropped."""

    async def close(self) -> None:
        """End the engine and what it runs."""
