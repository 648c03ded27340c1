"""A worker's devices and models without a GPU. Prompts let its process crash or hang."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from PIL import Image

from diffusion.errors import ModelFormatError, NotFiniteError
from diffusion.memory import EVERYTHING
from diffusion.pipeline.events import Result, Stage, Step
from diffusion.settings import Defaults, Settings
from gpucore import DeviceLostError

__all__ = ["FakeStudio"]


class FakeStep(Step):
    """A step that was never computed."""

    def wait(self) -> None:
        """Return at once."""

    def begin_wait(self) -> Callable[[], None]:
        return self.wait

    def preview(
        self, small: bool = False, is_unwanted: Callable[[], bool] | None = None
    ) -> list[Image.Image]:
        return [Image.new("RGB", (16, 8), (0, 0, 255)) for _ in self.image_numbers]

    def latents(self) -> Any:
        return np.zeros((len(self.image_numbers), 1, 1, 4), np.float32)


class FakePipeline:
    """Draws rectangles. Prompts: ``once crash MARK`` ends the process unless the file is there."""

    defaults = Defaults(width=64, height=48, steps=4)
    provenance: Mapping[str, Any] = {"model": {"name": "fake", "hash": "0123456789"}}

    def __init__(self, device: Any, nbytes: int) -> None:
        self.device, self.nbytes, self.refreshed = device, nbytes, 0
        self.controls = SimpleNamespace(nbytes=0, budget=0, make_room=None)
        self.image_prompts = SimpleNamespace(nbytes=0)
        self.memory = SimpleNamespace(make_room=None)
        self.networks = SimpleNamespace(placement=EVERYTHING)
        device.memory.live += nbytes

    def with_vae(self, vae: Path) -> FakePipeline:
        if "broken" in vae.name:
            raise ModelFormatError(vae, "latent_channels", "must be 4", "take another one")
        other = FakePipeline(self.device, 10)
        other.provenance = {**self.provenance, "vae": {"name": vae.name, "hash": "ab"}}
        return other

    def adapter_fields(self, settings: Settings) -> dict[str, str]:
        return {}

    def parts(self, settings: Settings) -> list[Settings]:
        complete = settings.with_defaults(self.defaults)
        size, count = complete.batch or 1, complete.count
        return [complete.part(i, min(size, count - i)) for i in range(0, count, size)]

    def adapters_of(self, settings: Settings) -> str:
        return "other" if "other LoRA" in settings.prompt else ""

    def events_and_calls(self, settings: Settings) -> Generator[Stage | Step | Result, Any]:
        yield Stage("encoding prompt")
        steps, numbers = settings.steps or 1, tuple(range(settings.count))
        for index in range(1, steps + 1):
            if index == 2:
                self._act(settings.prompt)
            if "slow" in settings.prompt:
                time.sleep(0.05)
            yield FakeStep(index, steps, 0.5, numbers, None, None, None, None)  # type: ignore[arg-type]
        yield Stage("decoding")
        images = self.decode(np.zeros((settings.count, 1, 1, 4), np.float32))
        seeds = [settings.part(i, 1).seed for i in numbers]
        yield Result(images, seeds, settings, [None] * len(images), np.zeros((1, 1, 1, 4), "f4"))

    def _act(self, prompt: str) -> None:
        words = prompt.split()
        if words[0] == "nan":
            raise NotFiniteError("UNet", "at step 2", "try f32")
        if words[0] == "bug":
            raise ZeroDivisionError("a bug of the program")
        if words[0] not in ("once", "always"):
            return
        mark = Path(words[2])
        if words[0] == "once" and mark.exists():
            return
        mark.touch()
        if words[1] == "crash":
            os._exit(7)
        if words[1] == "lose":
            raise DeviceLostError("the driver took the device away")
        time.sleep(3600)

    def decode(self, latents: Any, vae_tiling: str = "auto", seamless: str = "") -> Any:
        return [Image.new("RGB", (64, 48), (255, 0, 0)) for _ in latents]

    def close(self) -> None:
        self.device.memory.live -= self.nbytes


@dataclass(frozen=True)
class FakeStudio:
    """What a worker process of tests is started with."""

    budget: int | None = None
    jobs: int | None = None

    def load(self, model: Path, device: Any) -> Any:
        return FakePipeline(device, 1000)

    def find_adapters(self, pipeline: Any) -> None:
        pipeline.refreshed += 1

    def open_device(self) -> Any:
        memory = SimpleNamespace(live=0, reserved=4096)
        return SimpleNamespace(name="nothing", is_cpu=True, memory=memory, trim=lambda: 0)
