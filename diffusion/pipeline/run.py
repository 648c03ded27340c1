"""One run of a pipeline: all batches through all passes, as a generator of events."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diffusion.errors import SettingsError, quote
from diffusion.noise import LatentNoise
from diffusion.pipeline.calls import LatentsEstimate, Reading, UNetCall, WithCalls, answer_alone
from diffusion.pipeline.denoiser import Latents
from diffusion.pipeline.events import Event, Result, Stage, Step
from diffusion.pipeline.overflow import OverflowWatch
from diffusion.pipeline.passes import Pass
from diffusion.pipeline.sampling import PassStart, overflow_watch, sample
from diffusion.pipeline.transitions import start_after, start_from_picture
from diffusion.pipeline.vae import decode
from diffusion.settings import Settings
from diffusion.tasks.sigmas import warn_of_idle_options
from diffusion.templates import warn_of_foreign_syntax, warn_of_idle_tags
from gpucore import LimitError, f32

__all__ = ["ImageNumbers", "Run"]

ImageNumbers = tuple[int, ...]
"""Images of a run, from 0, that are computed together."""


class Run:
    """One or more passes, one after another, for each batch of images.

    They share the settings of the first pass, but a hires pass replaces some. Making a run warns of
    settings that no pass uses. ``reads_loras``: the adapters that the prompt names are merged.
    ``settings``: of the run, where its first pass was drawn before; else those of the first pass.
    """

    def __init__(
        self,
        passes: Sequence[Pass],
        *,
        reads_loras: bool = False,
        settings: Settings | None = None,
    ) -> None:
        self.passes = list(passes)
        self.settings = settings or self.passes[0].settings
        schedules = [each.schedule for each in self.passes]
        warn_of_idle_options(schedules, self.settings.eta, self.settings.sampling)
        _warn_of_idle_negatives(self.passes)
        _warn_of_idle_guidance(self.passes)
        words = {word.name.lower() for each in self.passes for word in each.found_words}
        for name in ("prompt", "negative"):
            warn_of_foreign_syntax(name, getattr(self.settings, name), words)
        for each in self.settings.inversions:
            if each.name.lower() not in words:
                message = f"embedding {quote(each.name)} changes nothing: no prompt has this word"
                warnings.warn(message, UserWarning, stacklevel=3)
        folder = "--loras FOLDER names where it lies"
        if not reads_loras:
            warn_of_idle_tags("prompt", self.settings.prompt, folder)
        warn_of_idle_tags("negative", self.settings.negative, "it counts in the prompt alone")
        hires = self.settings.hires
        if hires is not None and hires.prompt not in (None, self.settings.prompt):
            advice = "those of the prompt count in both passes"
            warn_of_idle_tags("hires_prompt", hires.prompt or "", advice)

    @property
    def total(self) -> int:
        """Steps of all batches and all passes together."""
        return sum(each.schedule.steps_made for each in self.passes) * len(list(self.batches()))

    def batches(self) -> Iterator[ImageNumbers]:
        """Yield the numbers of the images that are computed together."""
        count, batch = self.settings.count, self.settings.batch or 1
        if any(each.schedule.sampler.adaptive for each in self.passes):
            batch = 1
        for first in range(0, count, batch):
            yield tuple(range(first, min(first + batch, count)))

    def seed(self, number: int) -> int:
        """Return the seed of image ``number``; with a variation, all images have the same."""
        variation = self.settings.variation
        own = 0 if variation is not None and variation.strength else number
        return (self.settings.seed + own) % 2**64

    def first_start(self, numbers: ImageNumbers) -> PassStart:
        """Return the start of the first pass for a batch."""
        first = self.passes[0]
        seeds = tuple(map(self.seed, numbers))
        hires = self.settings.hires
        if hires is not None and hires.first is not None:
            return start_from_picture(first, hires.first, seeds)
        noise = first.noise(seeds)
        variation = self.settings.variation
        if self.settings.latents is not None:
            unit_noise = self._given_noise(numbers, noise)
        elif variation is None:
            unit_noise = noise.initial()
        else:
            downscale = first.networks.folder.vae.downscale
            unit_noise = variation.initial(noise, numbers, downscale)
        if first.init_image is None:
            return PassStart(noise, unit_noise, None)
        given = self.settings.init_image
        factor = np.float32(1.0 if given is None else given.noise)
        latents = first.init_image.latents(noise, unit_noise)
        return PassStart(noise, unit_noise * factor, latents)

    def _given_noise(self, numbers: ImageNumbers, noise: LatentNoise) -> NDArray[np.float32]:
        """Return the caller's noise of a batch. Raises `SettingsError` for another shape."""
        assert self.settings.latents is not None
        found = self.settings.latents[list(numbers)].astype(np.float32)
        shape = (len(numbers), noise.height, noise.width, noise.channels)
        if found.shape != shape:
            hint = f"must have the shape {(self.settings.count, *shape[1:])}"
            raise SettingsError("latents", self.settings.latents.shape, hint)
        return found

    def events(self) -> Generator[Event]:
        """Make the pictures; yield stages, steps, and at last the `Result`.

        Raises `NotFiniteError`, and `LimitError` for pictures too large for the device.
        """
        return answer_alone(self.events_and_calls())

    def events_and_calls(self) -> WithCalls[Event | Reading]:
        """Make the pictures as `events` does, with calls of the UNet that the caller answers."""
        try:
            yield from self._events()
        except LimitError as error:
            raise LimitError(self._limit_text(str(error))) from None

    def _limit_text(self, reason: str) -> str:
        """Return what to do where a pass needs a buffer that is over a limit of the device."""
        width, height = self.passes[-1].size
        networks, batch = self.passes[-1].networks, self.settings.batch or 1
        hint = "draw a smaller picture"
        if batch > 1:
            hint += ", or fewer at once (--batch)"
        if networks.dtype is f32 and networks.device.has_f16:
            hint += ", or compute in f16 (--dtype f16)"
        what = f"{width}x{height} pixels, {batch} at once, in {networks.dtype.name}"
        return f"{what}: {reason.removesuffix('; split the array')}; {hint}"

    def _events(self) -> WithCalls[Event | Reading]:
        """Yield what `events_and_calls` does."""
        tiling = self.settings.vae_tiling
        init_image = self.passes[0].init_image
        yield Stage("encoding prompt")
        for each in self.passes:
            each.conditioning()
        indices = itertools.count(1)
        images: list[Image.Image] = []
        layers: list[str | None] = []
        found: list[NDArray[np.float32]] = []
        for numbers in self.batches():
            if init_image or self.passes[0].kind == "hires":
                yield Stage("encoding picture")
            start = self.first_start(numbers)
            latents: Latents | None = None
            for current in self.passes:
                if latents is not None:
                    if current.kind == "hires":
                        yield Stage("enlarging")
                    start = start_after(current, latents, start)
                if latents is None or current.kind == "hires":
                    yield Stage("preparing")
                watch = overflow_watch(current)
                latents = yield from self._sample(current, start, watch, numbers, indices)
                if current is not self.passes[-1]:
                    watch.check()  # the last pass is checked while its decoding is under way
            yield Stage("decoding")
            assert latents is not None
            decoding = decode(self.passes[-1].networks, latents, tiling)
            check = watch.begin_check()
            yield Reading()
            check()
            for decoded in decoding:
                drawn = decoded.image
                images.append(init_image.prepared.compose(drawn) if init_image else drawn)
                layers.append(decoded.f32_from)
            found.append(latents.read())
        seeds = [self.seed(number) for number in range(len(images))]
        yield Result(images, seeds, self.settings, layers, np.concatenate(found))

    def _sample(
        self,
        current: Pass,
        start: PassStart,
        watch: OverflowWatch,
        numbers: ImageNumbers,
        indices: Iterator[int],
    ) -> Generator[Event | UNetCall, LatentsEstimate | None, Latents]:
        """Make the steps of a pass for a batch; return its latents."""
        with closing(sample(current, start, watch)) as sampling:
            estimate: LatentsEstimate | None = None
            x: Latents | None = None
            while True:
                try:
                    found = sampling.send(estimate)
                except StopIteration:
                    assert x is not None
                    return x
                estimate = None
                if isinstance(found, UNetCall):
                    estimate = yield found
                    continue
                x, index = found.x, next(indices)
                yield Step(
                    index,
                    max(self.total, index),
                    found.sigma,
                    numbers,
                    x,
                    found.denoised,
                    current.networks,
                    watch,
                    self.settings.vae_tiling,
                )


def _warn_of_idle_negatives(passes: Sequence[Pass]) -> None:
    """Warn of negative prompts that no pass is guided away from."""
    settings = passes[0].settings
    hires = settings.hires
    lacking = "it needs a guidance above 1"
    if passes[0].networks.embeds_guidance:
        lacking = "this model takes none"
    users = {"negative": list(passes)}
    if hires is not None and hires.negative is not None:
        users = {
            "negative": [each for each in passes if each.kind != "hires"],
            "hires_negative": [each for each in passes if each.kind == "hires"],
        }
    for field, those in users.items():
        if not those:
            continue
        text = those[0].settings.negative
        if text and all(each.scale is None for each in those):
            warnings.warn(f"{field} changes nothing: {lacking}", UserWarning, stacklevel=3)


def _warn_of_idle_guidance(passes: Sequence[Pass]) -> None:
    """Warn of choices about guidance where there is none."""
    options = passes[0].settings.guidance_options
    chosen = {
        "guidance_rescale": options.rescale > 0,
        "mimic_scale": options.thresholding is not None,
        "ngms": options.changes_calls,
    }
    if all(each.scale is None for each in passes):
        for name in (name for name, given in chosen.items() if given):
            message = f"{name} changes nothing: it needs a guidance above 1"
            warnings.warn(message, UserWarning, stacklevel=3)
    kinds = passes[0].networks.folder.unet.down_block_types
    first = next((level for level, kind in enumerate(kinds) if "CrossAttn" in kind), len(kinds))
    needs = {
        f"token_merging: give a downsample of {1 << first}": options.merging is not None
        and options.merging.downsample < 1 << first,
        f"hypertile: give a depth of {first}": options.tiles is not None
        and options.tiles.depth < first,
    }
    for text in (text for text, found in needs.items() if found):
        name, _, hint = text.partition(": ")
        message = f"{name} changes nothing: this model's first levels have no attention; {hint}"
        warnings.warn(message, UserWarning, stacklevel=3)
