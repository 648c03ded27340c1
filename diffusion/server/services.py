"""The parts of a running server, made from its settings and handed to the routes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from diffusion.server.access.users import Credentials
from diffusion.server.adapters import (
    AdapterTables,
    ControlTable,
    EmbeddingTable,
    LoraTable,
    UpscalerTable,
)
from diffusion.server.downloads import Downloads
from diffusion.server.engine.interface import Engine, EngineState
from diffusion.server.engine.process import Patience, ProcessEngine
from diffusion.server.jobs.history import History
from diffusion.server.jobs.outputs import Outputs
from diffusion.server.jobs.scheduler import Scheduler, SchedulerOptions
from diffusion.server.maps import MapMaker
from diffusion.server.metrics import Metrics
from diffusion.server.models import ModelTable
from diffusion.server.settings import ServerSettings
from diffusion.server.styles import StyleTable
from diffusion.server.worker.process import WorkerOptions

__all__ = ["Services", "make_services"]


@dataclass(frozen=True)
class Services:
    """The parts that routes use."""

    settings: ServerSettings
    credentials: Credentials | None
    metrics: Metrics
    history: History
    outputs: Outputs
    models: ModelTable
    downloads: Downloads
    adapters: AdapterTables
    maps: MapMaker
    styles: StyleTable
    scheduler: Scheduler
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def engines(self) -> Sequence[Engine]:
        """The engines, one for each device."""
        return self.scheduler.engines

    def why_not_ready(self) -> list[str]:
        """Return the reasons why no job would start now; empty where one would."""
        if self.scheduler.draining:
            return ["the server is stopping"]
        states = [engine.status for engine in self.engines]
        if any(status.state is EngineState.READY for status in states):
            return []
        return [f"{status.state.value}: {status.reason}".rstrip(": ") for status in states]

    async def start(self) -> None:
        """Start the engines, and learn the hashes of models meanwhile."""
        await self.scheduler.start()
        self._tasks.append(asyncio.create_task(self.models.learn_hashes()))

    async def close(self) -> None:
        """End what was started."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.downloads.close()
        await self.scheduler.close()


def make_services(settings: ServerSettings, engines: Sequence[Engine] | None = None) -> Services:
    """Make the parts of a server. ``engines``: None for one worker on the chosen device.

    Raises `ConfigurationError`.
    """
    credentials = None if settings.users is None else Credentials(settings.users)
    metrics = Metrics()
    outputs = Outputs(settings.output)
    history = History(outputs.folder)
    models = ModelTable(settings.models, settings.model, history)
    adapters = AdapterTables(
        LoraTable(settings.loras),
        EmbeddingTable(settings.embeddings),
        ControlTable(settings.controls),
        UpscalerTable(settings.upscalers),
    )
    styles = StyleTable(settings.styles)
    if engines is None:
        studio = WorkerOptions(
            device=settings.device,
            dtype=settings.dtype,
            budget=settings.vram,
            jobs=settings.jobs_at_once,
            loras=settings.loras,
            embeddings=settings.embeddings,
            controls=settings.controls,
            upscalers=settings.upscalers,
            preview=settings.preview_method,
        )
        patience = Patience(load=settings.load_seconds, step=settings.stall_seconds)
        engines = [ProcessEngine("worker 0", studio, patience)]
    options = SchedulerOptions(settings.queue, settings.preview_every, settings.work)
    maps = MapMaker(engines)
    scheduler = Scheduler(
        engines,
        history,
        outputs,
        models,
        metrics,
        options,
        adapters=adapters,
        maps=maps,
    )
    downloads = Downloads(models)
    return Services(
        settings,
        credentials,
        metrics,
        history,
        outputs,
        models,
        downloads,
        adapters,
        maps,
        styles,
        scheduler,
    )
