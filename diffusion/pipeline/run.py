"""One run of a pipeline: what its settings come to, from the first noise to the last latents."""

from __future__ import annotations

import warnings
from collections.abc import Generator, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diffusion.checks import check_integer
from diffusion.errors import NotFiniteError, SettingsError
from diffusion.noise import NOISES, LatentNoise
from diffusion.pipeline.denoiser import BufferAlgebra, GuidedDenoiser, Latents
from diffusion.pipeline.graph_cache import GraphCache
from diffusion.pipeline.init_image import EncodedPicture, reads_mask
from diffusion.pipeline.networks import Networks
from diffusion.pipeline.overflow import Watch, is_finite
from diffusion.pipeline.vae import decode
from diffusion.prompts import EMPHASES, Chunk, Script, chunk_script, read_script
from diffusion.samplers import Step as SamplerStep
from diffusion.settings import Settings
from diffusion.tasks.blend import Blend
from diffusion.tasks.hires import UPSCALERS, Hires
from diffusion.tasks.init_image import Canvas
from diffusion.tasks.resampling import resample
from diffusion.tasks.seamless import resized
from diffusion.tasks.sigmas import Walk, exact_walk, full_walk, tell_idle
from diffusion.text.conditioning import Conditioning, Sizes
from gpucore import f32
from gpustd import linear_combination

__all__ = ["Numbers", "Pass", "Run"]

Array = NDArray[np.float32]
Numbers = tuple[int, ...]
"""Which images of a run, from 0."""


@dataclass(frozen=True, eq=False)
class Pass:
    """One walk down the noise levels, at one size, with one prompt.

    ``width``, ``height``: in pixels. ``script``: what the prompts say over the steps, the negative
    one's first where ``scale`` is not None; ``chunks``: those of each variant's texts.
    ``guidance``: as chosen; ``scale``: what predictions are mixed with, if they are.
    """

    walk: Walk
    width: int
    height: int
    script: Script
    chunks: list[list[list[Chunk]]]
    guidance: float
    scale: float | None


@dataclass(frozen=True, eq=False)
class Start:
    """What a pass of a batch starts from.

    ``drawn``: unit noise (B, h, w, C). ``latents``: what it is added to; None for nothing.
    """

    noise: LatentNoise
    drawn: Array
    latents: Array | Latents | None


class Run:
    """What checked and filled settings come to on a model: one pass, or two with hires fix.

    A batch goes through ``begin``, ``steps`` of the first pass, and with hires fix ``enlarged`` and
    ``steps`` of the second.
    """

    def __init__(self, networks: Networks, graph_cache: GraphCache, settings: Settings) -> None:
        self.networks = replace(networks, seamless=settings.seamless)
        self._graph_cache = graph_cache
        self._settings = settings
        self._emphasis = EMPHASES.find(settings.emphasis)
        self._told: dict[Hashable, Conditioning] = {}
        check_integer("clip_skip", settings.clip_skip, 1, networks.text.most_skipped + 1)
        walk = full_walk(
            networks.noise,
            settings.sampler or "",
            settings.schedule or "automatic",
            settings.steps or 1,
            settings.eta,
            settings.sampling,
        )
        width, height = settings.width or 0, settings.height or 0
        self.canvas: Canvas | None = None
        self._picture: EncodedPicture | None = None
        if settings.source is not None:
            walk = walk.for_strength(settings.source.strength)
            self.canvas = settings.source.canvas((width, height))
            inpaint = settings.source.inpaint
            content = inpaint.content if inpaint else "original"
            self._picture = EncodedPicture(self.networks, self.canvas, content, settings.vae_tiling)
        self.first = self._pass(walk, (width, height), Hires())
        self.second = None if settings.hires is None else self._second(settings.hires)
        passes = [each for each in (self.first, self.second) if each]
        tell_idle([each.walk for each in passes], settings.eta, settings.sampling)
        self._tell_idle_negatives(passes)

    def _tell_idle_negatives(self, passes: list[Pass]) -> None:
        """Warn of negative prompts that no pass is guided away from."""
        settings, hires = self._settings, self._settings.hires
        told = {"negative": (settings.negative, passes)}
        if hires is not None and hires.negative is not None:
            told = {
                "negative": (settings.negative, passes[:1]),
                "hires_negative": (hires.negative, passes[1:]),
            }
        lacking = "it needs a guidance above 1"
        if self.networks.embeds_guidance:
            lacking = "this model takes none"
        for field, (text, those) in told.items():
            if text and all(each.scale is None for each in those):
                message = f"{field} changes nothing: {lacking}"
                warnings.warn(message, UserWarning, stacklevel=3)

    def _second(self, hires: Hires) -> Pass:
        """The pass of hires fix."""
        settings = self._settings
        first = settings.sampler or "", settings.schedule or "automatic"
        walk = exact_walk(
            self.networks.noise,
            *hires.sampler_and_schedule(*first),
            hires.steps or settings.steps or 1,
            settings.eta,
            hires.strength,
            settings.sampling,
        )
        return self._pass(walk, hires.size(self.first.width, self.first.height), hires)

    def _pass(self, walk: Walk, size: tuple[int, int], chosen: Hires) -> Pass:
        """A pass with ``chosen`` prompts and guidance, those of the run where it has none."""
        settings, networks = self._settings, self.networks
        guidance = (settings.guidance if chosen.guidance is None else chosen.guidance) or 0.0
        negative = settings.negative if chosen.negative is None else chosen.negative
        prompt = settings.prompt if chosen.prompt is None else chosen.prompt
        done = self.first.walk.made if self._settings.hires is chosen else None
        reads = self._emphasis.reads_brackets
        said = read_script(prompt, None, walk.made, done, reads_syntax=reads)
        composed = len(said.weights) > 1
        scale = None
        # None at 1, and below as distilled models want it; or where the UNet is told the guidance.
        if networks.embeds_guidance and composed:
            raise SettingsError("prompt", prompt, "this model composes no prompts with AND")
        if not networks.embeds_guidance and (guidance > 1 or composed or walk.sampler.splits):
            said = read_script(prompt, negative, walk.made, done, reads_syntax=reads)
            scale = guidance * walk.sampler.guidance_share
        chunks = chunk_script(said, self._emphasis, networks.tokenizer)
        return Pass(walk, *size, said, chunks, guidance, scale)

    @property
    def total(self) -> int:
        """Steps of all batches, both passes together."""
        each = self.first.walk.made + (self.second.walk.made if self.second else 0)
        return each * len(list(self.batches()))

    def batches(self) -> Iterator[Numbers]:
        """Numbers of the images that are computed together."""
        count, batch = self._settings.count, self._settings.batch or 1
        if any(each.walk.sampler.adaptive for each in (self.first, self.second) if each):
            batch = 1
        for first in range(0, count, batch):
            yield tuple(range(first, min(first + batch, count)))

    def conditioning(self, chosen: Pass, step: int = 0) -> Conditioning:
        """What the UNet is told of one image at a step: one row, or the negative prompt's first."""
        variant = chosen.script.at(step)
        sizes = Sizes.of(chosen.height, chosen.width)
        guidance, skip = max(chosen.guidance, 1.0), self._settings.clip_skip - 1

        def encode() -> Conditioning:
            return self.networks.condition(
                chosen.chunks[variant], self._emphasis, sizes, guidance=guidance, skip=skip
            )

        texts, most = chosen.script.variants[variant], len(chosen.chunks[variant][0])
        key = (texts, most, self._emphasis.name, sizes, guidance, skip)
        if key not in self._told:
            self._told[key] = self._graph_cache.conditioning(key, encode)
        return self._told[key]

    def seed(self, number: int) -> int:
        """Seed of image ``number``: one after the other, or with a variation all the same."""
        variation = self._settings.variation
        own = 0 if variation is not None and variation.strength else number
        return (self._settings.seed + own) % 2**64

    def _noise(self, chosen: Pass, numbers: Numbers) -> LatentNoise:
        vae = self.networks.folder.vae
        height, width = (side // vae.downscale for side in (chosen.height, chosen.width))
        seeds, draw = tuple(map(self.seed, numbers)), NOISES.find(self._settings.rng).draw
        return LatentNoise(seeds, height, width, vae.latent_channels, draw)

    def begin(self, numbers: Numbers) -> Start:
        """What the first pass of a batch starts from."""
        noise = self._noise(self.first, numbers)
        variation = self._settings.variation
        if variation is None:
            drawn = noise.initial()
        else:
            drawn = variation.initial(noise, numbers, self.networks.folder.vae.downscale)
        if self._picture is None:
            return Start(noise, drawn, None)
        return Start(noise, drawn, self._picture.latents(noise, drawn))

    def enlarged(self, latents: Latents, numbers: Numbers) -> Start:
        """What the second pass starts from: ``latents`` of the first, enlarged, and fresh noise."""
        assert self.second is not None
        assert self._settings.hires is not None
        upscaler = UPSCALERS.find(self._settings.hires.upscaler)
        noise = self._noise(self.second, numbers)
        larger: Array | Latents
        if upscaler.kernel is not None:
            larger = resample(latents, (noise.height, noise.width), upscaler.kernel)
        else:
            assert upscaler.filter is not None
            larger = self._enlarged_pixels(latents, noise, upscaler.filter)
        return Start(noise, noise.initial(), larger)

    def _enlarged_pixels(
        self, latents: Latents, noise: LatentNoise, resampling: Image.Resampling
    ) -> Array:
        """Latents of the decoded and enlarged pictures (through the host)."""
        assert self.second is not None
        size, tiling = (self.second.width, self.second.height), self._settings.vae_tiling
        parts = []
        for index, decoded in enumerate(decode(self.networks, latents, tiling)):
            own = replace(noise, seeds=noise.seeds[index : index + 1])
            canvas = Canvas(resized(decoded.image, size, resampling, self._settings.seamless))
            picture = EncodedPicture(self.networks, canvas, tiling=tiling)
            parts.append(picture.latents(own, own.initial()))
        return np.concatenate(parts)

    def watch(self, chosen: Pass) -> Watch:
        """A watch for `steps` of a pass."""
        return Watch(self.networks.device, chosen.walk.made, partial(self._blame, chosen))

    def steps(self, chosen: Pass, start: Start, watch: Watch) -> Generator[SamplerStep[Latents]]:
        """The sampler's steps of a pass for a batch; the last one's x is without noise.

        ``watch`` follows them; it is for the caller to ask it at the end, and to close the steps:
        the denoiser is given back then. (In Python 3.12.3 a generator that is closed keeps what it
        iterates over, CPython's issue 118272.)
        """
        up = self.networks.device.buffer_from_array
        x = linear_combination([(chosen.walk.start, up(start.drawn))])
        blend = None
        if start.latents is not None:
            held = start.latents
            old = up(held) if isinstance(held, np.ndarray) else held
            x = linear_combination([(1.0, old), (1.0, x)])
            if chosen is self.first and self._picture and self._picture.mask is not None:
                assert isinstance(held, np.ndarray)
                blend = Blend(self.networks.device, self._picture.mask, held)
        with self._denoiser(chosen, start) as denoiser:
            for step in chosen.walk.sampler.run(
                blend.denoiser(denoiser) if blend else denoiser,
                x,
                chosen.walk.sigmas,
                BufferAlgebra(),
                lambda index: up(start.noise.step(index)),
                chosen.walk.options,
            ):
                watch.note(step.index, step.x)
                last = chosen.walk.whole and step.sigma <= chosen.walk.end
                yield self._finished(step, blend) if last else step
                if chosen.script.at(step.index) != chosen.script.at(step.index + 1):
                    told = self.conditioning(chosen, step.index + 1)
                    denoiser.attend(told.for_batch(len(start.noise.seeds)))

    def _blame(self, chosen: Pass, step: int) -> NotFiniteError:
        """The error for a pass that went wrong at ``step``, from 1."""
        networks = self.networks
        wide = networks.dtype is f32
        hint = "check the weights (avila model verify)" if wide else "compute in f32 (--dtype f32)"
        told = [self.conditioning(chosen, index) for index in range(step)]
        if not all(is_finite(each.context) for each in told):
            return NotFiniteError("text encoder", "in what it makes of the prompt", hint)
        which = " of the second pass" if chosen is self.second else ""
        return NotFiniteError("UNet", f"after step {step} of {chosen.walk.made}{which}", hint)

    def _finished(self, step: SamplerStep[Latents], blend: Blend | None) -> SamplerStep[Latents]:
        """The last step; DDIM may leave a little noise, whose scale is undone."""
        factor = self.networks.noise.scalings(step.sigma).into
        x = step.x if factor == 1 else linear_combination([(factor, step.x)])
        return replace(step, x=blend(x) if blend else x)

    @contextmanager
    def _denoiser(self, chosen: Pass, start: Start) -> Iterator[GuidedDenoiser]:
        """A denoiser for the pass, given back at the end."""
        noise = start.noise
        conditioning = self.conditioning(chosen).for_batch(len(noise.seeds))
        shape = (len(noise.seeds), noise.height, noise.width, noise.channels)
        told = (conditioning, shape, chosen.scale, chosen.script.weights, self.networks.seamless)
        denoiser = self._graph_cache.take(*told)
        try:
            if reads_mask(self.networks):
                denoiser.condition(self._condition(chosen, noise))
            yield denoiser
        finally:
            self._graph_cache.give(denoiser, *told)

    def _condition(self, chosen: Pass, noise: LatentNoise) -> Array:
        """What an inpainting UNet reads beside the latents; without a mask, all is drawn."""
        picture = self._picture if chosen is self.first else None
        if picture is None:
            blank = Canvas(Image.new("RGB", (chosen.width, chosen.height)))
            picture = EncodedPicture(self.networks, blank, tiling=self._settings.vae_tiling)
        return picture.condition(noise)
