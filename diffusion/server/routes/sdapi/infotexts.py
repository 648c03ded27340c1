"""The field ``infotext``: settings of an earlier picture, for fields that a request leaves out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from diffusion.errors import SettingsError
from diffusion.infotext.grammar import parse_infotext
from diffusion.server.routes.sdapi.requests import DrawBody, change_body

__all__ = ["fill_from_infotext"]

_FIELDS: Final = {
    "Steps": "steps",
    "Sampler": "sampler_name",
    "Schedule type": "scheduler",
    "CFG scale": "cfg_scale",
    "Seed": "seed",
    "Variation seed": "subseed",
    "Variation seed strength": "subseed_strength",
    "Denoising strength": "denoising_strength",
    "Eta": "eta",
    "Tiling": "tiling",
    "NGMS": "s_min_uncond",
    "Sigma churn": "s_churn",
    "Sigma tmin": "s_tmin",
    "Sigma tmax": "s_tmax",
    "Sigma noise": "s_noise",
    "Hires upscale": "hr_scale",
    "Hires upscaler": "hr_upscaler",
    "Hires steps": "hr_second_pass_steps",
    "Hires sampler": "hr_sampler_name",
    "Hires schedule type": "hr_scheduler",
    "Hires prompt": "hr_prompt",
    "Hires negative prompt": "hr_negative_prompt",
}
"""The WebUI's names in infotexts, and the fields of a request."""

_SIZES: Final = {
    "Size": ("width", "height"),
    "Seed resize from": ("seed_resize_from_w", "seed_resize_from_h"),
    "Hires resize": ("hr_resize_x", "hr_resize_y"),
}

_OPTIONS: Final[Mapping[str, tuple[str, Callable[[str], object]]]] = {
    "Model hash": ("sd_model_checkpoint", str),
    "Clip skip": ("CLIP_stop_at_last_layers", int),
    "RNG": ("randn_source", str.upper),
    "ENSD": ("eta_noise_seed_delta", int),
    "Schedule min sigma": ("sigma_min", float),
    "Schedule max sigma": ("sigma_max", float),
    "Schedule rho": ("rho", float),
    "NGMS all steps": ("s_min_uncond_all", lambda text: text == "True"),
    "Skip Early CFG": ("skip_early_cond", float),
    "Token merging ratio": ("token_merging_ratio", float),
    "Token merging ratio hr": ("token_merging_ratio_hr", float),
}
"""Those that are options, and how their texts are read."""

_HIRES: Final = ("Hires upscale", "Hires resize")
"""Names that say that there was a second pass."""


def fill_from_infotext(body: DrawBody) -> DrawBody:
    """Return a body whose left-out fields are those of its ``infotext``, as AUTOMATIC1111 does.

    Fields that it has count, and so do its options. Raises `SettingsError`.
    """
    if not body.infotext:
        return body
    found = parse_infotext(body.infotext)
    given, fields = body.model_fields_set, type(body).model_fields
    texts: dict[str, object] = {"prompt": found.prompt, "negative_prompt": found.negative}
    texts |= {_FIELDS[name]: text for name, text in found.settings.items() if name in _FIELDS}
    for name, sides in _SIZES.items():
        if name in found.settings:
            texts |= dict(zip(sides, found.settings[name].split("x"), strict=False))
    if any(name in found.settings for name in _HIRES):
        texts["enable_hr"] = True
    changes = {name: text for name, text in texts.items() if name in fields and name not in given}
    own_options = body.override_settings or {}
    for name, (option, read) in _OPTIONS.items():
        if name in found.settings and option not in own_options:
            changes[option] = _read(name, found.settings[name], read)
    return change_body(body, {**changes, "infotext": None})


def _read(name: str, text: str, read: Callable[[str], object]) -> object:
    try:
        return read(text)
    except ValueError:
        raise SettingsError(name, text, "this is not a value of this field") from None
