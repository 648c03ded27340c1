"""Settings in an infotext that this program does not reproduce, so that a user can be told.

Other programs and their extensions write keys of their own. One that is passed over in silence
would leave a reader wondering why the picture differs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from diffusion.errors import SettingsError
from diffusion.infotext.controls import CONTROL_KEY, unknown_modules
from diffusion.infotext.grammar import Infotext
from diffusion.infotext.guidance_fields import GUIDANCE_KEYS
from diffusion.infotext.to_settings import (
    AXIS,
    DTYPE,
    FIRST_PASS,
    HIRES_RESIZE,
    LORA_MODE,
    NOISE,
    SAMPLING_KEYS,
    WEIGHTS,
)
from diffusion.samplers import find_sampler_and_schedule

__all__ = ["unreproduced_settings"]

OURS: Final = "Avila "
"""How ``Version`` begins in the texts of this program."""

READ: Final = frozenset(
    {
        "CFG scale",
        "Clip skip",
        "Denoising strength",
        "Emphasis",
        "Eta",
        "Hires CFG Scale",
        "Hires negative prompt",
        "Hires prompt",
        "Hires sampler",
        "Hires schedule type",
        "Hires steps",
        "Hires upscale",
        "Hires upscaler",
        "RNG",
        "Sampler",
        "Schedule type",
        "Seed",
        "Seed resize from",
        "Size",
        "Steps",
        "Tiling",
        "VAE tiling",
        "Variation seed",
        "Variation seed strength",
        AXIS,
        DTYPE,
        FIRST_PASS,
        HIRES_RESIZE,
        LORA_MODE,
        NOISE,
        WEIGHTS,
        *GUIDANCE_KEYS,
        *SAMPLING_KEYS.values(),
    }
)
"""Keys that become settings."""

NETWORKS: Final = frozenset(
    {
        "Hires checkpoint",
        "Lora hashes",
        "Model",
        "Model hash",
        "Refiner",
        "Refiner switch at",
        "TI hashes",
        "VAE",
        "VAE hash",
    }
)
"""Keys of networks, which the caller compares with those that it loaded."""

WITHOUT_EFFECT: Final = frozenset(
    {
        "Batch pos",
        "Batch size",
        "Civitai metadata",
        "Civitai resources",
        "Created Date",
        "Downcast alphas_cumprod",
        "Hashes",
        "Hires Module 1",
        "Negative Template",
        "Pad conds",
        "Parser",
        "Template",
        "User",
        "VAE Decoder",
        "VAE Encoder",
        "Version",
    }
)
"""Keys that describe what is already in the prompt, or change a picture by rounding alone."""

HARMLESS_VALUES: Final[Mapping[str, tuple[str, ...]]] = {
    "Conditional mask weight": ("1", "1.0"),
    "Extra noise": ("0", "0.0"),
    "Face restoration": ("None", "False"),
    "Image CFG scale": ("1.5",),
}
"""Values that mean that a setting is off."""

MOST_NAMED: Final = 5
MOST_CHARACTERS: Final = 60
FEWEST_GROUPED: Final = 3


def unreproduced_settings(infotext: Infotext) -> list[str]:
    """Return a text for each setting that is not reproduced, at most five and a count.

    Keys of one extension, which share their first word, are one text: ``ADetailer (12 settings)``.
    """
    left = {key: value for key, value in infotext.settings.items() if _is_left(key, value)}
    groups: dict[str, list[str]] = {}
    for key in left:
        groups.setdefault(key.split()[0], []).append(key)
    told = _differing_noise(infotext.settings)
    told += [_shorten(each) for each in unknown_modules(infotext.settings)]
    for word, keys in groups.items():
        if len(keys) >= FEWEST_GROUPED:
            told.append(f"{word} ({len(keys)} settings)")
        else:
            told += [_shorten(f"{key}: {left[key]}") for key in keys]
    if len(told) > MOST_NAMED:
        told[MOST_NAMED:] = [f"{len(told) - MOST_NAMED} more"]
    return told


def _differing_noise(settings: Mapping[str, str]) -> list[str]:
    """Return a text where other programs draw the sampler's noise in a way that is not here.

    They follow a Brownian path of ``torchsde``, or one on the GPU; the path here is another.
    """
    try:
        sampler = find_sampler_and_schedule(settings.get("Sampler", ""))[0]
    except SettingsError:
        return []
    if settings.get("Version", "").startswith(OURS) or not sampler.brownian:
        return []
    return [f"noise of {sampler.label}"]


def _is_left(key: str, value: str) -> bool:
    if CONTROL_KEY.fullmatch(key) or key in READ or key in NETWORKS or key in WITHOUT_EFFECT:
        return False
    return value not in HARMLESS_VALUES.get(key, ())


def _shorten(text: str) -> str:
    return text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 1] + "…"
