"""One run of a drawing command: from tasks to files, with progress and a report."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sys
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

from PIL import Image

from diffusion.cli.app import complain, version
from diffusion.cli.file_names import picture_values
from diffusion.cli.from_picture import report_other_networks
from diffusion.cli.interruption import Interruption
from diffusion.cli.networks import LoadedNetworks, find_networks, load_networks
from diffusion.cli.options.run import RunOptions
from diffusion.cli.options.templates import Templates
from diffusion.cli.output import Output
from diffusion.cli.previews import Preview
from diffusion.cli.progress import Clock, ProgressBar, rate_text
from diffusion.cli.requests import Request
from diffusion.errors import NotFiniteError, OutputError
from diffusion.infotext.from_settings import infotext_from_settings, other_networks_fields
from diffusion.pipeline.events import Result, Stage, Step
from diffusion.samplers import find_sampler_and_schedule
from diffusion.schedules import find_schedule
from diffusion.settings import Settings
from gpucore import Device
from gpucore.integers import ceil_div

__all__ = ["STOPPING", "DrawnPicture", "Job", "Task", "check_settings", "open_device"]

STOPPING = "stopping (Ctrl-C again: at once)"

_PHASES = {"encoding prompt": "encoding prompt", "preparing": "compiling", "decoding": "decoding"}

_JSON_NAMES = {"init_image": "source"}
"""Settings that ``--json`` calls otherwise, so that scripts that read it go on working."""


def open_device(name: str | None) -> Device:
    """Return the device that ``--device`` names, or the best. Our kernels are trusted on it."""
    return Device.by_name(name, checks=False) if name else Device.auto(checks=False)


def check_settings(settings: Settings) -> None:
    """Check settings before a model is loaded. Raises `SettingsError`."""
    settings.check()
    if settings.sampler is not None:
        find_sampler_and_schedule(settings.sampler)
    if settings.schedule is not None:
        find_schedule(settings.schedule)


@dataclass(frozen=True)
class DrawnPicture:
    """A finished picture: its number in its task from 0, its text, and complete settings."""

    number: int
    image: Image.Image
    infotext: str
    settings: Settings


@dataclass(frozen=True)
class Task:
    """A request that is drawn.

    ``first``: pictures before this number are finished. ``saves``: pictures get files of their own.
    ``receive`` is called with each picture, ``claim`` with its number, its finished file and the
    name that this gets, ``confirm`` once it has that name.
    """

    request: Request
    first: int = 0
    saves: bool = True
    receive: Callable[[DrawnPicture], None] = lambda _: None
    claim: Callable[[int, Path, Path], None] = lambda _, __, ___: None
    confirm: Callable[[int], None] = lambda _: None


@dataclass
class Job:
    """The pictures of one run, and how long they take.

    ``total``: the pictures of all tasks. ``done``: those that are finished, ``files`` by this run.
    """

    output: Output
    total: int
    options: RunOptions
    progress: ProgressBar
    preview: Preview | None = None
    clock: Clock = field(default_factory=Clock)
    done: int = 0
    files: list[Path] = field(default_factory=list)
    tasks: list[TaskReport] = field(default_factory=list)
    networks: LoadedNetworks | None = None
    begun: float = field(default_factory=time.perf_counter)

    def run(self, task: Task, device: Device, interruption: Interruption) -> None:
        """Load the networks, draw and write the pictures. Ctrl-C raises `KeyboardInterrupt`."""
        self.done += task.first
        if task.first >= task.request.settings.count:
            return
        if self.networks is None or self.networks.names != find_networks(task.request):
            self.networks = None  # the memory of the ones before is free for these
            self.networks = load_networks(task.request, device)
        settings = task.request.settings.with_defaults(self.networks.defaults)
        report = TaskReport(settings, self.networks, self.clock, task.request.templates)
        self.tasks.append(report)
        for first in range(task.first, settings.count, settings.batch or 1):
            self._draw_batch(task, report, first, interruption)
        self._report_task(task, report)
        self.clock = Clock()

    def _draw_batch(
        self, task: Task, report: TaskReport, first: int, interruption: Interruption
    ) -> None:
        """Draw the pictures that are computed together, from number ``first``, and write them.

        Each batch is a run of its own, so that finished pictures are on disk whatever happens
        later. A picture does not depend on its batch.
        """
        settings = report.settings
        count, size = settings.count, settings.batch or 1
        part = settings.part(first, min(size, count - first))
        if task.request.templates is not None:
            part = task.request.templates.fill(part, first, (settings.seed + first) % 2**64)
        events = report.networks.generate(part)
        # Closing tells the pipeline at once where an error or Ctrl-C ends the loop.
        with contextlib.closing(cast("Generator[object]", events)):
            for event in events:
                if isinstance(event, Stage):
                    self._enter_phase(_PHASES.get(event.name, event.name))
                elif isinstance(event, Step):
                    self._count_step(event, (first - task.first) // size, count - task.first, size)
                else:
                    self._save(task, report, event, first)
                interruption.check()

    def _enter_phase(self, name: str) -> None:
        self.clock.phase(name)
        self.progress.phase(name)

    def _count_step(self, step: Step, batch: int, count: int, size: int) -> None:
        """Wait for a step and show it, with a preview where one is due."""
        step.wait()
        self.clock.step()
        name = f"picture {self.done + 1} of {self.total}" if self.total > count else ""
        self.progress.step(
            batch * step.total + step.index, ceil_div(count, size) * step.total, name
        )
        if self.preview is not None and self.preview.is_due(step):
            self._show_preview(step.preview)
            self.clock.resume()

    def _show_preview(self, images: Callable[[], list[Image.Image]]) -> None:
        """Write a preview. Where that fails, warn and go on without: the pictures matter."""
        assert self.preview is not None
        self.clock.phase("previewing")
        try:
            self.preview.show(images())
        except (NotFiniteError, OutputError) as error:
            complain(f"warning: no more previews: {error}")
            self.preview = None

    def _save(self, task: Task, report: TaskReport, result: Result, first: int) -> None:
        """Write the finished pictures of a batch, and print their files."""
        self._enter_phase("writing")
        for place, image in enumerate(result.images):
            number, seed = first + place, result.seeds[place]
            text = report.infotext(result.settings, place)
            drawn, negative = result.settings.prompt, result.settings.negative
            own = replace(report.settings, seed=seed, prompt=drawn, negative=negative)
            picture = DrawnPicture(number, image, text, own)
            self.done += 1
            report.seeds.append(seed)
            report.prompts.append(drawn)
            if task.saves:
                file = self.save(
                    picture,
                    self.done,
                    lambda draft, target, number=number: task.claim(number, draft, target),  # type: ignore[misc]
                )
                report.files.append(file)
                if layer := result.decoded_in_f32_from[place]:
                    report.redone[str(file)] = layer
            task.receive(picture)
            task.confirm(number)
        if self.preview is not None:
            self._show_preview(lambda: result.images)

    def save(
        self,
        picture: DrawnPicture,
        index: int,
        claim: Callable[[Path, Path], None] | None = None,
        count: int | None = None,
    ) -> Path:
        """Write a picture as number ``index`` of ``count``, or of all, and print its file."""
        assert self.networks is not None
        model = self.networks.provenance["model"]["name"]
        values = picture_values(picture.settings, model, index)
        file = self.output.save(picture.image, values, count or self.total, picture.infotext, claim)
        self.files.append(file)
        if not self.options.as_json:
            self.progress.print(str(file))
        return file

    def save_grid(self, grid: DrawnPicture) -> None:
        """Write the grid of all pictures. Its name has the seed of the first."""
        file = self.save(grid, self.done + 1, count=1)
        if self.options.as_json:
            print(json.dumps({"grid": str(file)}), flush=True)

    def _report_task(self, task: Task, report: TaskReport) -> None:
        """Print what ``--json`` prints, and which networks differ from an earlier picture's."""
        text = task.request.earlier_text
        if text is not None and len(self.tasks) == 1:
            report_other_networks(text, report.networks.provenance)
        if self.options.as_json:
            print(json.dumps(report.record()), flush=True)

    def report(self) -> None:
        """Print one line for people at the end."""
        if self.options.as_json or self.options.quiet or not self.tasks:
            return
        seconds, last = time.perf_counter() - self.begun, self.tasks[-1]
        if len(self.tasks) > 1:
            text = f"{self.done} pictures, {seconds:.1f} s"
        else:
            rate = last.clock.rate
            speed = "" if rate is None else f", {rate_text(rate)}"
            text = f"seed {last.settings.seed}, {last.settings.steps} steps{speed}, {seconds:.1f} s"
        print(text, file=sys.stderr)


@dataclass
class TaskReport:
    """The result of a task. ``settings``: complete.

    ``redone``: by file, the first layer of the VAE that was computed again in f32.
    """

    settings: Settings
    networks: LoadedNetworks
    clock: Clock
    templates: Templates | None = None
    files: list[Path] = field(default_factory=list)
    prompts: list[str] = field(default_factory=list)
    seeds: list[int] = field(default_factory=list)
    redone: dict[str, str] = field(default_factory=dict)

    def infotext(self, settings: Settings, number: int) -> str:
        """Return the text of picture ``number`` of the batch with ``settings``."""
        networks = self.networks
        model, refiner = networks.provenance["model"], networks.names.refiner
        more = other_networks_fields(networks.provenance, refiner.switch if refiner else None)
        if self.templates is not None:
            more |= self.templates.fields()
        more |= networks.adapter_fields(settings)
        program = f"Avila {version()}"
        return infotext_from_settings(settings, number, model["name"], model["hash"], program, more)

    def record(self) -> dict[str, object]:
        """Return what ``--json`` prints."""
        rate = self.clock.rate
        return {
            "files": [str(file) for file in self.files],
            "seed": self.settings.seed,
            "seeds": self.seeds,
            **({} if self.templates is None else {"prompts": self.prompts}),
            "settings": _to_json(self.settings),
            "redone": self.redone,
            **self.networks.provenance,
            "timings": self.clock.seconds(),
            "steps_per_second": None if rate is None else round(rate, 4),
        }


def _to_json(value: object) -> object:
    """Return settings as JSON can hold them; a picture becomes its size."""
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value)]
        return {_JSON_NAMES.get(name, name): _to_json(getattr(value, name)) for name in names}
    if isinstance(value, tuple):
        return [_to_json(each) for each in value]
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Image.Image):
        return f"{value.width}x{value.height}"
    return value
