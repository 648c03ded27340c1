"""From a picture's infotext back to the settings that made it.

The text may be hostile, as the file may be. Every value is checked as if a user had typed it, and
nothing in it names a file. Names of models are compared, never looked up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from diffusion.errors import SettingsError
from diffusion.infotext.grammar import Infotext, parse_infotext
from diffusion.settings import Settings
from diffusion.tasks import Hires, Variation
from diffusion.tasks.sampling_settings import SamplingSettings
from gpustd.matmul.conv import Wrap

__all__ = ["AXIS", "DTYPE", "SAMPLING_KEYS", "seamless_axes", "settings_from_infotext"]

T = TypeVar("T")

SAMPLING_KEYS: Final = {
    "order": "Sampler order",
    "s_churn": "Sigma churn",
    "s_tmin": "Sigma tmin",
    "s_tmax": "Sigma tmax",
    "s_noise": "Sigma noise",
    "sigma_min": "Schedule min sigma",
    "sigma_max": "Schedule max sigma",
    "rho": "Schedule rho",
}
"""The WebUI's names of the fields of `SamplingSettings`; ``Sampler order`` is our own."""

AXIS: Final = "Tiling axis"
"""Our own: the one axis along which edges meet. The WebUI's ``Tiling: True`` is both."""

NOISE: Final = "Noise Schedule"
ZERO_SNR: Final = "Zero Terminal SNR"
"""The WebUI's value for rescaled noise; the other one is ``Default``."""

DTYPE: Final = "Compute dtype"
"""Our own: the type that the networks compute in, where one was chosen."""

MOST_DIGITS: Final = 40


def settings_from_infotext(text: str) -> Settings:
    """Return the settings in an infotext of this or another program.

    They are not checked, so that a caller can replace some before `Settings.check`. Settings that
    the text does not have are left to the model. Raises `SettingsError` for values of a wrong type,
    a text without settings, and a picture that was drawn from another one.
    """
    infotext = parse_infotext(text)
    if not infotext.settings:
        raise SettingsError("picture", text, "its text holds no settings")
    fields = _Fields(infotext.settings)
    if "Denoising strength" in infotext.settings and "Hires upscale" not in infotext.settings:
        hint = "the picture was drawn from another one, which its text does not hold"
        raise SettingsError("Denoising strength", infotext.settings["Denoising strength"], hint)
    width, height = fields.get("Size", _read_size) or (None, None)
    return Settings(
        infotext.prompt,
        infotext.negative,
        width,
        height,
        fields.get("Steps", _read_int),
        fields.get("CFG scale", _read_float),
        fields.get("Sampler", str),
        fields.get("Schedule type", str),
        fields.get("Seed", _read_int) or 0,
        eta=fields.get("Eta", _read_float),
        emphasis=fields.get("Emphasis", str) or "original",
        clip_skip=fields.get("Clip skip", _read_int) or 1,
        hires=_hires(fields),
        variation=_variation(fields),
        vae_tiling=fields.get("VAE tiling", str) or "auto",
        seamless=seamless_axes(infotext),
        zero_snr=fields.get(NOISE, _read_zero_snr) or False,
        rng=fields.get("RNG", str) or "nv",
        sampling=_sampling(fields),
    )


class _Fields:
    """Values by key, each with a reader of its own. Raises `SettingsError` under the key."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._settings = settings

    def get(self, key: str, read: Callable[[str], T]) -> T | None:
        """Return the value, or None where there is none."""
        text = self._settings.get(key)
        if text is None:
            return None
        try:
            return read(text)
        except ValueError:
            raise SettingsError(key, text, "this is not a value of this field") from None


def _read_int(text: str) -> int:
    if len(text) > MOST_DIGITS:
        raise ValueError(text)
    return int(text)


def _read_float(text: str) -> float:
    if len(text) > MOST_DIGITS:
        raise ValueError(text)
    return float(text)


def _read_size(text: str) -> tuple[int, int]:
    width, height = text.split("x")
    return _read_int(width), _read_int(height)


def seamless_axes(infotext: Infotext) -> Wrap:
    """Return the axes along which the picture's edges meet. Raises `SettingsError`."""
    fields = _Fields(infotext.settings)
    return fields.get(AXIS, _read_axis) or ("xy" if fields.get("Tiling", _read_bool) else "")


def _read_axis(text: str) -> Wrap:
    axes: dict[str, Wrap] = {"x": "x", "y": "y"}
    if text not in axes:
        raise ValueError(text)
    return axes[text]


def _read_zero_snr(text: str) -> bool:
    if text not in ("Default", ZERO_SNR):
        raise ValueError(text)
    return text == ZERO_SNR


def _read_bool(text: str) -> bool:
    if text not in ("True", "False"):
        raise ValueError(text)
    return text == "True"


def _variation(fields: _Fields) -> Variation | None:
    seed = fields.get("Variation seed", _read_int)
    strength = fields.get("Variation seed strength", _read_float)
    resize = fields.get("Seed resize from", _read_size)
    if strength is None and resize is None:
        return None
    return Variation(seed or 0, strength or 0.0, resize)


def _hires(fields: _Fields) -> Hires | None:
    scale = fields.get("Hires upscale", _read_float)
    if scale is None:
        return None
    strength = fields.get("Denoising strength", _read_float)
    return Hires(
        scale,
        fields.get("Hires upscaler", str) or "latent",
        0.7 if strength is None else strength,
        fields.get("Hires steps", _read_int) or None,
        fields.get("Hires sampler", str),
        fields.get("Hires schedule type", str),
        fields.get("Hires prompt", str),
        fields.get("Hires negative prompt", str),
        fields.get("Hires CFG Scale", _read_float),
    )


def _sampling(fields: _Fields) -> SamplingSettings:
    keys = dict(SAMPLING_KEYS)
    order = fields.get(keys.pop("order"), _read_int)
    numbers = {name: fields.get(key, _read_float) for name, key in keys.items()}
    return SamplingSettings(order=order, **numbers)
