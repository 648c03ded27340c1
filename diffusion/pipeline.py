"""From a prompt to pictures: a generator of steps, whose caller owns progress and cancelling."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diffusion.bundled import bundled_model, suited_defaults
from diffusion.checkpoints import ModelFolder
from diffusion.denoiser import BufferAlgebra, GuidedDenoiser, Latents
from diffusion.models.layers import Activations
from diffusion.networks import Networks, load_networks
from diffusion.noise import LatentNoise
from diffusion.prompts import EMPHASES, chunk_prompt
from diffusion.samplers import SamplerOptions, find_sampler_and_schedule
from diffusion.samplers import Step as SamplerStep
from diffusion.schedules import find_schedule
from diffusion.settings import Defaults, Settings
from gpucore import Device, DType
from gpustd import cast, concat, linear_combination, repeat_batch, slice_axis, to_image

__all__ = ["Event", "Pipeline", "Result", "Stage", "Step"]


@dataclass(frozen=True)
class Stage:
    """A phase begins: ``encoding prompt``, ``preparing`` or ``decoding``."""

    name: str


@dataclass(frozen=True)
class Step:
    """A sampler's step is recorded.

    ``index`` counts from 1 to ``total`` over all batches; ``sigma`` is the noise level left;
    ``image_numbers`` are the images being made.
    """

    index: int
    total: int
    sigma: float
    image_numbers: tuple[int, ...]
    _denoised: Latents = field(repr=False)
    _pipeline: Pipeline = field(repr=False)

    def wait(self) -> None:
        """Block until the device has finished this step."""
        self._pipeline.device.synchronize()

    def preview(self) -> list[Image.Image]:
        """The images as the network sees them now; costs a decoding."""
        return self._pipeline.decode(self._denoised)

    def latents(self) -> NDArray[np.float32]:
        """The denoised latents (images, h, w, 4)."""
        return self._denoised.read()


@dataclass(frozen=True)
class Result:
    """The finished images in order, their seeds, and the settings with all defaults filled in."""

    images: list[Image.Image]
    seeds: list[int]
    settings: Settings


Event = Stage | Step | Result


class Pipeline:
    """A loaded Stable Diffusion model. ``Pipeline.load()`` takes the bundled one."""

    def __init__(self, networks: Networks, defaults: Defaults | None = None) -> None:
        self.networks = networks
        self.defaults = defaults or suited_defaults(networks.folder)

    @classmethod
    def load(
        cls,
        model: str | Path | None = None,
        device: Device | None = None,
        dtype: type[DType] | None = None,
    ) -> Pipeline:
        """Load a model folder (the bundled model if None) on a device (the best if None).

        Raises `ModelNotFoundError`, `ModelFormatError`, `ModelMismatchError`,
        `gpucore.DeviceNotFoundError`.
        """
        folder = ModelFolder(bundled_model() if model is None else Path(model))
        return cls(load_networks(folder, device or Device.auto(), dtype))

    @property
    def device(self) -> Device:
        """Where the model runs."""
        return self.networks.device

    @property
    def model_name(self) -> str:
        """Name of the model's folder."""
        return self.networks.folder.path.resolve().name

    @functools.cached_property
    def model_hash(self) -> str:
        """First ten hexadecimal digits of the SHA-256 of the UNet's weights."""
        digest = hashlib.sha256()
        with self.networks.folder.weights("unet").path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        return digest.hexdigest()[:10]

    def generate(self, settings: Settings) -> Iterator[Event]:
        """Make pictures, yielding stages, steps and at last the `Result`; closing it cancels.

        Raises `SettingsError` before any work.
        """
        full = settings.filled(self.defaults)
        run = _Run(self, full)
        yield Stage("encoding prompt")
        context = run.context()
        images: list[Image.Image] = []
        for numbers in run.batches():
            yield Stage("preparing")
            for step in run.steps(context, numbers):
                yield run.event(step, numbers)
            yield Stage("decoding")
            images += self.decode(run.finished(step))
        yield Result(images, [run.seed(i) for i in range(len(images))], full)

    def txt2img(
        self,
        prompt: str,
        *,
        negative: str = "",
        size: tuple[int, int] | None = None,
        steps: int | None = None,
        guidance: float | None = None,
        sampler: str | None = None,
        seed: int = 0,
    ) -> Image.Image:
        """One picture, without progress; see `Settings` for all that can be chosen."""
        width, height = size or (None, None)
        settings = Settings(prompt, negative, width, height, steps, guidance, sampler, seed=seed)
        for event in self.generate(settings):
            if isinstance(event, Result):
                return event.images[0]
        raise AssertionError("generate ends with a Result")

    def decode(self, latents: Latents) -> list[Image.Image]:
        """Pictures of latents (B, h, w, 4) in the UNet's scale, one at a time to spare memory."""
        factor = 1 / self.networks.folder.vae.scaling_factor
        scaled = cast(linear_combination([(factor, latents)]), self.networks.dtype)
        images = []
        for index in range(latents.shape[0]):
            one = scaled if latents.shape[0] == 1 else slice_axis(scaled, 0, index, index + 1)
            with self.device.region("vae"):
                pixels = to_image(self.networks.vae.decode(one))
            images.append(Image.fromarray(pixels.read()[0]))
        return images


class _Run:
    """One `Pipeline.generate` call: what its settings come to."""

    def __init__(self, pipeline: Pipeline, settings: Settings) -> None:
        self._pipeline = pipeline
        self._settings = settings
        networks = pipeline.networks
        vae = networks.folder.vae
        sampler, named = find_sampler_and_schedule(settings.sampler or "")
        schedule = (
            named
            or find_schedule(settings.schedule or "automatic")
            or (sampler.automatic_schedule(networks.noise))
        )
        self._sampler = sampler
        self._options = SamplerOptions(eta=settings.eta)
        self._sigmas = schedule.sigmas(networks.noise, settings.steps or 1)
        self._start = schedule.initial_scale(float(self._sigmas[0]))
        self._height = (settings.height or 0) // vae.downscale
        self._width = (settings.width or 0) // vae.downscale
        self._guided = settings.guidance != 1
        self._emphasis = EMPHASES.find(settings.emphasis)
        texts = {"negative": settings.negative} if self._guided else {}
        self._prompts = [
            chunk_prompt(name, text, self._emphasis, networks.tokenizer)
            for name, text in (texts | {"prompt": settings.prompt}).items()
        ]
        self._done = 0

    def seed(self, number: int) -> int:
        """Seed of image ``number``."""
        return (self._settings.seed + number) % 2**64

    def context(self) -> Activations:
        """Text embeddings of one image: (2, S, width), the negative first, or (1, S, width)."""
        return self._pipeline.networks.encode_prompts(self._prompts, self._emphasis)

    def batches(self) -> Iterator[tuple[int, ...]]:
        """Numbers of the images that are computed together."""
        count, batch = self._settings.count, self._settings.batch or 1
        for first in range(0, count, batch):
            yield tuple(range(first, min(first + batch, count)))

    def steps(
        self, context: Activations, numbers: tuple[int, ...]
    ) -> Iterator[SamplerStep[Latents]]:
        """The sampler's steps for a batch."""
        networks = self._pipeline.networks
        up = networks.device.buffer_from_array
        channels = networks.folder.unet.in_channels
        seeds = tuple(self.seed(i) for i in numbers)
        noise = LatentNoise(seeds, self._height, self._width, channels)
        denoiser = GuidedDenoiser(
            networks,
            self._for_batch(context, len(numbers)),
            (len(numbers), self._height, self._width, channels),
            self._settings.guidance if self._guided else None,
        )
        x = linear_combination([(self._start, up(noise.initial()))])
        try:
            yield from self._sampler.run(
                denoiser,
                x,
                self._sigmas,
                BufferAlgebra(),
                lambda index: up(noise.step(index)),
                self._options,
            )
        finally:
            denoiser.release()

    def finished(self, step: SamplerStep[Latents]) -> Latents:
        """Latents after the last step; DDIM may leave a little noise, whose scale is undone."""
        factor = self._pipeline.networks.noise.scalings(step.sigma).into
        return step.x if factor == 1 else linear_combination([(factor, step.x)])

    def _for_batch(self, context: Activations, images: int) -> Activations:
        if images == 1:
            return context
        rows: list[Any] = [
            repeat_batch(slice_axis(context, 0, i, i + 1), images) for i in range(context.shape[0])
        ]
        return rows[0] if len(rows) == 1 else concat(rows, 0)

    def event(self, step: SamplerStep[Latents], numbers: tuple[int, ...]) -> Step:
        """What the caller sees of a sampler's step."""
        self._done += 1
        batches = -(-self._settings.count // (self._settings.batch or 1))
        total = batches * (len(self._sigmas) - 1)
        return Step(self._done, total, step.sigma, numbers, step.denoised, self._pipeline)
