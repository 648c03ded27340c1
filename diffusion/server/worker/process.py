"""The worker's main loop: take commands, and let the running jobs share their calls of the UNet.

A job joins between two turns of the `Batcher`, in the order in which jobs came. One whose model is
not in memory, or whose LoRAs are not those that are merged into it, waits until the others are
done, and one whose pictures do not fit a call with the others' until they do. Those after it wait,
too: so nobody waits for ever.
"""

from __future__ import annotations

import os
import signal
import traceback
from collections import deque
from collections.abc import Callable, Generator, Hashable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final, Protocol

from diffusion.adapters import LoraFolder
from diffusion.batching import Batcher, BatchLimits, Ended, images_of_512
from diffusion.control import ControlFolder
from diffusion.errors import DiffusionError, ModelError, SettingsError
from diffusion.pipeline.calls import LatentsEstimate, UNetCall
from diffusion.pipeline.pipeline import Pipeline
from diffusion.pipeline.refiner import Companions, load_beside
from diffusion.server.client_texts import text_for_clients
from diffusion.server.engine.messages import (
    Command,
    Draw,
    Ending,
    EngineEvent,
    Enlarge,
    Failed,
    Finished,
    LoadModel,
    MakeMap,
    ModelsChanged,
    Ready,
    RefreshAdapters,
    Shutdown,
    Staged,
    Started,
    Stop,
    UnloadModels,
)
from diffusion.server.model_files import WHOLE_MODELS, ModelFiles
from diffusion.server.worker.drawing import Drawing
from diffusion.server.worker.enlarging import Enlarger
from diffusion.server.worker.mailbox import Mailbox
from diffusion.server.worker.maps import send_map
from diffusion.server.worker.model_cache import ModelCache
from diffusion.text.inversions import InversionFolder
from diffusion.upscaling import UpscalerFolder
from gpucore import Device, DeviceLostError, GpuError

__all__ = ["Studio", "WorkerOptions", "run_worker"]

JOBS_ON_A_GPU: Final = 8
"""Jobs that share calls by default: as many pictures of 512x512 as fill a large card."""


@dataclass(frozen=True)
class WorkerOptions:
    """Options of a worker. ``device``, ``budget``: as in ``--device`` and ``--vram``.

    ``weights``: the format that weights are kept in, None for that of the file. ``dtype``: that
    networks compute in; None for what the device is best at. ``jobs``: the most that run at once;
    None for `JOBS_ON_A_GPU`, or 1 in software, where calls gain nothing together. ``loras``,
    ``embeddings``, ``controls``, ``upscalers``, ``vaes``: folders of those that requests name.
    ``files``: what completes models that lack a part. ``preview``: what makes previews, see
    `find_preview`.
    """

    device: str | None = None
    dtype: str | None = None
    budget: int | None = None
    weights: str | None = None
    jobs: int | None = None
    loras: Path | None = None
    embeddings: Path | None = None
    controls: Path | None = None
    upscalers: Path | None = None
    vaes: Path | None = None
    preview: str = "auto"
    files: ModelFiles = WHOLE_MODELS

    def load(self, model: Path, device: Device) -> Pipeline:
        """Load a model. Raises as `Pipeline.load`.

        LoRAs are applied at run time, so that jobs with different ones share calls of the UNet.
        """
        found = self.files.complete(model)
        pipeline = Pipeline.load(
            found.model,
            device,
            self.dtype,
            preview=self.preview,
            tokenizer=found.tokenizer,
            unet=found.unet,
            weights=self.weights,
            vram=self.budget,
        )
        pipeline.loras.mode = "runtime"
        self.find_adapters(pipeline)
        return pipeline

    def find_adapters(self, pipeline: Pipeline) -> None:
        """Let a pipeline know the files of adapters that lie there now. Raises `SettingsError`."""
        pipeline.loras.folder = LoraFolder(self.loras)
        pipeline.inversions.folder = InversionFolder(self.embeddings)
        pipeline.controls.folder = ControlFolder(self.controls)
        pipeline.upscalers.folder = UpscalerFolder(self.upscalers)

    def open_device(self) -> Device:
        """Open the device. Raises `GpuError`."""
        if self.device:
            return Device.by_name(self.device, checks=False)
        return Device.auto(checks=False)


class Studio(Protocol):
    """The part of `WorkerOptions` that tests replace by one without a GPU."""

    @property
    def budget(self) -> int | None: ...

    @property
    def jobs(self) -> int | None: ...

    def load(self, model: Path, device: Device) -> Pipeline: ...

    def find_adapters(self, pipeline: Pipeline) -> None: ...

    def open_device(self) -> Device: ...


def run_worker(connection: Connection[EngineEvent, Command], studio: Studio) -> None:
    """Draw until the server says `Shutdown` or is gone. A lost device ends the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which drains
    mailbox = Mailbox(connection)
    try:
        device = studio.open_device()
        jobs = studio.jobs or (1 if device.is_cpu else JOBS_ON_A_GPU)
        cache = ModelCache(device, studio.load, studio.budget)
        worker = _Worker(mailbox, cache, studio, device, BatchLimits(images=jobs))
        mailbox.send(Ready(device.name, device.is_cpu, jobs))
        worker.run()
        mailbox.flush()
    except GpuError as error:
        mailbox.send(Ending(str(error)))
        mailbox.flush()
        # A driver that has lost its device may hang where it is asked to tidy up.
        os._exit(1)


@dataclass
class _Running:
    """A job under way, and what those that wait are compared with.

    ``size``: images of 512x512 that its calls are worth; ``adapters``: of its model.
    """

    task: Draw
    size: float = 1.0
    adapters: Hashable = None

    def goes_with(self, task: Draw, adapters: Hashable) -> bool:
        """Tell whether another job, with its adapters, may begin beside this one.

        Where two have a model in common, the adapters that are merged into it must be the same.
        """
        if not set(self.task.models) & set(task.models):
            return True
        return self.task.models == task.models and self.adapters == adapters


class _Worker:
    def __init__(
        self,
        mailbox: Mailbox,
        cache: ModelCache,
        studio: Studio,
        device: Device,
        limits: BatchLimits,
    ) -> None:
        self.mailbox, self.cache, self.studio, self.device = mailbox, cache, studio, device
        self.batcher = Batcher(limits)
        self.enlarger = Enlarger(device, mailbox)
        self.waiting: deque[Draw | LoadModel | RefreshAdapters] = deque()
        self.running: dict[str, _Running] = {}
        self.open = True

    def run(self) -> None:
        while self.open or self.running or self.waiting:
            self._take_commands()
            self._begin_jobs()
            self._make_turn()

    def _make_turn(self) -> None:
        for ended in self.batcher.turn():
            self._end(ended)

    def _take_commands(self) -> None:
        """Obey all commands that have come; wait for one where there is nothing else to do."""
        wait = not (self.running or self.waiting)
        while (command := self.mailbox.next_command(wait)) is not None:
            self._obey(command)
            wait = False

    def _obey(self, command: Command) -> None:
        if isinstance(command, Draw | LoadModel | RefreshAdapters):
            self.waiting.append(command)
        elif isinstance(command, MakeMap):
            send_map(command, self.device, self.mailbox)
        elif isinstance(command, Enlarge):
            self.enlarger.enlarge(command)
        elif isinstance(command, UnloadModels):
            if not self.running:
                self.cache.drop(command.model)
                self.enlarger.release()
            self._report_models()
        elif isinstance(command, Shutdown):
            self.open = False

    def _begin_jobs(self) -> None:
        """Let those join that wait, up to the first that has to go on waiting."""
        for task in list(self.waiting):
            if isinstance(task, Draw) and self.mailbox.stop_of(task.job) in (Stop.DROP, Stop.KEEP):
                self.waiting.remove(task)
                self.mailbox.send(Finished(task.job, stopped=True))
                self.mailbox.forget(task.job)
        while self.waiting and self._may_begin(self.waiting[0]):
            task = self.waiting.popleft()
            if isinstance(task, RefreshAdapters):
                self._refresh_adapters()
            elif isinstance(task, LoadModel):
                self._load_early(task.model)
            else:
                self.running[task.job] = _Running(task)
                if self._has_models(task):
                    self._note_running(task)
                self.batcher.add(task.job, self._draw(task))

    def _may_begin(self, task: Draw | LoadModel | RefreshAdapters) -> bool:
        """Tell whether what it needs is there, or may be put there since nothing runs."""
        if not self.running:
            return True
        if isinstance(task, RefreshAdapters):
            return False
        if isinstance(task, LoadModel):
            return task.model in self.cache
        if not self._has_models(task):
            return False
        try:
            size, adapters = self._size(task), self._adapters(task)
        except DiffusionError:
            return True  # it begins, and tells its error
        if not self.batcher.limits.fits([*(each.size for each in self.running.values()), size]):
            return False
        return all(each.goes_with(task, adapters) for each in self.running.values())

    def _has_models(self, task: Draw) -> bool:
        """Tell whether all models of a job are in memory."""
        return all(model in self.cache for model in task.models)

    def _size(self, task: Draw) -> float:
        """Return how many images of 512x512 its calls are worth. Raises `SettingsError`."""
        return images_of_512(task.settings.with_defaults(self._pipeline(task.model).defaults))

    def _adapters(self, task: Draw) -> Hashable:
        """Return what runs of its model must have in common. Raises `SettingsError`."""
        return self._pipeline(task.model).adapters_of(task.settings)

    def _note_running(self, task: Draw) -> None:
        """Remember of a job that begins what those that wait are compared with."""
        found = self.running[task.job]
        with suppress(DiffusionError):  # it ends with its error
            found.size, found.adapters = self._size(task), self._adapters(task)

    def _pipeline(self, model: Path) -> Pipeline:
        """Return a model's pipeline; those that draw stay. Raises as `ModelCache.get`."""
        return self.cache.get(model, self._busy())

    def _busy(self) -> set[Path]:
        """Return the models that draw now."""
        return {model for each in self.running.values() for model in each.task.models}

    def _load_early(self, model: Path) -> None:
        """Load a model without a job. A job that asks for one that fails will get the reason."""
        try:
            self._pipeline(model)
        except DeviceLostError:
            raise
        except (DiffusionError, GpuError):
            pass
        self._report_models()

    def _refresh_adapters(self) -> None:
        """Look for files of adapters. Where a folder is gone, the earlier files stay known."""
        for pipeline in self.cache.pipelines:
            with suppress(DiffusionError):
                self.studio.find_adapters(pipeline)

    def _report_models(self) -> None:
        self.mailbox.send(ModelsChanged(self.cache.models, self.device.memory.reserved))

    def _draw(self, task: Draw) -> Generator[UNetCall | None, LatentsEstimate | None, bool]:
        """Load the model and draw a job; return whether it was stopped."""
        self.mailbox.send(Started(task.job))
        was_there = self._has_models(task)
        if not was_there:
            self.mailbox.send(Staged(task.job, "loading model"))
        beside = task.beside
        pipeline = self.cache.get_with_vae(task.model, beside.vae, self._busy())
        companions = self._companions(task, pipeline)
        if not was_there:
            self._note_running(task)
        self._report_models()
        drawing = Drawing(task, pipeline, self.mailbox, companions)
        yield from drawing.calls()
        if task.settings.controls or task.settings.image_prompts:
            self._report_models()
        return drawing.stopped

    def _companions(self, task: Draw, base: Pipeline) -> Companions:
        """Return the models that draw a part; a VAE that was chosen is that of both passes."""
        beside, busy = task.beside, self._busy()

        def get(
            model: Path | None,
            vae: Path | None,
            companions_of: Callable[[Pipeline], Companions],
        ) -> Pipeline | None:
            def place(load: Callable[[Device], Pipeline]) -> Pipeline:
                return load_beside(base, load, companions_of, task.settings)

            return None if model is None else self.cache.get_with_vae(model, vae, busy, place)

        refiner = get(beside.refiner, None, lambda other: Companions(other, beside.switch))
        hires = get(beside.hires, beside.vae, lambda other: Companions(hires=other))
        return Companions(refiner, beside.switch, hires)

    def _end(self, ended: Ended) -> None:
        """Tell of the end of a job. An error is its own: the others go on."""
        job, error = str(ended.name), ended.error
        if error is None:
            self.mailbox.send(Finished(job, ended.result))
        elif isinstance(error, DiffusionError | GpuError):
            wrong = isinstance(error, SettingsError | ModelError)  # who asks may ask for another
            self.mailbox.send(Failed(job, text_for_clients(error), wrong))
        else:
            traceback.print_exception(error)
            message = f"an error of the program: {type(error).__name__}; its log tells where"
            self.mailbox.send(Failed(job, message))
        del self.running[job]
        self.mailbox.forget(job)
