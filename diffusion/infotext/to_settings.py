"""From a picture's infotext back to the settings that made it.

The text may be hostile, as the file may be. Every value is checked as if a user had typed it, and
nothing in it names a file. Names of models are compared, never looked up.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from diffusion.errors import SettingsError
from diffusion.infotext.controls import read_controls
from diffusion.infotext.fields import Fields, read_bool, read_float, read_int
from diffusion.infotext.grammar import Infotext, parse_infotext
from diffusion.infotext.guidance_fields import read_guidance
from diffusion.infotext.image_prompts import read_image_prompts
from diffusion.settings import Settings
from diffusion.tasks import Hires, Variation
from diffusion.tasks.sampling_settings import SamplingSettings
from gpustd.matmul.conv import Wrap

__all__ = [
    "AXIS",
    "DTYPE",
    "FIRST_PASS",
    "HIRES_RESIZE",
    "LORA_MODE",
    "SAMPLING_KEYS",
    "WEIGHTS",
    "seamless_axes",
    "settings_from_infotext",
]


class Size(NamedTuple):
    """Width and height in pixels."""

    width: int
    height: int


SAMPLING_KEYS: Final = {
    "order": "Sampler order",
    "s_churn": "Sigma churn",
    "s_tmin": "Sigma tmin",
    "s_tmax": "Sigma tmax",
    "s_noise": "Sigma noise",
    "sigma_min": "Schedule min sigma",
    "sigma_max": "Schedule max sigma",
    "rho": "Schedule rho",
    "noise_seed_delta": "ENSD",
}
"""The WebUI's names of the fields of `SamplingSettings`; ``Sampler order`` is our own."""

AXIS: Final = "Tiling axis"
"""Our own: the one axis along which edges meet. The WebUI's ``Tiling: True`` is both."""

NOISE: Final = "Noise Schedule"
ZERO_SNR: Final = "Zero Terminal SNR"
"""The WebUI's value for rescaled noise; the other one is ``Default``."""

DTYPE: Final = "Compute dtype"
"""Our own: the type that the networks compute in, where one was chosen."""

WEIGHTS: Final = "Weights"
"""Our own: the format that weights were quantised in, where one was chosen."""

LORA_MODE: Final = "Lora mode"
"""Our own: whether LoRAs were merged into the weights or applied at run time."""

FIRST_PASS: Final = "First pass size"
"""The WebUI's of 2022: ``Size`` is the result's. 0x0 stands for about 512 by 512 pixels."""

HIRES_RESIZE: Final = "Hires resize"
"""The size of the result, where it was given instead of ``Hires upscale``; 0 for a free side."""

MOST_SIDE: Final = 1 << 20
OLD_FIRST_PIXELS: Final = 512 * 512
OLD_GRAIN: Final = 64


def settings_from_infotext(text: str) -> Settings:
    """Return the settings in an infotext of this or another program.

    They are not checked, so that a caller can replace some before `Settings.check`. Settings that
    the text does not have are left to the model. Raises `SettingsError` for values of a wrong type,
    a text without settings, and a picture that was drawn from another one.
    """
    infotext = parse_infotext(text)
    if not infotext.settings:
        raise SettingsError("picture", text, "its text holds no settings")
    fields = Fields(infotext.settings)
    size = fields.get("Size", _read_size)
    size, hires = _hires(fields, size)
    if "Denoising strength" in infotext.settings and hires is None:
        hint = "the picture was drawn from another one, which its text does not hold"
        raise SettingsError("Denoising strength", infotext.settings["Denoising strength"], hint)
    width, height = size or (None, None)
    return Settings(
        infotext.prompt,
        infotext.negative,
        width,
        height,
        fields.get("Steps", read_int),
        fields.get("CFG scale", read_float),
        fields.get("Sampler", _read_sampler),
        fields.get("Schedule type", str),
        fields.get("Seed", read_int) or 0,
        eta=fields.get("Eta", read_float),
        emphasis=fields.get("Emphasis", str) or "original",
        clip_skip=fields.get("Clip skip", read_int) or 1,
        hires=hires,
        variation=_variation(fields),
        vae_tiling=fields.get("VAE tiling", str) or "auto",
        seamless=seamless_axes(infotext),
        zero_snr=fields.get(NOISE, _read_zero_snr) or False,
        rng=fields.get("RNG", str) or "nv",
        sampling=_sampling(fields),
        guidance_options=read_guidance(fields),
        controls=read_controls(infotext.settings),
        image_prompts=read_image_prompts(infotext.settings),
    )


def _read_size(text: str) -> Size:
    width, height = text.split("x")
    size = Size(read_int(width), read_int(height))
    if not 0 <= min(size) <= max(size) <= MOST_SIDE:
        raise ValueError(text)
    return size


def _read_sampler(text: str) -> str | None:
    """Return a sampler's name; ``Undefined`` stands for the model's."""
    return None if text == "Undefined" else text


def seamless_axes(infotext: Infotext) -> Wrap:
    """Return the axes along which the picture's edges meet. Raises `SettingsError`."""
    fields = Fields(infotext.settings)
    return fields.get(AXIS, _read_axis) or ("xy" if fields.get("Tiling", read_bool) else "")


def _read_axis(text: str) -> Wrap:
    axes: dict[str, Wrap] = {"x": "x", "y": "y"}
    if text not in axes:
        raise ValueError(text)
    return axes[text]


def _read_zero_snr(text: str) -> bool:
    if text not in ("Default", ZERO_SNR):
        raise ValueError(text)
    return text == ZERO_SNR


def _variation(fields: Fields) -> Variation | None:
    seed = fields.get("Variation seed", read_int)
    strength = fields.get("Variation seed strength", read_float)
    resize = fields.get("Seed resize from", _read_size)
    if strength is None and resize is None:
        return None
    return Variation(seed or 0, strength or 0.0, resize)


def _hires(fields: Fields, size: Size | None) -> tuple[Size | None, Hires | None]:
    """Return the size of the first pass, and the second pass if there is one.

    ``size``: that of the text's ``Size``, which is the result's in texts of 2022.
    """
    scale = fields.get("Hires upscale", read_float)
    result = fields.get(HIRES_RESIZE, _read_size)
    first = fields.get(FIRST_PASS, _read_size)
    if size is not None and first is not None and min(size) > 0:
        first = first if min(first) else _old_first_pass(size)
        size, scale = first, _scale(first, size)
    if scale is None and result is None:
        return size, None
    strength = fields.get("Denoising strength", read_float)
    return size, Hires(
        2.0 if scale is None else scale,
        fields.get("Hires upscaler", str) or "latent",
        0.7 if strength is None else strength,
        fields.get("Hires steps", read_int) or None,
        fields.get("Hires sampler", str),
        fields.get("Hires schedule type", str),
        fields.get("Hires prompt", str),
        fields.get("Hires negative prompt", str),
        fields.get("Hires CFG Scale", read_float),
        resize=result if scale is None else None,
    )


def _old_first_pass(size: Size) -> Size:
    """Return the first pass's size as the WebUI of 2022 chose it (its ``processing.py``)."""
    scale = math.sqrt(OLD_FIRST_PIXELS / (size.width * size.height))
    width, height = (math.ceil(scale * side / OLD_GRAIN) * OLD_GRAIN for side in size)
    return Size(width, height)


def _scale(first: Size, result: Size) -> float:
    """Return the factor between two sizes. Raises `SettingsError` for two factors."""
    scales = [r / f for f, r in zip(first, result, strict=True)]
    if max(scales) - min(scales) > 8 / min(first):
        hint = "the picture was cut to another shape, which cannot be drawn again"
        raise SettingsError(FIRST_PASS, f"{first.width}x{first.height}", hint)
    return max(scales)


def _sampling(fields: Fields) -> SamplingSettings:
    keys = dict(SAMPLING_KEYS)
    order = fields.get(keys.pop("order"), read_int)
    delta = fields.get(keys.pop("noise_seed_delta"), read_int)
    numbers = {name: fields.get(key, read_float) for name, key in keys.items()}
    return SamplingSettings(order=order, noise_seed_delta=delta, **numbers)
