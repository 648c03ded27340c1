"""The options of a user, as ``/sdapi/v1/options`` shows and changes them.

They count for that user alone, and no job of another user ever sees them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from diffusion.errors import SettingsError, quote
from diffusion.server.adapters import VaeTable
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
    "hypertile_enable_unet_secondpass": False,
    "hypertile_enable_vae": False,
    "deepcache_cache_enable_step_percentage": 0.0,
    "sd_checkpoint_dropdown_use_short": False,
}
"""Options with the one value that this server has so far; another is answered with 501."""

AUTOMATIC_VAE: Final = "Automatic"
OWN_VAE: Final = "None"
_TABLES: Final = frozenset({"table", "vaes"})
_NO_PREVIEWS: Final = -1


@dataclass(frozen=True)
class OptionValues:
    """A user's choices. ``model``: a name; None for the server's default.

    ``vae``: a name, `AUTOMATIC_VAE` for the one that is called like the model, or `OWN_VAE`.
    0 leaves ``sigma_min``, ``sigma_max`` and ``rho`` to the schedule. ``order``: of UniPC;
    ``noise_seed_delta``: ENSD. ``skip_below``, ``skip_all``, ``skip_early``: where the negative
    prompt is left out. ``preview_every``: steps from preview to preview, 0 for none; None for the
    server's default. ``previews``: whether there are any. ``has_texts``: whether pictures that
    are returned hold their settings.
    """

    table: ModelTable
    vaes: VaeTable
    model: str | None = None
    vae: str = AUTOMATIC_VAE
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
    merging_img2img: float = 0
    img2img_upscaler: str | None = None
    keep_colours: bool = False
    tiles: bool = False
    tile: int = 256
    tile_swap: int = 3
    tile_depth: int = 3
    cache: bool = False
    cache_interval: int = 5
    cache_branch: int = 0
    noise_multiplier: float = 1.0
    preview_every: int | None = None
    previews: bool = True
    has_texts: bool = True

    @property
    def chosen_vae(self) -> str | None:
        """The name of the VAE to draw with; None for the model's own."""
        if self.vae == AUTOMATIC_VAE:
            return self.vaes.made_for(self.table.find(self.model).name)
        return None if self.vae == OWN_VAE else self.vae

    @property
    def chosen_previews(self) -> int | None:
        """Steps from preview to preview, 0 for none; None for the server's default."""
        return self.preview_every if self.previews else 0

    def as_shown(self, preview_every: int) -> dict[str, object]:
        """Return what ``GET options`` shows; ``preview_every``: the server's default."""
        every = preview_every if self.preview_every is None else self.preview_every
        entry = self.table.find(self.model)
        return {
            "sd_model_checkpoint": entry.title,
            "sd_checkpoint_hash": entry.sha256 or "",
            "sd_vae": self.vae,
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
            "token_merging_ratio_img2img": self.merging_img2img,
            "upscaler_for_img2img": self.img2img_upscaler,
            "img2img_color_correction": self.keep_colours,
            "initial_noise_multiplier": self.noise_multiplier,
            "hypertile_enable_unet": self.tiles,
            "hypertile_max_tile_unet": self.tile,
            "hypertile_swap_size_unet": self.tile_swap,
            "hypertile_max_depth_unet": self.tile_depth,
            "deepcache_enable": self.cache,
            "deepcache_full_run_step_rate": self.cache_interval,
            "deepcache_cache_resnet_level": self.cache_branch,
            "show_progress_every_n_steps": every or _NO_PREVIEWS,
            "live_previews_enable": self.previews,
            "enable_pnginfo": self.has_texts,
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
            elif name in FIXED and value != FIXED[name]:
                message = f"this server does not do {name} = {quote(value)} yet; leave it out"
                raise NotBuiltError(message)
        return changed

    def as_stored(self) -> dict[str, object]:
        """Return what the history keeps."""
        return {
            each.name: getattr(self, each.name) for each in fields(self) if each.name not in _TABLES
        }


def _set_model(values: OptionValues, given: object) -> OptionValues:
    if not isinstance(given, str):
        raise SettingsError("sd_model_checkpoint", given, "must be a title of sd-models")
    return replace(values, model=values.table.find(given).name)


def _set_vae(values: OptionValues, given: object) -> OptionValues:
    if given in (None, "", OWN_VAE, AUTOMATIC_VAE):
        return replace(values, vae=AUTOMATIC_VAE if given == AUTOMATIC_VAE else OWN_VAE)
    if not isinstance(given, str):
        raise SettingsError("sd_vae", given, "must be a model_name of sd-vae")
    return replace(values, vae=values.vaes.file_name(given))


def _set_generator(values: OptionValues, given: object) -> OptionValues:
    if not isinstance(given, str) or given not in GENERATORS:
        raise SettingsError("randn_source", given, f"must be one of {', '.join(GENERATORS)}")
    return replace(values, rng=GENERATORS[given])


def _set_format(values: OptionValues, given: object) -> OptionValues:
    if not isinstance(given, str) or given not in FORMATS:
        raise SettingsError("samples_format", given, f"must be one of {', '.join(FORMATS)}")
    return replace(values, kind=FORMATS[given])


def _set_delta(values: OptionValues, given: object) -> OptionValues:
    if type(given) is not int or abs(given) >= 2**63:
        raise SettingsError("eta_noise_seed_delta", given, "must be a whole number of 64 bits")
    return replace(values, noise_seed_delta=given)


def _set_preview_every(values: OptionValues, given: object) -> OptionValues:
    if type(given) is not int or not _NO_PREVIEWS <= given <= MOST_NUMBER:
        hint = f"must be a whole number of steps up to {MOST_NUMBER}, or {_NO_PREVIEWS} for none"
        raise SettingsError("show_progress_every_n_steps", given, hint)
    return replace(values, preview_every=max(0, given))


def _set_upscaler(values: OptionValues, given: object) -> OptionValues:
    if given is not None and not isinstance(given, str):
        raise SettingsError("upscaler_for_img2img", given, "must be a name of upscalers")
    name = None if given in (None, "", "None", "Lanczos") else str(given)
    return replace(values, img2img_upscaler=name)


def _flag_setter(name: str, field: str) -> Callable[[OptionValues, object], OptionValues]:
    """Return the setter of a choice that is on or off."""

    def set_flag(values: OptionValues, given: object) -> OptionValues:
        if not isinstance(given, bool) and given not in (0, 1):
            raise SettingsError(name, given, "must be true or false")
        changes: dict[str, Any] = {field: bool(given)}
        return replace(values, **changes)

    return set_flag


def _count_setter(
    name: str, field: str, least: int, most: int
) -> Callable[[OptionValues, object], OptionValues]:
    """Return the setter of a whole number."""

    def set_count(values: OptionValues, given: object) -> OptionValues:
        if type(given) is not int or not least <= given <= most:
            raise SettingsError(name, given, f"must be a whole number from {least} to {most}")
        changes: dict[str, Any] = {field: given}
        return replace(values, **changes)

    return set_count


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
    "CLIP_stop_at_last_layers": _count_setter("CLIP_stop_at_last_layers", "clip_skip", 1, 12),
    "sd_vae": _set_vae,
    "randn_source": _set_generator,
    "samples_format": _set_format,
    "sigma_min": _number_setter("sigma_min", "sigma_min"),
    "sigma_max": _number_setter("sigma_max", "sigma_max"),
    "rho": _number_setter("rho", "rho"),
    "s_min_uncond": _number_setter("s_min_uncond", "skip_below"),
    "s_min_uncond_all": _flag_setter("s_min_uncond_all", "skip_all"),
    "skip_early_cond": _number_setter("skip_early_cond", "skip_early", 1),
    "token_merging_ratio": _number_setter("token_merging_ratio", "merging", 1),
    "token_merging_ratio_hr": _number_setter("token_merging_ratio_hr", "merging_hires", 1),
    "token_merging_ratio_img2img": _number_setter(
        "token_merging_ratio_img2img", "merging_img2img", 1
    ),
    "upscaler_for_img2img": _set_upscaler,
    "img2img_color_correction": _flag_setter("img2img_color_correction", "keep_colours"),
    "uni_pc_order": _count_setter("uni_pc_order", "order", 1, MOST_ORDER),
    "eta_noise_seed_delta": _set_delta,
    "initial_noise_multiplier": _number_setter("initial_noise_multiplier", "noise_multiplier", 10),
    "hypertile_enable_unet": _flag_setter("hypertile_enable_unet", "tiles"),
    "hypertile_max_tile_unet": _count_setter("hypertile_max_tile_unet", "tile", 0, 4096),
    "hypertile_swap_size_unet": _count_setter("hypertile_swap_size_unet", "tile_swap", 0, 128),
    "hypertile_max_depth_unet": _count_setter("hypertile_max_depth_unet", "tile_depth", 0, 3),
    "show_progress_every_n_steps": _set_preview_every,
    "enable_pnginfo": _flag_setter("enable_pnginfo", "has_texts"),
    "live_previews_enable": _flag_setter("live_previews_enable", "previews"),
    "deepcache_enable": _flag_setter("deepcache_enable", "cache"),
    "deepcache_full_run_step_rate": _count_setter(
        "deepcache_full_run_step_rate", "cache_interval", 0, 100
    ),
    "deepcache_cache_resnet_level": _count_setter(
        "deepcache_cache_resnet_level", "cache_branch", 0, 10
    ),
}


async def read_options(services: Services, user: str) -> OptionValues:
    """Return a user's options. A model that is gone since is the default again.

    What another version of this program wrote, and this one does not know, is left out.
    """
    written = await services.history.do(services.history.options, user)
    names = {each.name for each in fields(OptionValues)} - _TABLES
    stored: dict[str, Any] = {name: written[name] for name in names & written.keys()}
    models = [entry.name for entry in services.models.entries]
    if stored.get("model") not in models:
        stored["model"] = None
    vaes = services.adapters.vaes
    if stored.get("vae") not in (OWN_VAE, *vaes.file_names):
        stored["vae"] = AUTOMATIC_VAE
    return OptionValues(services.models, vaes, **stored)


async def write_options(services: Services, user: str, given: Mapping[str, Any]) -> None:
    """Change a user's options; all of them or, where one is wrong, none."""
    values = (await read_options(services, user)).override(given)
    await services.history.do(services.history.set_options, user, values.as_stored())
