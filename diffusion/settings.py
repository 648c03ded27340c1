"""What a picture is made from: checked settings, with the model's defaults filled in."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from diffusion.errors import SettingsError
from diffusion.prompts import EMPHASES

__all__ = ["Defaults", "Settings"]

_MOST_PIXELS = 16384 * 16384
_MOST_SEED = 2**64 - 1
_MOST_PROMPT = 65536


@dataclass(frozen=True)
class Defaults:
    """What a model takes where a setting is None."""

    width: int
    height: int
    steps: int = 20
    guidance: float = 7.0
    sampler: str = "dpmpp_2m"
    schedule: str = "automatic"


@dataclass(frozen=True)
class Settings:
    """Settings of a text-to-image run. None takes the model's default.

    Args:
        prompt, negative: text; either may be empty, hold weights, and be of any length.
        width, height: in pixels, multiples of 8.
        steps: of the sampler.
        guidance: classifier-free guidance scale (Ho and Salimans 2022, arXiv 2207.12598); 1 turns
            it off and halves the work.
        sampler, schedule: names or labels in the registries.
        seed: of the first image; image i has ``seed + i``.
        count: number of images. batch: how many are computed at once.
        eta: noise that DDIM (0 by default) or an ancestral sampler (1 by default) adds.
        emphasis: what weights in prompts do: original, no_norm, ignore or none.
    """

    prompt: str
    negative: str = ""
    width: int | None = None
    height: int | None = None
    steps: int | None = None
    guidance: float | None = None
    sampler: str | None = None
    schedule: str | None = None
    seed: int = 0
    count: int = 1
    batch: int | None = None
    eta: float | None = None
    emphasis: str = "original"

    def filled(self, defaults: Defaults) -> Settings:
        """With defaults for what is None, checked. Raises `SettingsError`."""
        full = replace(
            self,
            width=defaults.width if self.width is None else self.width,
            height=defaults.height if self.height is None else self.height,
            steps=defaults.steps if self.steps is None else self.steps,
            guidance=defaults.guidance if self.guidance is None else self.guidance,
            sampler=self.sampler or defaults.sampler,
            schedule=self.schedule or defaults.schedule,
            batch=min(self.count, 4) if self.batch is None else self.batch,
        )
        full.check()
        return full

    def check(self) -> None:
        """Raise `SettingsError` for the first setting that cannot be."""
        for name in ("prompt", "negative", "emphasis"):
            _check_text(name, getattr(self, name))
        EMPHASES.find(self.emphasis)
        for name in ("width", "height"):
            _check_side(name, getattr(self, name))
        if (self.width or 0) * (self.height or 0) > _MOST_PIXELS:
            raise SettingsError("size", f"{self.width}x{self.height}", "too many pixels")
        _check_integer("steps", self.steps, 1, 1000)
        _check_integer("seed", self.seed, 0, _MOST_SEED)
        _check_integer("count", self.count, 1, 1000)
        _check_integer("batch", self.batch, 1, 64)
        _check_number("guidance", self.guidance, 0, 100)
        _check_number("eta", self.eta, 0, 1)


def _check_text(name: str, value: object) -> None:
    if not isinstance(value, str):
        raise SettingsError(name, value, "give text")
    if len(value) > _MOST_PROMPT:
        raise SettingsError(name, f"{len(value)} characters", f"at most {_MOST_PROMPT} are read")


def _check_side(name: str, value: object) -> None:
    _check_integer(name, value, 8, 16384)
    if isinstance(value, int) and value % 8:
        near = max(8, round(value / 8) * 8)
        raise SettingsError(name, value, f"give a multiple of 8, such as {near}")


def _check_integer(name: str, value: object, least: int, most: int) -> None:
    if value is None:
        return
    if type(value) is not int or not least <= value <= most:
        raise SettingsError(name, value, f"give a whole number from {least} to {most}")


def _check_number(name: str, value: object, least: float, most: float) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SettingsError(name, value, "give a number")
    if not (math.isfinite(value) and least <= value <= most):
        raise SettingsError(name, value, f"give a number from {least} to {most}")
