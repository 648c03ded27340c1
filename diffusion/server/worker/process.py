"""The worker's main loop: take commands, and let the running jobs make one step each in turn.

This is the place for continuous batching, whose plan stands in `diffusion.server.jobs.scheduler`.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Protocol

from diffusion.errors import DiffusionError, SettingsError
from diffusion.pipeline.pipeline import Pipeline
from diffusion.server.engine.messages import (
    Command,
    Draw,
    Ending,
    EngineEvent,
    Failed,
    Finished,
    LoadModel,
    ModelsChanged,
    Ready,
    Shutdown,
    Staged,
    Started,
    UnloadModels,
)
from diffusion.server.worker.drawing import Drawing
from diffusion.server.worker.mailbox import Mailbox
from diffusion.server.worker.model_cache import ModelCache
from gpucore import Device, DeviceLostError, GpuError

__all__ = ["Studio", "WorkerOptions", "run_worker"]


@dataclass(frozen=True)
class WorkerOptions:
    """Options of a worker. ``device``: as in ``--device``; ``budget``: bytes of models.

    ``dtype``: that networks compute in; None for what the device is best at. ``loras``: the folder
    of those that prompts name.
    """

    device: str | None = None
    dtype: str | None = None
    budget: int | None = None
    loras: Path | None = None

    def load(self, model: Path, device: Device) -> Pipeline:
        """Load a model. Raises as `Pipeline.load`."""
        return Pipeline.load(model, device, self.dtype, loras=self.loras)

    def open_device(self) -> Device:
        """Open the device. Raises `GpuError`."""
        if self.device:
            return Device.by_name(self.device, checks=False)
        return Device.auto(checks=False)


class Studio(Protocol):
    """The part of `WorkerOptions` that tests replace by one without a GPU."""

    @property
    def budget(self) -> int | None: ...

    def load(self, model: Path, device: Device) -> Pipeline: ...

    def open_device(self) -> Device: ...


def run_worker(connection: Connection[EngineEvent, Command], studio: Studio) -> None:
    """Draw until the server says `Shutdown` or is gone. A lost device ends the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which drains
    mailbox = Mailbox(connection)
    try:
        device = studio.open_device()
        worker = _Worker(mailbox, ModelCache(device, studio.load, studio.budget), device)
        mailbox.send(Ready(device.name, device.is_cpu))
        worker.run()
    except GpuError as error:
        mailbox.send(Ending(str(error)))
        # A driver that has lost its device may hang where it is asked to tidy up.
        os._exit(1)


class _Worker:
    def __init__(self, mailbox: Mailbox, cache: ModelCache, device: Device) -> None:
        self.mailbox, self.cache, self.device = mailbox, cache, device
        self.running: dict[str, Iterator[None]] = {}
        self.open = True

    def run(self) -> None:
        while self.open or self.running:
            command = self.mailbox.next_command(wait=not self.running)
            if command is not None:
                self._obey(command)
            for job, steps in list(self.running.items()):
                self._advance(job, steps)

    def _obey(self, command: Command) -> None:
        if isinstance(command, Draw):
            self.running[command.job] = self._draw(command)
        elif isinstance(command, LoadModel):
            self._load_early(command.model)
        elif isinstance(command, UnloadModels):
            if not self.running:
                self.cache.drop(command.model)
            self._report_models()
        elif isinstance(command, Shutdown):
            self.open = False

    def _load_early(self, model: Path) -> None:
        """Load a model without a job. A job that asks for one that fails will get the reason."""
        try:
            self.cache.get(model)
        except DeviceLostError:
            raise
        except (DiffusionError, GpuError):
            pass
        self._report_models()

    def _report_models(self) -> None:
        self.mailbox.send(ModelsChanged(self.cache.models, self.device.memory.reserved))

    def _draw(self, task: Draw) -> Iterator[None]:
        """Load the model and draw a job; give way after each step."""
        self.mailbox.send(Started(task.job))
        if task.model not in self.cache:
            self.mailbox.send(Staged(task.job, "loading model"))
        pipeline = self.cache.get(task.model)
        self._report_models()
        drawing = Drawing(task, pipeline, self.mailbox)
        yield from drawing.steps()
        self.mailbox.send(Finished(task.job, drawing.stopped))

    def _advance(self, job: str, steps: Iterator[None]) -> None:
        """Let a job make a step. Errors end the job; a lost device ends the process."""
        try:
            next(steps)
            return
        except StopIteration:
            pass
        except DeviceLostError:
            raise
        except SettingsError as error:
            self.mailbox.send(Failed(job, str(error), wrong_input=True))
        except (DiffusionError, GpuError) as error:
            self.mailbox.send(Failed(job, str(error)))
        del self.running[job]
        self.mailbox.forget(job)
