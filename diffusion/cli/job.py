"""What the drawing commands share: from settings to files, with progress and a report."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
import secrets
import sys
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, TypeVar, cast

import typer
from PIL import Image

from diffusion.checkpoints.single_file import Prediction
from diffusion.cli.app import STOPPED, complain, version
from diffusion.cli.interruption import Interruption, interruptible
from diffusion.cli.native_messages import held_back
from diffusion.cli.networks import NamedRefiner, chosen_dtype
from diffusion.cli.output import Output
from diffusion.cli.previews import Preview
from diffusion.cli.profiling import profiled
from diffusion.cli.progress import Clock, ProgressBar, rate_text
from diffusion.cli.rarer import tell_other_networks
from diffusion.errors import NotFiniteError, OutputError, SettingsError
from diffusion.infotext.from_settings import infotext_from_settings, other_networks_fields
from diffusion.pipeline.events import Event, Result, Stage, Step
from diffusion.pipeline.pipeline import Pipeline
from diffusion.pipeline.refiner import refine
from diffusion.samplers import find_sampler_and_schedule
from diffusion.schedules import find_schedule
from diffusion.settings import Settings
from diffusion.tasks import Variation
from gpucore import Device
from gpucore.integers import ceil_div

__all__ = [
    "Job",
    "NamedModel",
    "Place",
    "asked_variation",
    "chosen_seed",
    "draw",
    "opened_device",
    "parsed_name",
    "parsed_prediction",
    "parsed_size",
]

T = TypeVar("T")
Generate = Callable[[Settings], Iterator[Event]]

_PHASES = {"encoding prompt": "encoding prompt", "preparing": "compiling", "decoding": "decoding"}
_LARGEST_RANDOM_SEED = 2**32 - 1
_PREDICTIONS: Final[dict[str, Prediction]] = {
    "epsilon": "epsilon",
    "v": "v_prediction",
    "sample": "sample",
}


@dataclass(frozen=True)
class NamedModel:
    """The model that the options name, and what a single file lacks."""

    path: Path | None
    tokenizer: Path | None = None
    prediction: str | None = None
    vae: Path | None = None
    dtype: str | None = None
    preview_vae: Path | None = None

    def check(self) -> None:
        """Find what cannot be before anything is loaded. Raises `SettingsError`."""
        parsed_prediction(self.prediction)
        chosen_dtype(self.dtype)

    def beside(self, refiner: Path) -> NamedModel:
        """The refiner of this model: what a single file lacks is not said of a folder."""
        tokenizer = self.tokenizer if refiner.is_file() else None
        return replace(self, path=refiner, tokenizer=tokenizer, prediction=None)

    def load(self, device: Device) -> Pipeline:
        """The model on a device. Raises as `Pipeline.load`, and `SettingsError`."""
        return Pipeline.load(
            self.path,
            device,
            chosen_dtype(self.dtype, device),
            vae=self.vae,
            preview=self.preview_vae,
            tokenizer=self.tokenizer,
            prediction=parsed_prediction(self.prediction),
        )


@dataclass(frozen=True)
class Place:
    """Where a command runs and writes: the options that all drawing commands have."""

    model: NamedModel
    output: str
    device: str | None
    profile: Path | None
    as_json: bool
    debug: bool
    refiner: NamedRefiner | None = None
    preview: Preview | None = None


def draw(settings: Settings, place: Place, carried: str | None = None) -> None:
    """Draw and write the pictures of ``settings`` and tell of them. Inside `reporting`.

    ``carried``: the text of the picture that they come from.
    """
    check(settings)
    place.model.check()
    if place.refiner is not None and settings.hires is not None:
        raise SettingsError("refiner", str(place.refiner.path), "not with --hires")
    output = Output.named(place.output)
    if place.preview is not None:
        place.preview.check(output, settings.count)
    progress = ProgressBar(shown=not place.as_json)
    job = Job(settings, output, progress, place.refiner, place.preview)
    with held_back(shown=place.debug):
        opened = opened_device(place.device)
    try:
        with profiled(opened, place.profile):
            job.run(place.model, opened)
    except KeyboardInterrupt:
        complain(f"stopped; {len(job.files)} of {settings.count} pictures were finished")
        raise typer.Exit(STOPPED) from None
    finally:
        opened.close()
    if carried is not None:
        tell_other_networks(carried, job.about)
    print(json.dumps(job.record()) if place.as_json else "\n".join(map(str, job.files)))
    if not place.as_json:
        print(job.summary(), file=sys.stderr)


def opened_device(name: str | None) -> Device:
    """The device that ``--device`` names, or the best. Our kernels are trusted on it."""
    return Device.named(name, checks=False) if name else Device.auto(checks=False)


def parsed_size(text: str | None, field: str = "size") -> tuple[int | None, int | None]:
    """Width and height from ``512x768``. Raises `SettingsError`."""
    if text is None:
        return None, None
    match = re.fullmatch(r"\s*(\d{1,6})\s*[xX×]\s*(\d{1,6})\s*", text)
    if not match:
        raise SettingsError(field, text, "give WIDTHxHEIGHT, such as 512x768")
    return int(match[1]), int(match[2])


def parsed_name(field: str, text: str, names: Mapping[str, T]) -> T:
    """The entry called ``text``. Raises `SettingsError`."""
    if text not in names:
        raise SettingsError(field, text, f"give one of {', '.join(names)}")
    return names[text]


def parsed_prediction(text: str | None) -> Prediction | None:
    """What ``--prediction`` names. Raises `SettingsError`."""
    return None if text is None else parsed_name("prediction", text, _PREDICTIONS)


def chosen_seed(seed: int, field: str = "seed") -> int:
    """The seed, drawn at random for -1. Raises `SettingsError`."""
    if seed < -1:
        raise SettingsError(field, seed, "give a whole number from 0 on, or -1 for a random one")
    return secrets.randbelow(_LARGEST_RANDOM_SEED) if seed == -1 else seed


def asked_variation(strength: float, seed: int, resize: str | None) -> Variation:
    """The variation of the options, which may be none. Raises `SettingsError`."""
    width, height = parsed_size(resize, "seed resize")
    resize_from = None if width is None or height is None else (width, height)
    return Variation(chosen_seed(seed, "variation seed"), strength, resize_from)


def check(settings: Settings) -> None:
    """Find wrong settings before a model is loaded. Raises `SettingsError`."""
    settings.check()
    if settings.sampler is not None:
        find_sampler_and_schedule(settings.sampler)
    if settings.schedule is not None:
        find_schedule(settings.schedule)


@dataclass
class Job:
    """One run of a command: what it makes and how long that takes."""

    settings: Settings
    output: Output
    progress: ProgressBar
    refiner: NamedRefiner | None = None
    preview: Preview | None = None
    clock: Clock = field(default_factory=Clock)
    files: list[Path] = field(default_factory=list)
    seeds: list[int] = field(default_factory=list)
    redone: dict[str, str] = field(default_factory=dict)
    about: dict[str, dict[str, str]] = field(default_factory=dict)

    def run(self, model: NamedModel, device: Device) -> None:
        """Load the model, draw and write every picture. Ctrl-C raises `KeyboardInterrupt`."""
        told = "stopping (Ctrl-C again: at once)"
        with self.progress, interruptible(lambda: self.progress.phase(told)) as interruption:
            pipeline = model.load(device)
            self.settings = self.settings.with_defaults(pipeline.defaults)
            self.about = {
                "model": {"name": pipeline.model_name, "hash": pipeline.model_hash},
                "device": {"name": device.name, "backend": device.info.backend},
            }
            if model.dtype is not None:
                self.about["model"]["dtype"] = model.dtype
            if model.vae is not None:
                self.about["vae"] = {"name": model.vae.name, "hash": pipeline.vae_hash}
            generate: Generate = pipeline.generate
            if self.refiner is not None:
                generate = self._refined(pipeline, model.beside(self.refiner.path))
            for first in range(0, self.settings.count, self.settings.batch or 1):
                self._draw_batch(generate, first, interruption)

    def _refined(self, base: Pipeline, model: NamedModel) -> Generate:
        """Load the refiner, ``model``: what draws with both."""
        assert self.refiner is not None
        switch = self.refiner.switch
        second = model.load(base.device)
        self.about["refiner"] = {"name": second.model_name, "hash": second.model_hash}
        return lambda settings: refine(base, second, settings, switch)

    def _draw_batch(self, generate: Generate, first: int, interruption: Interruption) -> None:
        """Draw the pictures that are computed together, from number ``first``, and write them.

        A run for each batch, so that finished pictures are on disk whatever happens later; a
        picture does not depend on its batch.
        """
        whole = self.settings
        each = whole.batch or 1
        for event in closing(generate(whole.part(first, min(each, whole.count - first)))):
            if isinstance(event, Stage):
                self._phase(_PHASES.get(event.name, event.name))
            elif isinstance(event, Step):
                self._step(event, first // each, ceil_div(whole.count, each))
            else:
                self._save(event)
            interruption.check()

    def _step(self, step: Step, batch: int, batches: int) -> None:
        step.wait()
        self.clock.step()
        self.progress.step(batch * step.total + step.index, batches * step.total)
        if self.preview is not None and self.preview.is_due(step):
            self._show(step.preview)
            self.clock.resume()

    def _show(self, images: Callable[[], list[Image.Image]]) -> None:
        """Write a preview; where that fails, tell it and go on without: the pictures count."""
        assert self.preview is not None
        self.clock.phase("previewing")
        try:
            self.preview.show(images())
        except (NotFiniteError, OutputError) as error:
            complain(f"warning: no more previews: {error}")
            self.preview = None

    def _phase(self, name: str) -> None:
        self.clock.phase(name)
        self.progress.phase(name)

    def _save(self, result: Result) -> None:
        self._phase("writing")
        model = self.about["model"]
        program = f"Avila {version()}"
        more = other_networks_fields(self.about, self.refiner.switch if self.refiner else None)
        for number, image in enumerate(result.images):
            text = infotext_from_settings(
                result.settings, number, model["name"], model["hash"], program, more
            )
            place, seed = len(self.files) + 1, result.seeds[number]
            self.files.append(self.output.save(image, seed, place, self.settings.count, text))
            self.seeds.append(seed)
            if layer := result.decoded_in_f32_from[number]:
                self.redone[str(self.files[-1])] = layer
        if self.preview is not None:
            self._show(lambda: result.images)

    def record(self) -> dict[str, object]:
        """What ``--json`` prints."""
        rate = self.clock.rate
        return {
            "files": [str(file) for file in self.files],
            "seed": self.settings.seed,
            "seeds": self.seeds,
            "settings": plain(self.settings),
            "redone": self.redone,
            **self.about,
            "timings": self.clock.seconds(),
            "steps_per_second": None if rate is None else round(rate, 4),
        }

    def summary(self) -> str:
        """One line for people."""
        spent = self.clock.seconds()["total"]
        rate = "" if self.clock.rate is None else f", {rate_text(self.clock.rate)}"
        return f"seed {self.settings.seed}, {self.settings.steps} steps{rate}, {spent:.1f} s"


def plain(value: object) -> object:
    """Settings as what JSON can hold; of a picture its size."""
    if dataclasses.is_dataclass(value):
        return {each.name: plain(getattr(value, each.name)) for each in dataclasses.fields(value)}
    if isinstance(value, Image.Image):
        return f"{value.width}x{value.height}"
    return value


def closing(events: Iterator[Event]) -> Iterator[Event]:
    """The same events; the pipeline is told at once where the caller stops listening."""
    with contextlib.closing(cast("Generator[Event]", events)) as closed:
        yield from closed
