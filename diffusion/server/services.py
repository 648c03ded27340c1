"""The parts of a running server, made from its settings and handed to the routes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from diffusion.errors import ModelError
from diffusion.server.access.users import Credentials
from diffusion.server.adapters import (
    AdapterTables,
    ControlTable,
    EmbeddingTable,
    LoraTable,
    UpscalerTable,
    VaeTable,
)
from diffusion.server.downloads import Downloads
from diffusion.server.engine.interface import Engine, EngineState
from diffusion.server.engine.process import Patience, ProcessEngine
from diffusion.server.errors import ConfigurationError, UnknownModelError
from diffusion.server.jobs.admission import SchedulerOptions
from diffusion.server.jobs.history import History
from diffusion.server.jobs.outputs import Outputs
from diffusion.server.jobs.scheduler import Scheduler
from diffusion.server.loop_lag import watch_loop
from diffusion.server.maps import MapMaker
from diffusion.server.metrics import Metrics
from diffusion.server.model_files import ModelFiles
from diffusion.server.models import ModelTable, find_entry, scan_models
from diffusion.server.settings import ServerSettings
from diffusion.server.styles import StyleTable
from diffusion.server.worker.device_names import find_device_names, require_device
from diffusion.server.worker.process import WorkerOptions

__all__ = ["Services", "make_engines", "make_services"]


@dataclass(frozen=True)
class Services:
    """The parts that routes use.

    ``alone``: the next request comes to this server, too, so that answers may name what it keeps.
    """

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
    alone: bool = True
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
        if self.credentials is not None:
            ended = await self.history.do(self.history.ended_sessions)
            self.credentials.forget_sessions(ended)
        await self.scheduler.start()
        for work in (self.models.learn_hashes(), watch_loop(self.metrics.loop_lag)):
            self._tasks.append(asyncio.create_task(work))

    async def close(self) -> None:
        """End what was started."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.downloads.close()
        await self.scheduler.close()


def make_services(
    settings: ServerSettings, engines: Sequence[Engine] | None = None, *, alone: bool = True
) -> Services:
    """Make the parts of a server. ``engines``: None for a worker on each of the chosen devices.

    Raises `ConfigurationError`.
    """
    credentials = None if settings.users is None else Credentials(settings.users)
    metrics = Metrics()
    outputs = Outputs(settings.output)
    history = History(outputs.folder)
    models = ModelTable(settings.models, settings.model, history, _find_model_files(settings))
    adapters = AdapterTables(
        LoraTable(settings.lora_folder),
        EmbeddingTable(settings.embeddings, models.files),
        ControlTable(settings.control_folder),
        UpscalerTable(settings.upscalers),
        VaeTable(settings.vaes),
    )
    own = settings.styles is None
    styles = StyleTable(settings.styles or outputs.folder / "styles.csv", must_exist=not own)
    if engines is None:
        engines = make_engines(settings)
    options = SchedulerOptions(
        settings.queue, settings.preview_every, settings.work, settings.queue_memory
    )
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
        alone,
    )


def make_engines(settings: ServerSettings) -> list[ProcessEngine]:
    """Return a worker for each device that the settings choose. Raises `ConfigurationError`."""
    if settings.device is not None and settings.devices is not None:
        raise ConfigurationError("device and devices choose the same; give one of them")
    devices: Sequence[str | None] = [settings.device]
    if settings.device is not None:
        require_device(settings.device)
    if settings.devices is not None:
        devices = find_device_names(settings.devices)
    files = _find_model_files(settings)
    patience = Patience(load=settings.load_seconds, step=settings.stall_seconds)
    return [
        ProcessEngine(
            f"worker {number}",
            WorkerOptions(
                device=device,
                dtype=settings.dtype,
                budget=settings.vram,
                weights=settings.weights,
                jobs=settings.jobs_at_once,
                loras=settings.lora_folder,
                embeddings=settings.embeddings,
                controls=settings.control_folder,
                upscalers=settings.upscalers,
                vaes=settings.vaes,
                preview=settings.preview_method,
                files=files,
            ),
            patience,
        )
        for number, device in enumerate(devices)
    ]


def _find_model_files(settings: ServerSettings) -> ModelFiles:
    """Return what completes models that lack a part. Raises `ConfigurationError`."""
    base = settings.unet_base
    try:
        found = None if base is None else find_entry(tuple(scan_models(settings.models)), base).path
        files = ModelFiles(settings.tokenizer, found)
        files.check()
    except (UnknownModelError, ModelError) as error:
        name = "unet_base" if isinstance(error, UnknownModelError) else "tokenizer or unet_base"
        raise ConfigurationError(f"{name}: {error}") from error
    return files
