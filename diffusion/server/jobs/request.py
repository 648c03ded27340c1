"""A job's request: settings as JSON, which the history keeps and a restart reads back.

Its fields are those of `diffusion.Settings`, with a model's name and pictures as base64. Interfaces
of other programs are translated into it, so that there is one form that is checked, kept and drawn.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable
from typing import Literal

from pydantic import BaseModel, Field

from diffusion.control import MOST_CONTROLS
from diffusion.errors import SettingsError
from diffusion.images import decode_image
from diffusion.samplers import find_sampler_and_schedule
from diffusion.schedules import find_schedule
from diffusion.server.errors import RefusedError
from diffusion.server.jobs.control_request import ControlRequest, clean_controls
from diffusion.server.jobs.fields import Finite, Part, Picture
from diffusion.server.pictures import read_upload
from diffusion.settings import Settings
from diffusion.tasks import (
    DeepCache,
    FreeU,
    GuidanceOptions,
    Hires,
    HyperTile,
    InitImage,
    Inpaint,
    SelfAttentionGuidance,
    Thresholding,
    TokenMerging,
    Variation,
)
from diffusion.tasks.sampling_settings import SamplingSettings
from gpustd.matmul.conv import Wrap

__all__ = [
    "DeepCacheRequest",
    "FreeURequest",
    "GuidanceRequest",
    "HiresRequest",
    "HyperTileRequest",
    "InitImageRequest",
    "InpaintRequest",
    "JobRequest",
    "SamplingRequest",
    "SelfAttentionRequest",
    "ThresholdingRequest",
    "TokenMergingRequest",
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


class InitImageRequest(Part):
    """A picture to start from; fields as in `diffusion.tasks.InitImage`."""

    image: Picture
    strength: Finite = 0.75
    resize: str = "stretch"
    inpaint: InpaintRequest | None = None
    upscaler: str | None = None

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
            inpaint = Inpaint(decode_image(data, "mask", "the mask"), **given)
        image = decode_image(base64.b64decode(self.image), "image", "the picture")
        return InitImage(image, self.strength, self.resize, inpaint, self.upscaler)


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


class ThresholdingRequest(Part):
    """The range of a lower guidance scale; fields as in `diffusion.tasks.Thresholding`."""

    mimic_scale: Finite = 7.0
    percentile: Finite = 1.0
    separate_channels: bool = True
    startpoint: Literal["mean", "zero"] = "mean"
    measure: Literal["AD", "STD"] = "AD"
    share: Finite = 1.0


class FreeURequest(Part):
    """Factors of features on the UNet's way up; fields as in `diffusion.tasks.FreeU`."""

    b1: Finite = 1.3
    b2: Finite = 1.4
    s1: Finite = 0.9
    s2: Finite = 0.2
    version: Literal[1, 2] = 2


class SelfAttentionRequest(Part):
    """Self-attention guidance; fields as in `diffusion.tasks.SelfAttentionGuidance`."""

    scale: Finite = 0.5
    blur: Finite = 2.0
    threshold: Finite = 1.0


class TokenMergingRequest(Part):
    """Merging of similar tokens; fields as in `diffusion.tasks.TokenMerging`."""

    ratio: Finite = 0.5
    hires: Finite = 0.0
    downsample: int = 1


class HyperTileRequest(Part):
    """Self-attention within tiles; fields as in `diffusion.tasks.HyperTile`."""

    tile: int = 256
    swap: int = 2
    depth: int = 0


class DeepCacheRequest(Part):
    """Features that are kept for some calls; fields as in `diffusion.tasks.DeepCache`."""

    interval: int = 3
    branch: int = 0


class GuidanceRequest(Part):
    """Choices about guidance; fields as in `diffusion.tasks.GuidanceOptions`."""

    rescale: Finite = 0.0
    thresholding: ThresholdingRequest | None = None
    skip_below: Finite = 0.0
    skip_all: bool = False
    skip_early: Finite = 0.0
    perturbed: Finite = 0.0
    freeu: FreeURequest | None = None
    self_attention: SelfAttentionRequest | None = None
    merging: TokenMergingRequest | None = None
    tiles: HyperTileRequest | None = None
    cache: DeepCacheRequest | None = None

    def task(self) -> GuidanceOptions:
        """Return it as the pipeline knows it."""
        kinds: dict[str, Callable[..., object]] = {
            "thresholding": Thresholding,
            "freeu": FreeU,
            "self_attention": SelfAttentionGuidance,
            "merging": TokenMerging,
            "tiles": HyperTile,
            "cache": DeepCache,
        }
        given = self.model_dump()
        parts = {name: given[name] and kind(**given[name]) for name, kind in kinds.items()}
        return GuidanceOptions(**{**given, **parts})


class JobRequest(Part):
    """Pictures to draw. Fields that are left out take the model's defaults; a seed is random."""

    prompt: str
    negative: str = ""
    model: str | None = Field(default=None, description="A name or title of GET /api/v1/models.")
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
    preview_every: int | None = Field(
        default=None, ge=0, le=1000, description="Steps from preview to preview; 0 for none."
    )

    @property
    def picture_bytes(self) -> int:
        """The bytes of its pictures as base64."""
        start, texts = self.init_image, list[str | None]()
        for each in self.controls:
            texts += [each.image, each.region, each.mask]
        if start is not None:
            texts += [start.image, start.inpaint.mask if start.inpaint else None]
        return sum(len(each) for each in texts if each)

    @property
    def has_pictures(self) -> bool:
        """Tell whether it has pictures, or may: `clean` takes long then."""
        return self.init_image is not None or bool(self.controls)

    def clean(self) -> JobRequest:
        """Return it with its pictures written anew, without their texts. Raises `SettingsError`."""
        image = None if self.init_image is None else self.init_image.clean()
        controls = clean_controls(self.controls)
        return self.model_copy(update={"init_image": image, "controls": controls})

    def settings(self) -> Settings:
        """Return the settings, checked. Pictures must be from `clean`. Raises `SettingsError`."""
        parts = {"init_image", "hires", "variation", "sampling", "guidance_options", "controls"}
        given = self.model_dump(exclude=parts | {"model", "preview_every", "seed"})
        settings = Settings(
            **given,
            seed=self.seed or 0,
            init_image=self.init_image.task() if self.init_image else None,
            hires=Hires(**self.hires.model_dump()) if self.hires else None,
            variation=self.variation.task() if self.variation else None,
            sampling=SamplingSettings(**self.sampling.model_dump()),
            guidance_options=self.guidance_options.task(),
            controls=tuple(each.task() for each in self.controls),
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
            width, height = settings.hires.size(width, height)
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
