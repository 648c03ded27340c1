"""A pipeline that draws coloured rectangles at once, and helpers that run the command with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from diffusion import Result, Settings, Stage, Step
from diffusion.adapters import NO_LORAS, LoraFolder
from diffusion.cli import main
from diffusion.cli.output import Output
from diffusion.cli.program import app
from diffusion.control import NO_CONTROLS
from diffusion.errors import ModelNotFoundError
from diffusion.infotext.files import read_infotext
from diffusion.infotext.from_settings import infotext_from_settings
from diffusion.infotext.grammar import parse_infotext
from diffusion.memory import Budget
from diffusion.settings import Defaults
from diffusion.tasks import Variation
from diffusion.tasks.sampling_settings import SamplingSettings
from diffusion.text.inversions import NO_INVERSIONS, InversionFolder
from diffusion.upscaling import NO_UPSCALERS
from gpucore import Device

__all__ = [
    "BLUE",
    "DRAWN",
    "NO_LATENTS",
    "RED",
    "FakePipeline",
    "FakeStep",
    "exit_status",
    "file_names",
    "infotext_of",
    "run",
    "write_picture",
]

RED, BLUE = (255, 0, 0), (0, 0, 255)
NO_LATENTS = np.empty((0, 0, 0, 4), np.float32)

DRAWN = Settings(
    "a red apple",
    "bad",
    width=64,
    height=48,
    steps=3,
    guidance=4.5,
    sampler="Euler",
    schedule="Karras",
    seed=7,
    batch=1,
    eta=0.5,
    rng="CPU",
    variation=Variation(9, 0.5),
    sampling=SamplingSettings(rho=5.0),
)
"""The settings of the picture ``drawn.png``, as its text has them."""


class FakeStep(Step):
    """A step that was never computed."""

    def wait(self) -> None:
        """Return at once."""

    def preview(self) -> list[Image.Image]:
        """Return a blue rectangle for each image."""
        return [Image.new("RGB", (16, 24), BLUE) for _ in self.image_numbers]


class FakeAdapters:
    """Stands in for the LoRAs, and for the learned words, of a pipeline."""

    def __init__(self, folder: LoraFolder | InversionFolder) -> None:
        self.folder = folder


class FakeControls:
    """Stands in for the control networks of a pipeline."""

    folder = NO_CONTROLS


class FakeUpscalers:
    """Stands in for the upscalers of a pipeline."""

    folder = NO_UPSCALERS


class FakePipeline:
    """Stands in for a loaded model, and records what it is asked for.

    ``loads``: the arguments of each load. ``runs``: the settings of each run. ``closed``: one entry
    for each run that was closed. ``stop_at_run``: the run in which Ctrl-C is typed.
    """

    model_name = "pretended"
    model_hash = "0123456789"
    vae_hash = "abcdefabcd"
    defaults = Defaults(width=16, height=24, steps=3)
    loads: ClassVar[list[dict[str, Any]]]
    runs: ClassVar[list[Settings]]
    closed: ClassVar[list[bool]]
    redone: ClassVar[str | None]
    stop_at_run: ClassVar[int | None]

    def __init__(self, device: Device) -> None:
        self.device = device
        self.loras = FakeAdapters(NO_LORAS)
        self.inversions = FakeAdapters(NO_INVERSIONS)
        self.controls = FakeControls()
        self.upscalers = FakeUpscalers()

    @classmethod
    def reset(cls) -> None:
        """Forget everything that was recorded."""
        cls.loads, cls.runs, cls.closed = [], [], []
        cls.redone = cls.stop_at_run = None

    @classmethod
    def load(
        cls, model: Path | None, device: Device, dtype: object, **options: object
    ) -> FakePipeline:
        """Record the arguments. Raises `ModelNotFoundError` for all but the bundled model."""
        vram = options.get("vram")
        most = vram.most if isinstance(vram, Budget) else vram
        cls.loads.append({"model": model, "dtype": dtype, **options, "vram": most})
        if model is not None:
            raise ModelNotFoundError(model, "there is no such model folder", "check the path")
        return cls(device)

    def adapter_fields(self, settings: Settings) -> dict[str, str]:
        """Return hashes of the names that the settings have."""
        names = {
            "Lora hashes": [f"{each.name}: 0123456789ab" for each in settings.loras],
            "TI hashes": [f"{each.name}: ba9876543210" for each in settings.inversions],
        }
        return {key: ", ".join(pairs) for key, pairs in names.items() if pairs}

    def generate(self, settings: Settings) -> Iterator[Stage | Step | Result]:
        """Yield the events of a run and red rectangles."""
        self.runs.append(settings)
        steps, numbers = settings.steps or 0, tuple(range(settings.count))
        try:
            yield Stage("encoding prompt")
            yield Stage("preparing")
            for index in range(1, steps + 1):
                if len(self.runs) == self.stop_at_run and index == 2:
                    raise KeyboardInterrupt
                yield FakeStep(index, steps, 0.5, numbers, None, None, self, None)  # type: ignore[arg-type]
            yield Stage("decoding")
            size = (settings.width or 0, settings.height or 0)
            images = [Image.new("RGB", size, RED) for _ in range(settings.count)]
            seeds = [settings.seed + i for i in range(settings.count)]
            yield Result(images, seeds, settings, [self.redone] * settings.count, NO_LATENTS)
        finally:
            self.closed.append(True)


def run(*arguments: str | Path) -> Any:
    """Run the command in this process. Return its result, standard streams apart."""
    runner = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1"})
    return runner.invoke(app, [str(each) for each in arguments])


def exit_status(*arguments: str) -> int:
    """Return the exit status of the whole program."""
    with pytest.raises(SystemExit) as caught:
        main(list(arguments))
    assert isinstance(caught.value.code, int | None)
    return caught.value.code or 0


def file_names(folder: Path) -> list[str]:
    """Return the names of what lies in a folder, sorted."""
    return sorted(path.name for path in folder.iterdir())


def infotext_of(picture: str | Path) -> dict[str, str]:
    """Return the settings in a picture's text."""
    return dict(parse_infotext(read_infotext(picture) or "").settings)


def write_picture(name: str, text: str | None = None, **changes: Any) -> None:
    """Write a picture with ``text``, or else with the settings `DRAWN` and ``changes``."""
    if text is None:
        settings = replace(DRAWN, **changes)
        text = infotext_from_settings(
            settings, 0, FakePipeline.model_name, FakePipeline.model_hash, "Avila"
        )
    Output.from_text(name).save(Image.new("RGB", (64, 48)), {"seed": 7, "index": 1}, 1, text)
