"""The settings of a picture: checked, with the model's defaults filled in."""

from __future__ import annotations

import secrets
from dataclasses import MISSING, Field, dataclass, field, fields, replace

import numpy as np
from numpy.typing import NDArray

from diffusion.adapters.choice import Lora, check_loras
from diffusion.checks import check_integer, check_number, check_side, check_text
from diffusion.control import Control, ImagePrompt, check_controls, check_image_prompts
from diffusion.errors import SettingsError
from diffusion.noise import NOISES
from diffusion.prompts import EMPHASES
from diffusion.samplers import SamplerChoice, choose_schedule, find_sampler_and_schedule
from diffusion.schedules import ScheduleChoice
from diffusion.tasks import (
    TILINGS,
    GuidanceOptions,
    Hires,
    InitImage,
    Variation,
    check_seamless,
)
from diffusion.tasks.sampling_settings import SamplingSettings
from diffusion.text.inversions.choice import TextualInversion, check_inversions
from diffusion.text.prompt_embeddings import PromptEmbeddings
from gpustd.matmul.conv import Wrap

__all__ = ["Defaults", "Settings", "random_seed"]

_MOST_PIXELS = 16384 * 16384
_MOST_SEED = 2**64 - 1


def random_seed() -> int:
    """Return a seed of up to ten digits: easy to type again, and taken by other tools."""
    return secrets.randbelow(2**32)


@dataclass(frozen=True)
class Defaults:
    """A model's values for settings that are None.

    Attributes:
        split_guidance: that of samplers that take the guidance apart (CFG++).
    """

    width: int
    height: int
    steps: int = 20
    guidance: float = 7.0
    sampler: str = "dpmpp_2m"
    schedule: str = "automatic"
    split_guidance: float = 7.0


@dataclass(frozen=True, repr=False)
class Settings:
    """Settings of a run. None takes the model's default.

    Args:
        prompt, negative: text; either may be empty, hold weights, and be of any length.
        width, height: in pixels, multiples of 8; by default an init image's, rounded to them.
        steps: of the sampler.
        guidance: classifier-free guidance scale (Ho and Salimans 2022, arXiv 2207.12598); 1
            or less turns it off and halves the work.
        sampler, schedule: names or labels in the registries, or the caller's own: a `Sampler` or
            a `Schedule`, or their functions alone (see `SamplingRun` and ``SpacingFunction``).
        seed: of the first image; image i has ``seed + i``.
        count: number of images. batch: how many are computed at once.
        eta: noise that DDIM (0 by default) or an ancestral sampler (1 by default) adds.
        emphasis: how weights in prompts are applied: original, no_norm, ignore or none.
        clip_skip: 1 takes the text encoder's last states, 2 those of the layer before, and so on.
        init_image: a picture to start from, or a part of it to draw anew.
        hires: a second pass at a larger size; not with an init image.
        variation: another noise to start from.
        vae_tiling: encode and decode in tiles: ``on``, ``off``, or ``auto``: above 1024x1024 pixels
            or above what the device's buffers hold.
        seamless: axes along which opposite edges meet: ``x`` (left and right), ``y`` (top and
            bottom), or ``xy``; not where only a box around a mask is drawn.
        rng: the generator that a seed is for: ``nv``, or ``cpu`` for PyTorch's on a CPU.
        sampling: the rarer choices about sampling.
        zero_snr: shift and scale the model's noise so that its last time step keeps nothing of the
            picture (Lin et al. 2023, arXiv 2305.08891). It is for models trained so whose file does
            not say it, and refused where the noise ends so already.
        loras: adapters beside those that the prompt names as ``<lora:name:weight>``.
        guidance_options: rescaling, thresholding, FreeU and the like.
        inversions: files of words that count in prompts, beside those of the pipeline's folder.
        controls: pictures that lead the drawing through ControlNets or T2I-Adapters.
        image_prompts: pictures that are read as a prompt, through IP-Adapters.
        embeddings: in place of what the text encoders make of the prompts; see `Pipeline.embed`.
        latents: unit normal noise (count, h, w, C) to start from, in place of the seed's.
    """

    prompt: str
    negative: str = ""
    width: int | None = None
    height: int | None = None
    steps: int | None = None
    guidance: float | None = None
    sampler: SamplerChoice | None = None
    schedule: ScheduleChoice | None = None
    seed: int = 0
    count: int = 1
    batch: int | None = None
    eta: float | None = None
    emphasis: str = "original"
    clip_skip: int = 1
    init_image: InitImage | None = None
    hires: Hires | None = None
    variation: Variation | None = None
    vae_tiling: str = "auto"
    seamless: Wrap = ""
    rng: str = "nv"
    sampling: SamplingSettings = field(default_factory=SamplingSettings)
    zero_snr: bool = False
    guidance_options: GuidanceOptions = field(default_factory=GuidanceOptions)
    loras: tuple[Lora, ...] = ()
    inversions: tuple[TextualInversion, ...] = ()
    controls: tuple[Control, ...] = ()
    image_prompts: tuple[ImagePrompt, ...] = ()
    embeddings: PromptEmbeddings | None = None
    latents: NDArray[np.floating] | None = field(default=None, compare=False)

    def __repr__(self) -> str:
        changed = (each for each in fields(self) if not _is_default(self, each))
        return f"Settings({', '.join(f'{e.name}={_show(getattr(self, e.name))}' for e in changed)})"

    def with_defaults(self, defaults: Defaults) -> Settings:
        """Return checked settings with defaults in place of None. Raises `SettingsError`."""
        self._check_present()
        image_size = self.init_image.size() if self.init_image else None
        width, height = image_size or (defaults.width, defaults.height)
        sampler = self.sampler or defaults.sampler
        splits = find_sampler_and_schedule(sampler)[0].splits
        guidance = defaults.split_guidance if splits else defaults.guidance
        complete = replace(
            self,
            width=width if self.width is None else self.width,
            height=height if self.height is None else self.height,
            steps=defaults.steps if self.steps is None else self.steps,
            guidance=guidance if self.guidance is None else self.guidance,
            sampler=sampler,
            schedule=choose_schedule(sampler, self.schedule, defaults.schedule),
            batch=min(self.count, 4) if self.batch is None else self.batch,
        )
        complete.check()
        return complete

    def part(self, first: int, count: int) -> Settings:
        """Return the settings of ``count`` images from number ``first`` on; they stay the same."""
        variation = self.variation
        latents = None if self.latents is None else self.latents[first : first + count]
        part = replace(self, count=count, latents=latents)
        if variation is None or not variation.strength:
            return replace(part, seed=(self.seed + first) % 2**64)
        moved = replace(variation, seed=(variation.seed + first) % 2**64)
        return replace(part, variation=moved)

    def check(self) -> None:
        """Raise `SettingsError` for the first setting that is out of range."""
        for name in ("prompt", "negative", "emphasis"):
            check_text(name, getattr(self, name))
        EMPHASES.find(self.emphasis)
        for name in ("width", "height"):
            check_side(name, getattr(self, name))
        if (self.width or 0) * (self.height or 0) > _MOST_PIXELS:
            raise SettingsError("size", f"{self.width}x{self.height}", "too many pixels")
        check_integer("steps", self.steps, 1, 1000)
        self._check_present()
        check_integer("seed", self.seed, 0, _MOST_SEED)
        check_integer("count", self.count, 1, 1000)
        check_integer("batch", self.batch, 1, 64)
        check_integer("clip_skip", self.clip_skip, 1, 12)
        check_number("guidance", self.guidance, 0, 100)
        check_number("eta", self.eta, 0, 1)
        TILINGS.find(self.vae_tiling)
        check_seamless(self.seamless)
        check_loras(self.loras)
        check_inversions(self.inversions)
        check_controls(self.controls, has_image=self.init_image is not None)
        check_image_prompts(self.image_prompts)
        check_text("rng", self.rng)
        NOISES.find(self.rng)
        self.sampling.check()
        self.guidance_options.check()
        for part in (self.init_image, self.hires, self.variation):
            if part is not None:
                part.check()
        if self.init_image and self.width and self.height:
            self.init_image.check_size((self.width, self.height))
        if self.init_image:
            self.init_image.check_seamless(self.seamless)
        if self.init_image and self.hires:
            raise SettingsError(
                "hires",
                self.hires.scale,
                "hires fix does not go with an init image; enlarge that first",
            )
        if self.latents is not None and self.hires is not None and self.hires.first is not None:
            hint = "must not be given with the picture of a first pass, which is not drawn"
            raise SettingsError("latents", self.latents.shape, hint)
        self._check_arrays()

    def _check_present(self) -> None:
        """Raise `SettingsError` for None where it stands for no default."""
        for name in ("seed", "count", "clip_skip"):
            if getattr(self, name) is None:
                raise SettingsError(name, None, "give a whole number, or leave it out")

    def _check_arrays(self) -> None:
        """Raise `SettingsError` for embeddings or latents of another type, or too few of them."""
        if self.embeddings is not None and not isinstance(self.embeddings, PromptEmbeddings):
            raise SettingsError("embeddings", self.embeddings, "must be PromptEmbeddings")
        if self.latents is None:
            return
        given: object = self.latents
        if not isinstance(given, np.ndarray) or given.dtype.kind != "f":
            hint = "must be an array of floats (count, h, w, C)"
            raise SettingsError("latents", type(given).__name__, hint)
        if self.latents.ndim != 4 or len(self.latents) != self.count:
            hint = f"must have the shape ({self.count}, h, w, C): one for each picture"
            raise SettingsError("latents", self.latents.shape, hint)
        if not np.isfinite(self.latents).all():
            raise SettingsError("latents", "an array with infinities or NaN", "give finite numbers")
        if self.variation is not None:
            raise SettingsError("latents", self.latents.shape, "must not be given with a variation")


def _is_default(settings: Settings, each: Field[object]) -> bool:
    """Return whether a field has its default; the prompt has none."""
    value = getattr(settings, each.name)
    if each.default is not MISSING:
        return value is each.default or (each.compare and bool(value == each.default))
    return each.default_factory is not MISSING and bool(value == each.default_factory())


def _show(value: object) -> str:
    """Return a short text: of an array its shape alone."""
    return f"array{value.shape}" if isinstance(value, np.ndarray) else repr(value)
