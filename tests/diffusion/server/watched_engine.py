"""A worker process that remembers each loss, which a test that asks now and then may miss."""

from __future__ import annotations

from typing import Any, NamedTuple

from diffusion.server.engine.interface import EngineStatus, Listener
from diffusion.server.engine.messages import EngineEvent, Lost
from diffusion.server.engine.process import ProcessEngine

__all__ = ["Loss", "WatchedEngine"]


class Loss(NamedTuple):
    """A loss, and the engine's status when it was told of."""

    lost: Lost
    status: EngineStatus


class WatchedEngine(ProcessEngine):
    """``losses``: all so far, the last one at the end."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.losses: list[Loss] = []

    async def start(self, listener: Listener) -> None:
        """Begin to start the process."""

        def hear(event: EngineEvent) -> None:
            if isinstance(event, Lost):
                self.losses.append(Loss(event, self.status))
            listener(event)

        await super().start(hear)
