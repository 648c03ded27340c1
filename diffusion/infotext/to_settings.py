"""From what a picture's text says back to the settings that made it: `picture_text` undone.

The text is as hostile as the file: every value is checked as if a user had typed it, and nothing in
it names a file. Names of models are compared, never looked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from diffusion.errors import SettingsError
from diffusion.infotext.grammar import Infotext, parse_infotext
from diffusion.settings import Settings
from diffusion.tasks import Hires, Variation
from diffusion.tasks.sampling_options import Sampling
from gpustd.matmul.conv import Wrap

__all__ = ["AXIS", "DTYPE", "SAMPLING_KEYS", "carried_axes", "picture_settings"]

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
"""What the WebUI calls the fields of `Sampling`; the order is ours."""

AXIS: Final = "Tiling axis"
"""Ours: where the edges of one axis meet. The WebUI's ``Tiling: True`` is both."""

NOISE: Final = "Noise Schedule"
ZERO_SNR: Final = "Zero Terminal SNR"
"""As the WebUI says that the noise was rescaled; else it is ``Default``."""

DTYPE: Final = "Compute dtype"
"""Ours: what the networks were told to compute in, where that was chosen."""

MOST_DIGITS: Final = 40


def picture_settings(text: str) -> Settings:
    """The settings in an infotext, of this program or another of the field, not checked.

    So that a caller can replace some of them before `Settings.check`. What the text leaves out is
    left to the model. Raises `SettingsError` for values of another type than theirs, for a text
    without settings, and for a picture that was drawn from another one.
    """
    found = parse_infotext(text)
    if not found.settings:
        raise SettingsError("picture", text, "its text holds no settings")
    said = _Said(found.settings)
    if "Denoising strength" in found.settings and "Hires upscale" not in found.settings:
        hint = "the picture was drawn from another one, which its text does not hold"
        raise SettingsError("Denoising strength", found.settings["Denoising strength"], hint)
    width, height = _size(found, said)
    return Settings(
        found.prompt,
        found.negative,
        width,
        height,
        said.get("Steps", _whole),
        said.get("CFG scale", _number),
        said.get("Sampler", str),
        said.get("Schedule type", str),
        said.get("Seed", _whole) or 0,
        eta=said.get("Eta", _number),
        emphasis=said.get("Emphasis", str) or "original",
        clip_skip=said.get("Clip skip", _whole) or 1,
        hires=_hires(said),
        variation=_variation(said),
        vae_tiling=said.get("VAE tiling", str) or "auto",
        seamless=carried_axes(found),
        zero_snr=said.get(NOISE, _zero_snr) or False,
        rng=said.get("RNG", str) or "nv",
        sampling=_sampling(said),
    )


class _Said:
    """Values by key, each read in its own way. Raises `SettingsError` under the key."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._settings = settings

    def get(self, key: str, read: Callable[[str], T]) -> T | None:
        """The value, or None where there is none."""
        text = self._settings.get(key)
        if text is None:
            return None
        try:
            return read(text)
        except ValueError:
            raise SettingsError(key, text, "this is no value that it can have") from None


def _whole(text: str) -> int:
    if len(text) > MOST_DIGITS:
        raise ValueError(text)
    return int(text)


def _number(text: str) -> float:
    if len(text) > MOST_DIGITS:
        raise ValueError(text)
    return float(text)


def _pair(text: str) -> tuple[int, int]:
    width, height = text.split("x")
    return _whole(width), _whole(height)


def _size(found: Infotext, said: _Said) -> tuple[int | None, int | None]:
    size = said.get("Size", _pair)
    return (None, None) if size is None else size


def carried_axes(found: Infotext) -> Wrap:
    """The axes along which the edges of a text's picture meet. Raises `SettingsError`."""
    said = _Said(found.settings)
    return said.get(AXIS, _axis) or ("xy" if said.get("Tiling", _truth) else "")


def _axis(text: str) -> Wrap:
    axes: dict[str, Wrap] = {"x": "x", "y": "y"}
    if text not in axes:
        raise ValueError(text)
    return axes[text]


def _zero_snr(text: str) -> bool:
    if text not in ("Default", ZERO_SNR):
        raise ValueError(text)
    return text == ZERO_SNR


def _truth(text: str) -> bool:
    if text not in ("True", "False"):
        raise ValueError(text)
    return text == "True"


def _variation(said: _Said) -> Variation | None:
    seed, strength = (
        said.get("Variation seed", _whole),
        said.get("Variation seed strength", _number),
    )
    resize = said.get("Seed resize from", _pair)
    if strength is None and resize is None:
        return None
    return Variation(seed or 0, strength or 0.0, resize)


def _hires(said: _Said) -> Hires | None:
    scale = said.get("Hires upscale", _number)
    if scale is None:
        return None
    strength = said.get("Denoising strength", _number)
    return Hires(
        scale,
        said.get("Hires upscaler", str) or "latent",
        0.7 if strength is None else strength,
        said.get("Hires steps", _whole) or None,
        said.get("Hires sampler", str),
        said.get("Hires schedule type", str),
        said.get("Hires prompt", str),
        said.get("Hires negative prompt", str),
        said.get("Hires CFG Scale", _number),
    )


def _sampling(said: _Said) -> Sampling:
    keys = dict(SAMPLING_KEYS)
    order = said.get(keys.pop("order"), _whole)
    numbers = {name: said.get(key, _number) for name, key in keys.items()}
    return Sampling(order=order, **numbers)
