"""One run of a drawing command: from settings to files, with progress and a report."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import typer
from PIL import Image

from diffusion.cli.app import STOPPED, complain, version
from diffusion.cli.from_picture import dtype_of, refiner_switch_of, report_other_networks
from diffusion.cli.interruption import Interruption, interruptible
from diffusion.cli.native_messages import hide_native_messages
from diffusion.cli.options.drawing import DrawingOptions
from diffusion.cli.options.model import ModelOptions, Refiner
from diffusion.cli.output import Output
from diffusion.cli.previews import Preview
from diffusion.cli.profiling import write_profile
from diffusion.cli.progress import Clock, ProgressBar, rate_text
from diffusion.errors import NotFiniteError, OutputError, SettingsError
from diffusion.infotext.from_settings import infotext_from_settings, other_networks_fields
from diffusion.pipeline.events import Event, Result, Stage, Step
from diffusion.pipeline.pipeline import Pipeline
from diffusion.pipeline.refiner import refine
from diffusion.samplers import find_sampler_and_schedule
from diffusion.schedules import find_schedule
from diffusion.settings import Settings
from gpucore import Device
from gpucore.integers import ceil_div

__all__ = ["STOPPING", "Job", "check_settings", "draw", "open_device"]

STOPPING = "stopping (Ctrl-C again: at once)"

_PHASES = {"encoding prompt": "encoding prompt", "preparing": "compiling", "decoding": "decoding"}

_JSON_NAMES = {"init_image": "source"}
"""Settings that ``--json`` calls otherwise, so that scripts that read it go on working."""

Generate = Callable[[Settings], Iterator[Event]]


def draw(
    settings: Settings,
    options: DrawingOptions,
    input_files: Iterable[Path | None] = (),
    earlier_text: str | None = None,
) -> None:
    """Draw and write the pictures of ``settings``, and print what was written.

    ``input_files``: those that the command reads. ``earlier_text``: the text of the picture that
    the settings come from. Call it inside `reporting`. Raises `DiffusionError` and `GpuError`.
    """
    run, model, usual_switch = options.run, options.model, None
    if earlier_text is not None:
        model = replace(model, dtype=model.dtype or dtype_of(earlier_text))
        usual_switch = refiner_switch_of(earlier_text)
    refiner = options.refiner.refiner(usual_switch)
    preview = options.preview.preview([*input_files, run.profile])
    check_settings(settings)
    model.check()
    if refiner is not None and settings.hires is not None:
        raise SettingsError("refiner", str(refiner.path), "must not be given with --hires")
    output = Output.from_text(run.output)
    if preview is not None:
        preview.check(output, settings.count)
    job = Job(settings, output, ProgressBar(shown=not run.as_json), refiner, preview)
    with hide_native_messages(shown=run.debug):
        device = open_device(run.device)
    try:
        with write_profile(device, run.profile):
            job.run(model, device, options.preview.vae)
    except KeyboardInterrupt:
        complain(f"stopped; {len(job.files)} of {settings.count} pictures were finished")
        raise typer.Exit(STOPPED) from None
    finally:
        device.close()
    if earlier_text is not None:
        report_other_networks(earlier_text, job.provenance)
    print(json.dumps(job.record()) if run.as_json else "\n".join(map(str, job.files)))
    if not run.as_json:
        print(job.summary(), file=sys.stderr)


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


@dataclass
class Job:
    """The pictures of one run, and how long they take.

    ``provenance``: names and hashes of the networks, and the device. ``redone``: by file, the first
    layer of the VAE that was computed again in f32.
    """

    settings: Settings
    output: Output
    progress: ProgressBar
    refiner: Refiner | None = None
    preview: Preview | None = None
    clock: Clock = field(default_factory=Clock)
    files: list[Path] = field(default_factory=list)
    seeds: list[int] = field(default_factory=list)
    redone: dict[str, str] = field(default_factory=dict)
    provenance: dict[str, dict[str, str]] = field(default_factory=dict)

    def run(self, model: ModelOptions, device: Device, preview_vae: Path | None) -> None:
        """Load the model, draw and write every picture. Ctrl-C raises `KeyboardInterrupt`."""
        with self.progress, interruptible(lambda: self.progress.phase(STOPPING)) as interruption:
            generate = self._load(model, device, preview_vae)
            for first in range(0, self.settings.count, self.settings.batch or 1):
                self._draw_batch(generate, first, interruption)

    def _load(self, model: ModelOptions, device: Device, preview_vae: Path | None) -> Generate:
        """Load the networks and fill the settings. Return the function that draws."""
        pipeline = model.load(device, preview_vae)
        self.settings = self.settings.with_defaults(pipeline.defaults)
        self.provenance = {
            "model": {"name": pipeline.model_name, "hash": pipeline.model_hash},
            "device": {"name": device.name, "backend": device.info.backend},
        }
        if model.dtype is not None:
            self.provenance["model"]["dtype"] = model.dtype
        if model.vae is not None:
            self.provenance["vae"] = {"name": model.vae.name, "hash": pipeline.vae_hash}
        if self.refiner is None:
            return pipeline.generate
        return self._load_refiner(pipeline, model, preview_vae, self.refiner)

    def _load_refiner(
        self, first: Pipeline, model: ModelOptions, preview_vae: Path | None, refiner: Refiner
    ) -> Generate:
        """Load the refiner. Return the function that draws with both models."""
        second = model.for_refiner(refiner.path).load(first.device, preview_vae)
        self.provenance["refiner"] = {"name": second.model_name, "hash": second.model_hash}
        return lambda settings: refine(first, second, settings, refiner.switch)

    def _draw_batch(self, generate: Generate, first: int, interruption: Interruption) -> None:
        """Draw the pictures that are computed together, from number ``first``, and write them.

        Each batch is a run of its own, so that finished pictures are on disk whatever happens
        later. A picture does not depend on its batch.
        """
        count, size = self.settings.count, self.settings.batch or 1
        events = generate(self.settings.part(first, min(size, count - first)))
        # Closing tells the pipeline at once where an error or Ctrl-C ends the loop.
        with contextlib.closing(cast("Generator[Event]", events)):
            for event in events:
                if isinstance(event, Stage):
                    self._enter_phase(_PHASES.get(event.name, event.name))
                elif isinstance(event, Step):
                    self._count_step(event, first // size, ceil_div(count, size))
                else:
                    self._save(event)
                interruption.check()

    def _enter_phase(self, name: str) -> None:
        self.clock.phase(name)
        self.progress.phase(name)

    def _count_step(self, step: Step, batch: int, batches: int) -> None:
        """Wait for a step and show it, with a preview where one is due."""
        step.wait()
        self.clock.step()
        self.progress.step(batch * step.total + step.index, batches * step.total)
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

    def _save(self, result: Result) -> None:
        """Write the finished pictures of a batch."""
        self._enter_phase("writing")
        model = self.provenance["model"]
        program = f"Avila {version()}"
        more = other_networks_fields(self.provenance, self.refiner.switch if self.refiner else None)
        for number, image in enumerate(result.images):
            text = infotext_from_settings(
                result.settings, number, model["name"], model["hash"], program, more
            )
            place, seed = len(self.files) + 1, result.seeds[number]
            file = self.output.save(image, seed, place, self.settings.count, text)
            self.files.append(file)
            self.seeds.append(seed)
            if layer := result.decoded_in_f32_from[number]:
                self.redone[str(file)] = layer
        if self.preview is not None:
            self._show_preview(lambda: result.images)

    def record(self) -> dict[str, object]:
        """Return what ``--json`` prints."""
        rate = self.clock.rate
        return {
            "files": [str(file) for file in self.files],
            "seed": self.settings.seed,
            "seeds": self.seeds,
            "settings": _to_json(self.settings),
            "redone": self.redone,
            **self.provenance,
            "timings": self.clock.seconds(),
            "steps_per_second": None if rate is None else round(rate, 4),
        }

    def summary(self) -> str:
        """Return one line for people."""
        seconds = self.clock.seconds()["total"]
        rate = "" if self.clock.rate is None else f", {rate_text(self.clock.rate)}"
        return f"seed {self.settings.seed}, {self.settings.steps} steps{rate}, {seconds:.1f} s"


def _to_json(value: object) -> object:
    """Return settings as JSON can hold them; a picture becomes its size."""
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value)]
        return {_JSON_NAMES.get(name, name): _to_json(getattr(value, name)) for name in names}
    if isinstance(value, Image.Image):
        return f"{value.width}x{value.height}"
    return value
