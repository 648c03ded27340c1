"""Hires fix: draw a picture at the model's own size, enlarge it, and draw part of it anew."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image

from diffusion.catalogue import Catalogue
from diffusion.checks import MOST_SIDE, check_integer, check_network, check_number, check_text
from diffusion.errors import SettingsError
from diffusion.samplers import SamplerChoice, choose_schedule, find_sampler_and_schedule
from diffusion.schedules import ScheduleChoice, find_schedule

__all__ = ["PIXEL_UPSCALERS", "UPSCALERS", "Hires", "Upscaler", "is_network_upscaler"]

GRAIN: Final = 8
LEAST_STRENGTH: Final = 0.05


@dataclass(frozen=True)
class Upscaler:
    """A way to enlarge the first picture: latents by a ``kernel``, or pixels by a ``filter``."""

    name: str
    label: str
    aliases: tuple[str, ...]
    kernel: str | None = None
    filter: Image.Resampling | None = None


UPSCALERS: Final = Catalogue(
    "upscaler",
    [
        Upscaler("latent", "Latent", (), "linear"),
        Upscaler("latent_antialiased", "Latent (antialiased)", (), "linear_antialiased"),
        Upscaler("latent_bicubic", "Latent (bicubic)", (), "cubic"),
        Upscaler(
            "latent_bicubic_antialiased", "Latent (bicubic antialiased)", (), "cubic_antialiased"
        ),
        Upscaler("latent_nearest", "Latent (nearest)", (), "nearest"),
        Upscaler("latent_nearest_exact", "Latent (nearest-exact)", (), "nearest_exact"),
        Upscaler("lanczos", "Lanczos", (), filter=Image.Resampling.LANCZOS),
        Upscaler("nearest", "Nearest", (), filter=Image.Resampling.NEAREST),
    ],
)

PIXEL_UPSCALERS: Final = Catalogue(
    "upscaler", [each for each in UPSCALERS if each.filter is not None]
)
"""Those that enlarge any picture."""


def is_network_upscaler(name: str | Path) -> bool:
    """Tell whether an upscaler is a network, such as R-ESRGAN 4x+, rather than a filter."""
    if isinstance(name, Path):
        return True
    return UPSCALERS.get(name) is None and not name.startswith("Latent")


@dataclass(frozen=True)
class Hires:
    """The settings of the second pass. None takes the first pass's value.

    Args:
        scale: of both sides; the result's sides are rounded down to multiples of 8.
        resize: width and height of the result, in place of ``scale``; a side of 0 follows from the
            other. For another shape, what covers it is cut on two opposite sides, as in the WebUI.
        upscaler: name or label in `UPSCALERS`; those of latents need a strength of 0.5 and more.
            Or a network: a name in the pipeline's folder of upscalers, or a path.
        strength: how much is drawn anew, 0.05 to 1.
        steps: number of steps that are made, whatever the strength.
        sampler, schedule, prompt, negative, guidance: of the second pass.
        first: a picture that the first pass drew before; the second pass alone is made, from it.
    """

    scale: float = 2.0
    upscaler: str | Path = "latent"
    strength: float = 0.7
    steps: int | None = None
    sampler: SamplerChoice | None = None
    schedule: ScheduleChoice | None = None
    prompt: str | None = None
    negative: str | None = None
    guidance: float | None = None
    first: Image.Image | None = None
    resize: tuple[int, int] | None = None

    def check(self) -> None:
        """Raise `SettingsError` for the first setting that is out of range."""
        check_number("hires scale", self.scale, 1, 8)
        if self.resize is not None:
            self._check_resize(*self.resize)
        if self.first is not None and not isinstance(self.first, Image.Image):
            raise SettingsError("hires first", self.first, "give a picture")
        check_network("upscaler", self.upscaler)
        if not is_network_upscaler(self.upscaler):
            UPSCALERS.find(str(self.upscaler))
        check_number("hires strength", self.strength, LEAST_STRENGTH, 1)
        check_integer("hires steps", self.steps, 1, 1000)
        check_number("hires guidance", self.guidance, 0, 100)
        for name in ("prompt", "negative"):
            if getattr(self, name) is not None:
                check_text(f"hires {name}", getattr(self, name))
        if self.sampler is not None:
            find_sampler_and_schedule(self.sampler)
        if self.schedule is not None:
            find_schedule(self.schedule)

    def _check_resize(self, *sides: int) -> None:
        for side in sides:
            check_integer("hires resize", side, 0, MOST_SIDE)
            if 0 < side < GRAIN:
                raise SettingsError("hires resize", side, f"must be 0, or at least {GRAIN}")
        if not any(sides):
            raise SettingsError("hires resize", "0x0", "give a width, a height or both")

    def enlarged_size(self, width: int, height: int) -> tuple[int, int]:
        """Return the size that the first picture is enlarged to. Raises `SettingsError`."""
        cover = self._cover(width, height)
        sides = tuple(side // GRAIN * GRAIN for side in cover)
        if not GRAIN <= min(sides) <= max(sides) <= MOST_SIDE:
            name, given = "hires scale", str(self.scale)
            if self.resize is not None:
                name, given = "hires resize", "{}x{}".format(*self.resize)
            hint = f"enlarges it to {cover[0]}x{cover[1]}; sides must be {GRAIN} to {MOST_SIDE}"
            raise SettingsError(name, given, hint)
        return sides[0], sides[1]

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Return width and height of the second pass: the middle of what was enlarged.

        Raises `SettingsError`.
        """
        enlarged, cover = self.enlarged_size(width, height), self._cover(width, height)
        wanted = self.resize or cover
        across, down = (
            side - (whole - (target or whole)) // GRAIN * GRAIN
            for side, whole, target in zip(enlarged, cover, wanted, strict=True)
        )
        return across, down

    def _cover(self, width: int, height: int) -> tuple[int, int]:
        """Return the size that covers the result with the first picture's shape."""
        if self.resize is None:
            return int(width * self.scale), int(height * self.scale)
        across, down = self.resize
        if not down or (across and width * down < height * across):
            return across, across * height // width
        return down * width // height, down

    def sampler_and_schedule(
        self, sampler: SamplerChoice, schedule: ScheduleChoice
    ) -> tuple[SamplerChoice, ScheduleChoice]:
        """Return the second pass's sampler and schedule, given those of the first."""
        if self.sampler is None:
            return sampler, self.schedule or schedule
        return self.sampler, choose_schedule(self.sampler, self.schedule, schedule)
