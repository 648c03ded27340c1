"""``avila txt2img``: a prompt becomes pictures, written as they are finished."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
import secrets
import sys
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import typer

from diffusion.cli import options
from diffusion.cli.app import app, complain, reporting, version
from diffusion.cli.interruption import Interruption, interruptible
from diffusion.cli.native_messages import held_back
from diffusion.cli.output import Output
from diffusion.cli.profiling import profiled
from diffusion.cli.progress import Clock, ProgressBar, rate_text
from diffusion.errors import SettingsError
from diffusion.infotext import write_infotext
from diffusion.pipeline import Event, Pipeline, Result, Stage, Step
from diffusion.prompts import EMPHASES
from diffusion.samplers import find_sampler_and_schedule
from diffusion.schedules import AUTOMATIC, find_schedule
from diffusion.settings import Settings
from gpucore import Device

__all__ = ["txt2img"]

EXAMPLES = """\
Examples:

[cyan]avila txt2img "a red apple"[/cyan]

[cyan]avila txt2img "a green dragon, cartoon" --seed 7 --count 4 --output dragons/[/cyan]

[cyan]avila txt2img "a castle" --model path/to/folder --size 512x768 --sampler euler_a[/cyan]

[cyan]avila txt2img "a fox" --device cpu --json[/cyan]
"""
_PHASES = {"encoding prompt": "encoding prompt", "preparing": "compiling", "decoding": "decoding"}
_LARGEST_RANDOM_SEED = 2**32 - 1
_STOPPED = 130


@app.command(epilog=EXAMPLES)
def txt2img(
    prompt: options.Prompt,
    *,
    negative: options.Negative = "",
    size: options.Size = None,
    seed: options.Seed = -1,
    count: options.Count = 1,
    steps: options.Steps = None,
    guidance: options.Guidance = None,
    sampler: options.SamplerName = None,
    schedule: options.ScheduleName = None,
    eta: options.Eta = None,
    emphasis: options.EmphasisName = "original",
    batch: options.Batch = None,
    model: options.Model = None,
    output: options.Output = ".",
    device: options.DeviceName = None,
    profile: options.Profile = None,
    as_json: options.AsJson = False,
    debug: options.Debug = False,
) -> None:
    """Draw pictures from a prompt.

    Every PNG holds its settings as text (key "parameters"), as other tools of the field read
    them. The files' names go to stdout, all else to stderr.
    """
    with reporting(debug):
        settings = Settings(
            prompt,
            negative,
            *parsed_size(size),
            steps,
            guidance,
            sampler,
            schedule,
            chosen_seed(seed),
            count,
            batch,
            eta,
            emphasis,
        )
        check(settings)
        job = Job(settings, Output.named(output), ProgressBar(shown=not as_json))
        with held_back(shown=debug):
            opened = Device.named(device) if device else Device.auto()
        try:
            with profiled(opened, profile):
                job.run(model, opened)
        except KeyboardInterrupt:
            complain(f"stopped; {len(job.files)} of {count} pictures were finished")
            raise typer.Exit(_STOPPED) from None
    print(json.dumps(job.record()) if as_json else "\n".join(map(str, job.files)))
    if not as_json:
        print(job.summary(), file=sys.stderr)


def parsed_size(text: str | None) -> tuple[int | None, int | None]:
    """Width and height from ``512x768``. Raises `SettingsError`."""
    if text is None:
        return None, None
    match = re.fullmatch(r"\s*(\d{1,6})\s*[xX×]\s*(\d{1,6})\s*", text)
    if not match:
        raise SettingsError("size", text, "give WIDTHxHEIGHT, such as 512x768")
    return int(match[1]), int(match[2])


def chosen_seed(seed: int) -> int:
    """The seed, drawn at random for -1. Raises `SettingsError`."""
    if seed < -1:
        raise SettingsError("seed", seed, "give a whole number from 0 on, or -1 for a random one")
    return secrets.randbelow(_LARGEST_RANDOM_SEED) if seed == -1 else seed


def check(settings: Settings) -> None:
    """Find wrong settings before a model is loaded. Raises `SettingsError`."""
    settings.check()
    if settings.sampler is not None:
        find_sampler_and_schedule(settings.sampler)
    if settings.schedule is not None:
        find_schedule(settings.schedule)


@dataclass
class Job:
    """One run of the command: what it makes and how long that takes."""

    settings: Settings
    output: Output
    progress: ProgressBar
    clock: Clock = field(default_factory=Clock)
    files: list[Path] = field(default_factory=list)
    seeds: list[int] = field(default_factory=list)
    about: dict[str, dict[str, str]] = field(default_factory=dict)

    def run(self, model: Path | None, device: Device) -> None:
        """Load the model, draw and write every picture. Ctrl-C raises `KeyboardInterrupt`."""
        told = "stopping (Ctrl-C again: at once)"
        with self.progress, interruptible(lambda: self.progress.phase(told)) as interruption:
            pipeline = Pipeline.load(model, device)
            self.settings = self.settings.filled(pipeline.defaults)
            self.about = {
                "model": {"name": pipeline.model_name, "hash": pipeline.model_hash},
                "device": {"name": device.name, "backend": device.info.backend},
            }
            for first in range(0, self.settings.count, self.settings.batch or 1):
                self._draw_batch(pipeline, first, interruption)

    def _draw_batch(self, pipeline: Pipeline, first: int, interruption: Interruption) -> None:
        """Draw the pictures that are computed together, from number ``first``, and write them.

        A run for each batch, so that finished pictures are on disk whatever happens later; a
        picture does not depend on its batch.
        """
        whole = self.settings
        each = whole.batch or 1
        part = dataclasses.replace(
            whole, seed=(whole.seed + first) % 2**64, count=min(each, whole.count - first)
        )
        for event in closing(pipeline.generate(part)):
            if isinstance(event, Stage):
                self._phase(_PHASES.get(event.name, event.name))
            elif isinstance(event, Step):
                self._step(event, first // each, -(-whole.count // each))
            else:
                self._save(event)
            interruption.check()

    def _step(self, step: Step, batch: int, batches: int) -> None:
        step.wait()
        if step.index == 1:  # the first step waits for what is being compiled
            self.clock.phase("sampling")
        self.clock.step()
        self.progress.step(batch * step.total + step.index, batches * step.total)

    def _phase(self, name: str) -> None:
        self.clock.phase(name)
        self.progress.phase(name)

    def _save(self, result: Result) -> None:
        self._phase("writing")
        for image, seed in zip(result.images, result.seeds, strict=True):
            text = infotext(result.settings, seed, self.about["model"])
            number = len(self.files) + 1
            self.files.append(self.output.save(image, seed, number, self.settings.count, text))
            self.seeds.append(seed)

    def record(self) -> dict[str, object]:
        """What ``--json`` prints."""
        rate = self.clock.rate
        return {
            "files": [str(file) for file in self.files],
            "seed": self.settings.seed,
            "seeds": self.seeds,
            "settings": dataclasses.asdict(self.settings),
            **self.about,
            "timings": self.clock.seconds(),
            "steps_per_second": None if rate is None else round(rate, 4),
        }

    def summary(self) -> str:
        """One line for people."""
        spent = self.clock.seconds()["total"]
        rate = "" if self.clock.rate is None else f", {rate_text(self.clock.rate)}"
        return f"seed {self.settings.seed}, {self.settings.steps} steps{rate}, {spent:.1f} s"


def closing(events: Iterator[Event]) -> Iterator[Event]:
    """The same events; the pipeline is told at once where the caller stops listening."""
    with contextlib.closing(cast("Generator[Event]", events)) as closed:
        yield from closed


def infotext(settings: Settings, seed: int, model: dict[str, str]) -> str:
    """The text that a picture carries about how it was made."""
    sampler, named = find_sampler_and_schedule(settings.sampler or "")
    schedule = named or find_schedule(settings.schedule or AUTOMATIC)
    pairs: dict[str, str | int | float] = {
        "Steps": settings.steps or 0,
        "Sampler": sampler.label,
        "Schedule type": schedule.label if schedule else "Automatic",
        "CFG scale": settings.guidance or 0.0,
        "Seed": seed,
        "Size": f"{settings.width}x{settings.height}",
        "Model hash": model["hash"],
        "Model": model["name"],
        "RNG": "NV",
        "Version": f"Avila {version()}",
    }
    if settings.eta is not None:
        pairs["Eta"] = settings.eta
    emphasis = EMPHASES.find(settings.emphasis)
    if emphasis.name != "original":
        pairs["Emphasis"] = emphasis.label
    return write_infotext(settings.prompt, settings.negative, pairs)
