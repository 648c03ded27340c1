"""The options of a user, as ``/sdapi/v1/options`` shows and changes them.

They count for that user alone, and no job of another user ever sees them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from diffusion.errors import SettingsError, quote
from diffusion.server.errors import NotBuiltError
from diffusion.server.models import ModelTable
from diffusion.server.services import Services

__all__ = ["OptionValues", "read_options", "write_options"]

USUAL_ORDER: Final = 3
"""AUTOMATIC1111's order of UniPC; it stands for the sampler's own."""

FORMATS: Final = {"png": "png", "jpg": "jpeg", "jpeg": "jpeg", "webp": "webp"}
GENERATORS: Final = {"NV": "nv", "GPU": "nv", "CPU": "cpu"}

MOST_NUMBER: Final = 1000
MOST_ORDER: Final = 50

FIXED: Final[Mapping[str, object]] = {
    "sd_vae": "Automatic",
    "img2img_color_correction": False,
    "enable_pnginfo": True,
    "live_previews_enable": True,
    "sd_checkpoint_dropdown_use_short": False,
}
"""Options with the one value that this server has so far; another is answered with 501."""

ALSO_FIXED: Final = {"sd_vae": ("None", None), "live_previews_enable": (1,)}
"""Other values that mean the same."""


@dataclass(frozen=True)
class OptionValues:
    """A user's choices. ``model``: a name; None for the server's default.

    0 leaves ``sigma_min``, ``sigma_max`` and ``rho`` to the schedule. ``order``: of UniPC;
    ``noise_seed_delta``: ENSD. ``skip_below``, ``skip_all``, ``skip_early``: where the negative
    prompt is left out.
    """

    table: ModelTable
    model: str | None = None
    clip_skip: int = 1
    rng: str = "nv"
    kind: str = "png"
    sigma_min: float = 0
    sigma_max: float = 0
    rho: float = 0
    order: int = USUAL_ORDER
    noise_seed_delta: int = 0
    skip_below: float = 0
    skip_all: bool = False
    skip_early: float = 0
    merging: float = 0
    merging_hires: float = 0
    img2img_upscaler: str | None = None

    def as_shown(self) -> dict[str, object]:
        """Return what ``GET options`` shows."""
        entry = self.table.find(self.model)
        return {
            "sd_model_checkpoint": entry.title,
            "sd_checkpoint_hash": entry.sha256 or "",
            "CLIP_stop_at_last_layers": self.clip_skip,
            "randn_source": next(name for name, rng in GENERATORS.items() if rng == self.rng),
            "samples_format": next(name for name, kind in FORMATS.items() if kind == self.kind),
            "sigma_min": self.sigma_min,
            "sigma_max": self.sigma_max,
            "rho": self.rho,
            "uni_pc_order": self.order,
            "eta_noise_seed_delta": self.noise_seed_delta,
            "s_min_uncond": self.skip_below,
            "s_min_uncond_all": self.skip_all,
            "skip_early_cond": self.skip_early,
            "token_merging_ratio": self.merging,
            "token_merging_ratio_hr": self.merging_hires,
            "upscaler_for_img2img": self.img2img_upscaler,
            **FIXED,
        }

    def override(self, given: Mapping[str, Any]) -> OptionValues:
        """Return the values with some changed; names that are no options are ignored, as there.

        Raises `SettingsError`, `RefusedError` for an unknown model, and `NotBuiltError`.
        """
        changed = self
        for name, value in given.items():
            if name in _SETTERS:
                changed = _SETTERS[name](changed, value)
            elif name in FIXED and value not in (FIXED[name], *ALSO_FIXED.get(name, ())):
                message = f"this server does not do {name} = {quote(value)} yet; leave it out"
                raise NotBuiltError(message)
        return changed

    def as_stored(self) -> dict[str, object]:
        """Return what the history keeps."""
        return {
            each.name: getattr(self, each.name) for each in fields(self) if each.name != "table"
        }


def _set_model(values: OptionValues, given: object) -> OptionValues:
    if not isinstance(given, str):
        raise SettingsError("sd_model_checkpoint", given, "must be a title of sd-models")
    return replace(values, model=values.table.find(given).name)


def _set_clip_skip(values: OptionValues, given: object) -> OptionValues:
    if type(given) is not int or not 1 <= given <= 12:
        rule = "must be a whole number from 1 to 12"
        raise SettingsError("CLIP_stop_at_last_layers", given, rule)
    return replace(values, clip_skip=given)


def _set_generator(values: OptionValues, given: object) -> OptionValues:
    if not isinstance(given, str) or given not in GENERATORS:
        raise SettingsError("randn_source", given, f"must be one of {', '.join(GENERATORS)}")
    return replace(values, rng=GENERATORS[given])


def _set_format(values: OptionValues, given: object) -> OptionValues:
    if not isinstance(given, str) or given not in FORMATS:
        raise SettingsError("samples_format", given, f"must be one of {', '.join(FORMATS)}")
    return replace(values, kind=FORMATS[given])


def _set_order(values: OptionValues, given: object) -> OptionValues:
    if type(given) is not int or not 1 <= given <= MOST_ORDER:
        raise SettingsError("uni_pc_order", given, f"must be from 1 to {MOST_ORDER}")
    return replace(values, order=given)


def _set_delta(values: OptionValues, given: object) -> OptionValues:
    if type(given) is not int or abs(given) >= 2**63:
        raise SettingsError("eta_noise_seed_delta", given, "must be a whole number of 64 bits")
    return replace(values, noise_seed_delta=given)


def _set_upscaler(values: OptionValues, given: object) -> OptionValues:
    if given is not None and not isinstance(given, str):
        raise SettingsError("upscaler_for_img2img", given, "must be a name of upscalers")
    name = None if given in (None, "", "None", "Lanczos") else str(given)
    return replace(values, img2img_upscaler=name)


def _set_skip_all(values: OptionValues, given: object) -> OptionValues:
    if not isinstance(given, bool):
        raise SettingsError("s_min_uncond_all", given, "must be true or false")
    return replace(values, skip_all=given)


def _number_setter(
    name: str, field: str, most: float = MOST_NUMBER
) -> Callable[[OptionValues, object], OptionValues]:
    """Return the setter of a number that is 0 where the schedule's own, or nothing, is meant."""

    def set_number(values: OptionValues, given: object) -> OptionValues:
        if not isinstance(given, int | float) or not 0 <= given <= most:
            raise SettingsError(name, given, f"must be a number from 0 to {most:g}")
        changes: dict[str, Any] = {field: float(given)}
        return replace(values, **changes)

    return set_number


_SETTERS: Final[Mapping[str, Callable[[OptionValues, object], OptionValues]]] = {
    "sd_model_checkpoint": _set_model,
    "CLIP_stop_at_last_layers": _set_clip_skip,
    "randn_source": _set_generator,
    "samples_format": _set_format,
    "sigma_min": _number_setter("sigma_min", "sigma_min"),
    "sigma_max": _number_setter("sigma_max", "sigma_max"),
    "rho": _number_setter("rho", "rho"),
    "s_min_uncond": _number_setter("s_min_uncond", "skip_below"),
    "s_min_uncond_all": _set_skip_all,
    "skip_early_cond": _number_setter("skip_early_cond", "skip_early", 1),
    "token_merging_ratio": _number_setter("token_merging_ratio", "merging", 1),
    "token_merging_ratio_hr": _number_setter("token_merging_ratio_hr", "merging_hires", 1),
    "upscaler_for_img2img": _set_upscaler,
    "uni_pc_order": _set_order,
    "eta_noise_seed_delta": _set_delta,
}


async def read_options(services: Services, user: str) -> OptionValues:
    """Return a user's options. A model that is gone since is the default again.

    What another version of this program wrote, and this one does not know, is left out.
    """
    written = await services.history.do(services.history.options, user)
    names = {each.name for each in fields(OptionValues)} - {"table"}
    stored: dict[str, Any] = {name: written[name] for name in names & written.keys()}
    models = [entry.name for entry in services.models.entries]
    if stored.get("model") not in models:
        stored["model"] = None
    return OptionValues(services.models, **stored)


async def write_options(services: Services, user: str, given: Mapping[str, Any]) -> None:
    """Change a user's options; all of them or, where one is wrong, none."""
    values = (await read_options(services, user)).override(given)
    await services.history.do(services.history.set_options, user, values.as_stored())
