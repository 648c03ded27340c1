"""An engine without a GPU: it draws plain rectangles at once, or as slowly as a test asks."""

from __future__ import annotations

import asyncio
import io
import threading
from pathlib import Path

from PIL import Image

from diffusion.infotext.files import png_info
from diffusion.infotext.from_settings import infotext_from_settings
from diffusion.server.engine.interface import EngineState, EngineStatus, Listener
from diffusion.server.engine.messages import (
    Command,
    Draw,
    Drawn,
    Enlarge,
    Failed,
    Finished,
    LoadedModel,
    LoadModel,
    Lost,
    MakeMap,
    MapFailed,
    MapMade,
    ModelsChanged,
    Previewed,
    Ready,
    RefreshAdapters,
    Staged,
    Started,
    Stepped,
    Stop,
    StopJob,
    UnloadModels,
)
from diffusion.settings import Defaults, Settings

__all__ = ["HOLD", "PREVIEW", "FakeEngine"]

HOLD = "hold"
"""A prompt with this word waits after its first step until `FakeEngine.released` is set."""

with io.BytesIO() as _file:
    Image.new("RGB", (16, 12), (0, 0, 255)).save(_file, "JPEG")
    PREVIEW = _file.getvalue()

DEFAULTS = Defaults(width=64, height=48, steps=4)


class FakeEngine:
    """Draws for tests. ``drawn``: the settings of each job that it began; ``maps``: what was asked.

    ``tasks``: all that it was told of these jobs.

    A map is the picture upside down at its size; that of ``invert`` fails, as the request's fault.

    ``permits``: a step takes one to end; None lets all end.
    """

    name = "fake"
    capacity = 1

    def __init__(self) -> None:
        self.status = EngineStatus(EngineState.STARTING)
        self.drawn: list[Settings] = []
        self.tasks: list[Draw] = []
        self.models: list[Path] = []
        self.maps: list[MakeMap] = []
        self.enlarged: list[Enlarge] = []
        self.looks = 0
        self.released = threading.Event()
        self.step_seconds = 0.0
        self.permits: threading.Semaphore | None = None
        self._stops: dict[str, Stop] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def start(self, listener: Listener) -> None:
        self.listener = listener
        self.status = EngineStatus(EngineState.READY, device="nothing")
        listener(Ready("nothing"))

    def send(self, command: Command) -> None:
        if isinstance(command, Draw):
            self._tasks[command.job] = asyncio.ensure_future(self._draw(command))
        elif isinstance(command, StopJob):
            self._stops[command.job] = command.how
        elif isinstance(command, LoadModel):
            self._load(command.model)
        elif isinstance(command, MakeMap):
            self.maps.append(command)
            self.listener(_answer_map(command))
        elif isinstance(command, Enlarge):
            self.enlarged.append(command)
            self.listener(_answer_enlarge(command))
        elif isinstance(command, RefreshAdapters):
            self.looks += 1
        elif isinstance(command, UnloadModels):
            self.models = [each for each in self.models if command.model not in (None, each)]
            self._report()

    async def close(self) -> None:
        for task in self._tasks.values():
            task.cancel()

    def lose(self) -> None:
        """Lose all that runs, as when a process ends."""
        jobs = tuple(job for job, task in self._tasks.items() if not task.done())
        for job in jobs:
            self._tasks.pop(job).cancel()
        self.listener(Lost(jobs, "the test pulled the plug"))

    def _load(self, model: Path) -> None:
        self.models = [*(each for each in self.models if each != model), model]
        self._report()

    def _report(self) -> None:
        models = tuple(LoadedModel(each, 1000) for each in self.models)
        self.status = EngineStatus(EngineState.READY, device="nothing", models=models)
        self.listener(ModelsChanged(models, 1000 * len(models)))

    async def _draw(self, task: Draw) -> None:
        job, settings = task.job, task.settings.with_defaults(DEFAULTS)
        self.drawn.append(task.settings)
        self.tasks.append(task)
        self.listener(Started(job))
        self._load(task.model)
        if "fail" in settings.prompt:
            self.listener(Failed(job, "the VAE: numbers are infinite or NaN"))
            return
        if "nothing" in settings.prompt:  # interrupted before its first step
            self.listener(Finished(job, stopped=True))
            return
        self.listener(Staged(job, "encoding prompt"))
        size, count = settings.batch or 1, settings.count
        batches, steps = -(-count // size), settings.steps or 1
        for batch in range(batches):
            part = settings.part(batch * size, min(size, count - batch * size))
            how = await self._draw_steps(task, batch, batches, steps)
            if how is not Stop.DROP:
                self._send(job, batch * size, part, how is not None)
            if how in (Stop.DROP, Stop.KEEP):
                self.listener(Finished(job, stopped=True))
                return
        self.listener(Finished(job))

    async def _draw_steps(self, task: Draw, batch: int, batches: int, steps: int) -> Stop | None:
        for step in range(1, steps + 1):
            self.listener(Stepped(task.job, batch * steps + step, batches * steps))
            if task.preview_every and step % task.preview_every == 0 and step < steps:
                self.listener(Previewed(task.job, PREVIEW))
            while True:
                await asyncio.sleep(self.step_seconds)
                how = self._stops.get(task.job)
                if how is Stop.SKIP:
                    del self._stops[task.job]
                if how is not None:
                    return how
                if self._may_go_on(task.settings.prompt):
                    break
                await asyncio.sleep(0.005)
        return None

    def _may_go_on(self, prompt: str) -> bool:
        """Tell whether the next step may be made; it takes a permit where there are any."""
        if self.permits is not None:
            return self.permits.acquire(blocking=False)
        return HOLD not in prompt or self.released.is_set()

    def _send(self, job: str, first: int, part: Settings, partial: bool) -> None:
        for number in range(part.count):
            text = infotext_from_settings(part, number, "fake", "0123456789", "Avila test")
            file = io.BytesIO()
            size = (part.width or 8, part.height or 8)
            image = Image.new("RGB", size, (255, 0, 0))
            image.save(file, "PNG", pnginfo=png_info(text), compress_level=1)
            seed = part.part(number, 1).seed
            self.listener(Drawn(job, first + number, file.getvalue(), seed, *size, text, partial))


def _answer_enlarge(task: Enlarge) -> MapMade | MapFailed:
    if task.upscaler.stem == "broken":
        return MapFailed(task.number, "upscaler: a mistake of yours", wrong_input=True)
    file = io.BytesIO()
    Image.new("RGB", task.size, (0, 200, 0)).save(file, "PNG")
    return MapMade(task.number, file.getvalue())


def _answer_map(task: MakeMap) -> MapMade | MapFailed:
    image = task.control.image
    assert image is not None
    if task.control.preprocessor == "invert":
        return MapFailed(task.number, "the map: a mistake of yours", wrong_input=True)
    turned = image.convert("RGB").transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    file = io.BytesIO()
    (turned.resize(task.size) if task.size else turned).save(file, "PNG")
    return MapMade(task.number, file.getvalue())
