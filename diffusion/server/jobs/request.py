"""A job's request: settings as JSON, which the history keeps and a restart reads back.

Its fields are those of `diffusion.Settings`, with a model's name and pictures as base64. Interfaces
of other programs are translated into it, so that there is one form that is checked, kept and drawn.
"""

from __future__ import annotations

import base64
import math
from typing import Annotated, Final

from pydantic import BaseModel, Field

from diffusion.control import MOST_CONTROLS
from diffusion.errors import SettingsError
from diffusion.images import decode_image
from diffusion.samplers import find_sampler_and_schedule
from diffusion.schedules import find_schedule
from diffusion.server.errors import RefusedError
from diffusion.server.jobs.control_request import (
    ControlRequest,
    PictureCleaner,
    clean_controls,
    decode_part,
)
from diffusion.server.jobs.fields import Finite, Part, Picture
from diffusion.server.jobs.guidance_request import GuidanceRequest
from diffusion.server.jobs.image_prompt_request import (
    MOST_PROMPTS,
    ImagePromptRequest,
    clean_image_prompts,
)
from diffusion.server.pictures import read_upload
from diffusion.settings import Settings
from diffusion.tasks import (
    Hires,
    InitImage,
    Inpaint,
    Variation,
)
from diffusion.tasks.sampling_settings import SamplingSettings
from gpustd.matmul.conv import Wrap

__all__ = [
    "HiresRequest",
    "InitImageRequest",
    "InpaintRequest",
    "JobRequest",
    "RefinerRequest",
    "SamplingRequest",
    "VariationRequest",
    "WorkLimits",
]


class InpaintRequest(Part):
    """The part of a picture that is drawn anew; fields as in `diffusion.tasks.Inpaint`."""

    mask: Picture
    blur: Finite = 4.0
    invert: bool = False
    content: str = "original"
    area: str = "whole"
    padding: int = 32
    blur_down: Finite | None = None
    soft: bool = False


class InitImageRequest(Part):
    """A picture to start from; fields as in `diffusion.tasks.InitImage`."""

    image: Picture
    strength: Finite = 0.75
    resize: str = "stretch"
    inpaint: InpaintRequest | None = None
    upscaler: str | None = None
    noise: Finite = 1.0
    keep_colours: bool = False

    def clean(self) -> InitImageRequest:
        """Return it with its pictures written anew. Raises `SettingsError`."""
        inpaint = self.inpaint
        if inpaint is not None:
            inpaint = inpaint.model_copy(update={"mask": read_upload(inpaint.mask, "mask")})
        image = read_upload(self.image, "image")
        return self.model_copy(update={"image": image, "inpaint": inpaint})

    def task(self) -> InitImage:
        """Return it as the pipeline takes it. Its pictures must be from `clean`."""
        inpaint = None
        if self.inpaint is not None:
            given = self.inpaint.model_dump(exclude={"mask"})
            data = base64.b64decode(self.inpaint.mask)
            inpaint = Inpaint(decode_image(data, "mask"), **given)
        image = decode_image(base64.b64decode(self.image), "image")
        return InitImage(
            image,
            self.strength,
            self.resize,
            inpaint,
            self.upscaler,
            self.noise,
            self.keep_colours,
        )


class HiresRequest(Part):
    """The second pass; fields as in `diffusion.tasks.Hires`."""

    scale: Finite = 2.0
    upscaler: str = "latent"
    strength: Finite = 0.7
    steps: int | None = None
    sampler: str | None = None
    schedule: str | None = None
    prompt: str | None = None
    negative: str | None = None
    guidance: Finite | None = None
    first: Picture | None = None
    resize: list[int] | None = Field(default=None, min_length=2, max_length=2)
    model: str | None = Field(default=None, description="Of the second pass; null for the first's.")

    def clean(self) -> HiresRequest:
        """Return it with its picture written anew. Raises `SettingsError`."""
        if self.first is None:
            return self
        return self.model_copy(update={"first": read_upload(self.first, "hires first")})

    def task(self) -> Hires:
        """Return it as the pipeline takes it. Its picture must be from `clean`."""
        first = decode_part(self.first, "hires first")
        size = None if self.resize is None else (self.resize[0], self.resize[1])
        given = self.model_dump(exclude={"model", "first", "resize"})
        return Hires(**given, first=first, resize=size)


class RefinerRequest(Part):
    """A model that makes the last steps: those after the share ``switch`` of them."""

    model: str = Field(description="A name or title of GET /api/v1/models.")
    switch: Annotated[Finite, Field(ge=0, le=1)] = 0.8


class VariationRequest(Part):
    """Another noise to start from; fields as in `diffusion.tasks.Variation`."""

    seed: int = 0
    strength: Finite = 0.0
    resize_from: list[int] | None = Field(default=None, min_length=2, max_length=2)

    def task(self) -> Variation:
        """Return it as the pipeline takes it."""
        size = None if self.resize_from is None else (self.resize_from[0], self.resize_from[1])
        return Variation(self.seed, self.strength, size)


class SamplingRequest(Part):
    """The choices about sampling that few samplers have; fields as in `SamplingSettings`."""

    order: int | None = None
    s_churn: Finite | None = None
    s_tmin: Finite | None = None
    s_tmax: Finite | None = None
    s_noise: Finite | None = None
    sigma_min: Finite | None = None
    sigma_max: Finite | None = None
    rho: Finite | None = None
    noise_seed_delta: int | None = None


_NOT_SETTINGS: Final = {"model", "vae", "refiner", "preview_every", "seed"}


class JobRequest(Part):
    """Pictures to draw. Fields that are left out take the model's defaults; a seed is random."""

    prompt: str
    negative: str = ""
    model: str | None = Field(default=None, description="A name or title of GET /api/v1/models.")
    vae: str | None = Field(default=None, description="Of GET /api/v1/vaes; null for the model's.")
    refiner: RefinerRequest | None = None
    width: int | None = None
    height: int | None = None
    steps: int | None = None
    guidance: Finite | None = None
    sampler: str | None = None
    schedule: str | None = None
    seed: int | None = None
    count: int = 1
    batch: int | None = None
    eta: Finite | None = None
    emphasis: str = "original"
    clip_skip: int = 1
    init_image: InitImageRequest | None = None
    hires: HiresRequest | None = None
    variation: VariationRequest | None = None
    vae_tiling: str = "auto"
    seamless: Wrap = ""
    rng: str = "nv"
    sampling: SamplingRequest = SamplingRequest()
    zero_snr: bool = False
    guidance_options: GuidanceRequest = GuidanceRequest()
    controls: list[ControlRequest] = Field(default=[], max_length=MOST_CONTROLS)
    image_prompts: list[ImagePromptRequest] = Field(default=[], max_length=MOST_PROMPTS)
    preview_every: int | None = Field(
        default=None, ge=0, le=1000, description="Steps from preview to preview; 0 for none."
    )

    @property
    def picture_bytes(self) -> int:
        """The bytes of its pictures as base64."""
        start, texts = self.init_image, list[str | None]()
        for each in self.controls:
            texts += [each.image, each.region, each.mask]
        for prompt in self.image_prompts:
            texts += prompt.pictures
        texts += [self.hires.first if self.hires else None]
        if start is not None:
            texts += [start.image, start.inpaint.mask if start.inpaint else None]
        return sum(len(each) for each in texts if each)

    @property
    def has_pictures(self) -> bool:
        """Tell whether it has pictures, or may: `clean` takes long then."""
        first = self.hires is not None and self.hires.first is not None
        return self.init_image is not None or first or bool(self.controls or self.image_prompts)

    def clean(self) -> JobRequest:
        """Return it with its pictures written anew, without their texts. Raises `SettingsError`."""
        image = None if self.init_image is None else self.init_image.clean()
        cleaner = PictureCleaner()
        changes = {
            "init_image": image,
            "hires": None if self.hires is None else self.hires.clean(),
            "controls": clean_controls(self.controls, cleaner),
            "image_prompts": clean_image_prompts(self.image_prompts, cleaner),
        }
        return self.model_copy(update=changes)

    def settings(self) -> Settings:
        """Return the settings, checked. Pictures must be from `clean`. Raises `SettingsError`."""
        if self.refiner is not None and self.hires is not None:
            hint = "hires fix does not go with a refiner; leave one of them out"
            raise SettingsError("refiner", self.refiner.model, hint)
        parts = {"init_image", "hires", "variation", "sampling", "guidance_options"}
        parts |= {"controls", "image_prompts"}
        given = self.model_dump(exclude=parts | _NOT_SETTINGS)
        settings = Settings(
            **given,
            seed=self.seed or 0,
            init_image=self.init_image.task() if self.init_image else None,
            hires=self.hires.task() if self.hires else None,
            variation=self.variation.task() if self.variation else None,
            sampling=SamplingSettings(**self.sampling.model_dump()),
            guidance_options=self.guidance_options.task(),
            controls=tuple(each.task() for each in self.controls),
            image_prompts=tuple(each.task() for each in self.image_prompts),
        )
        settings.check()
        if settings.sampler is not None:
            find_sampler_and_schedule(settings.sampler)
        if settings.schedule is not None:
            find_schedule(settings.schedule)
        return settings


class WorkLimits(BaseModel):
    """The most work of one job. ``pixels``: of a picture; ``work``: pixels times steps times count.

    It is checked before a job is queued, with 1024x1024 pixels and 20 steps for what is left out.
    """

    pixels: int = Field(default=2048 * 2048, ge=64)
    count: int = Field(default=100, ge=1)
    work: int = Field(default=100 * 50 * 1024 * 1024, ge=64)

    def check(self, settings: Settings) -> None:
        """Raise `SettingsError` or `RefusedError` for a job that is too large."""
        image = settings.init_image.size() if settings.init_image else None
        width, height = image or (1024, 1024)
        width, height = settings.width or width, settings.height or height
        if settings.hires is not None:
            width, height = settings.hires.enlarged_size(width, height)
        if width * height > self.pixels:
            side = math.isqrt(self.pixels)
            hint = f"this server draws at most {self.pixels} pixels, such as {side}x{side}"
            raise SettingsError("size", f"{width}x{height}", hint)
        if settings.count > self.count:
            raise SettingsError("count", settings.count, f"must be at most {self.count} here")
        if (settings.batch or 1) * width * height > 4 * self.pixels:
            raise SettingsError("batch", settings.batch, f"is too large for {width}x{height}")
        steps = (settings.steps or 20) + ((settings.hires.steps or 0) if settings.hires else 0)
        if width * height * steps * settings.count > self.work:
            message = (
                f"{settings.count} pictures of {width}x{height} with {steps} steps are more work "
                "than one job may ask for; send several jobs"
            )
            raise RefusedError(message)
