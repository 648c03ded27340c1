"""The engine that is a process: started, watched, and started again when it ends or hangs."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Final

import structlog

from diffusion.server.engine.interface import EngineState, EngineStatus, Listener
from diffusion.server.engine.messages import (
    Command,
    Draw,
    Ending,
    EngineEvent,
    Failed,
    Finished,
    Lost,
    ModelsChanged,
    Ready,
    Shutdown,
    Staged,
    Stepped,
)
from diffusion.server.worker.process import Studio, run_worker

__all__ = ["Patience", "ProcessEngine"]

log = structlog.get_logger()

TICK: Final = 0.25
FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 30.0
_SLOW_STAGES: Final = ("loading model", "preparing", "encoding prompt")
"""Stages that load weights or compile kernels, which takes longer than a step."""


@dataclass(frozen=True)
class Patience:
    """Seconds without a word after which a worker counts as hung.

    ``start``: until its device is open; ``load``: while it loads or compiles; ``step``: otherwise.
    ``failures``: starts that may fail one after another before it is given up.
    """

    start: float = 120.0
    load: float = 600.0
    step: float = 120.0
    failures: int = 5


class ProcessEngine:
    """A worker process and its watch; see `Engine`.

    ``target``: the process's main function, which tests replace; it must be importable.
    """

    def __init__(
        self,
        name: str,
        studio: Studio,
        patience: Patience | None = None,
        target: Callable[[Connection[EngineEvent, Command], Studio], None] = run_worker,
    ) -> None:
        self.name, self._studio, self._target = name, studio, target
        self.patience = patience or Patience()
        self.capacity = 1
        self._status = EngineStatus(EngineState.STARTING)
        self._listener: Listener = lambda event: None
        self._process: BaseProcess | None = None
        self._connection: Connection[Command, EngineEvent] | None = None
        self._jobs: dict[str, None] = {}
        self._slow: set[str] = set()
        self._heard = 0.0
        self._watch: asyncio.Task[None] | None = None
        self._ended = asyncio.Event()
        self._reason = ""

    @property
    def status(self) -> EngineStatus:
        """The state now."""
        return self._status

    @property
    def process_id(self) -> int | None:
        """The number of the process, None where none runs."""
        return None if self._process is None else self._process.pid

    async def start(self, listener: Listener) -> None:
        """Begin to start the process."""
        self._listener = listener
        self._watch = asyncio.create_task(self._keep_alive())

    def send(self, command: Command) -> None:
        """Hand a command to the process. One that dies meanwhile reports its jobs as lost."""
        if isinstance(command, Draw):
            if not self._jobs:
                self._heard = time.monotonic()
            self._slow.add(command.job)
            self._jobs[command.job] = None
        if self._connection is not None:
            with contextlib.suppress(OSError, ValueError):
                self._connection.send(command)

    async def close(self) -> None:
        """End the process: gently while it draws nothing, else at once."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        if not self._jobs:
            self.send(Shutdown())
            await self._wait_for_end(2.0)
        await self._kill()
        self._status = replace(self._status, state=EngineState.CLOSED)

    async def _wait_for_end(self, seconds: float) -> None:
        process, deadline = self._process, time.monotonic() + seconds
        while process is not None and process.is_alive() and time.monotonic() < deadline:
            await asyncio.sleep(0.02)

    # ------------------------------------------------------------------ the watch

    async def _keep_alive(self) -> None:
        """Start the process, watch it, and start it again, more slowly where it fails at once."""
        failures, pause = 0, FIRST_PAUSE
        while True:
            self._spawn()
            was_ready = await self._watch_process()
            await self._kill()
            failures, pause = (0, FIRST_PAUSE) if was_ready else (failures + 1, pause * 2)
            reason = self._reason or "the worker ended without a word"
            given_up = failures >= self.patience.failures
            self._status = EngineStatus(
                EngineState.FAILED if given_up else EngineState.RESTARTING,
                reason,
                restarts=self._status.restarts + 1,
            )
            jobs, self._jobs = tuple(self._jobs), {}
            self._listener(Lost(jobs, reason))
            if given_up:
                log.error("a worker does not start; given up", engine=self.name, reason=reason)
                return
            await asyncio.sleep(min(pause, LONGEST_PAUSE))

    def _spawn(self) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(
            target=self._target, args=(theirs, self._studio), name=self.name, daemon=True
        )
        self._ended, self._reason = asyncio.Event(), ""
        self._heard, self._slow = time.monotonic(), set()
        process.start()
        theirs.close()
        self._process, self._connection = process, ours
        loop = asyncio.get_running_loop()
        threading.Thread(
            target=self._read,
            args=(ours, loop, self._ended),
            name=f"{self.name} reader",
            daemon=True,
        ).start()

    def _read(
        self,
        connection: Connection[Command, EngineEvent],
        loop: asyncio.AbstractEventLoop,
        ended: asyncio.Event,
    ) -> None:
        """Hand events to the event loop until the process ends. Runs on a thread of its own."""
        with contextlib.suppress(RuntimeError):  # the loop was closed
            try:
                while True:
                    loop.call_soon_threadsafe(self._hear, connection, connection.recv())
            except (EOFError, OSError):
                loop.call_soon_threadsafe(ended.set)

    def _hear(self, connection: Connection[Command, EngineEvent], event: EngineEvent) -> None:
        if connection is not self._connection:
            return  # the last words of a process that was given up
        self._heard = time.monotonic()
        if isinstance(event, Ready):
            self.capacity = event.capacity
            self._status = replace(
                self._status, state=EngineState.READY, reason="", device=event.device
            )
        elif isinstance(event, ModelsChanged):
            self._status = replace(self._status, models=event.models, reserved=event.reserved)
        elif isinstance(event, Staged) and event.name in _SLOW_STAGES:
            self._slow.add(event.job)
        elif isinstance(event, Stepped | Staged):
            self._slow.discard(event.job)
        elif isinstance(event, Ending):
            self._reason = event.reason
            self._ended.set()
            return
        elif isinstance(event, Finished | Failed):
            self._jobs.pop(event.job, None)
            self._slow.discard(event.job)
        self._listener(event)

    async def _watch_process(self) -> bool:
        """Return once the process has ended or hangs; tell whether it had been ready."""
        while not self._ended.is_set():
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._ended.wait(), TICK)
            silent, limit = time.monotonic() - self._heard, self._limit()
            if limit is not None and silent > limit:
                self._reason = f"the worker hung: no word for {silent:.0f} s"
                break
        else:
            self._reason = self._reason or await self._exit_reason()
        return self._status.state is EngineState.READY

    def _limit(self) -> float | None:
        """Return the seconds that the process may be silent; None while it has nothing to do."""
        if self._status.state is not EngineState.READY:
            return self.patience.start
        if not self._jobs:
            return None
        return self.patience.load if self._slow else self.patience.step

    async def _exit_reason(self) -> str:
        await self._wait_for_end(1.0)
        code = None if self._process is None else self._process.exitcode
        if code is not None and code < 0:
            return f"the worker was ended by signal {-code}"
        return f"the worker ended with status {code}; its own message stands in the log"

    async def _kill(self) -> None:
        """End the process at once."""
        process, connection = self._process, self._connection
        self._process = self._connection = None
        if process is not None and process.is_alive():
            process.kill()
            await asyncio.to_thread(process.join, 5.0)
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.close()
