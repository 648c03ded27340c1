"""From the text in a picture back to the fields of a job's request, as far as they go.

Where the command line stops at the first thing that cannot be drawn again, a page shows it: a
setting that cannot be read is left out, and a note says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Final

from diffusion.control import Control, ImagePrompt
from diffusion.errors import DiffusionError, SettingsError, quote
from diffusion.infotext.grammar import FEWEST_SETTINGS, parse_infotext, write_infotext
from diffusion.infotext.to_settings import settings_from_infotext
from diffusion.infotext.unreproduced import unreproduced_settings
from diffusion.noise import NOISES
from diffusion.prompts import EMPHASES
from diffusion.samplers import find_sampler_and_schedule
from diffusion.schedules import AUTOMATIC, find_schedule
from diffusion.server.adapters import AdapterTables, ControlTable
from diffusion.server.errors import RefusedError
from diffusion.server.jobs.request import JobRequest, SamplingRequest
from diffusion.server.models import ModelTable
from diffusion.settings import Settings
from diffusion.tasks import TILINGS, UPSCALERS, GuidanceOptions, Hires, is_network_upscaler

__all__ = ["Restored", "restore_request"]

MOST_NOTES: Final = 20
FILLING: Final = {"Avila filling": "1", "Avila filling two": "2", "Avila filling three": "3"}
"""A text needs some settings to be read as one, even where all of its own were left out."""


@dataclass(frozen=True)
class Restored:
    """The fields of a `JobRequest`, and sentences about what is not in them."""

    settings: Mapping[str, object]
    notes: Sequence[str]


def restore_request(text: str, models: ModelTable, adapters: AdapterTables) -> Restored:
    """Return what an infotext says. Raises `SettingsError` for a text without settings."""
    found = parse_infotext(text)
    if not found.settings:
        raise SettingsError("picture", None, "its text holds no settings")
    left: dict[str, str] = dict(found.settings)
    notes: list[str] = []
    upscaler = left.get("Hires upscaler", "")
    if upscaler and not adapters.upscalers.has(upscaler):
        left["Hires upscaler"] = "Lanczos"
        notes.append(f"the upscaler {upscaler[:100]} is not on this server; Lanczos stands in")
    while True:
        try:
            settings = _read(found.prompt, found.negative, left)
            break
        except SettingsError as error:
            if error.field not in left or len(notes) > MOST_NOTES:
                raise
            del left[error.field]
            notes.append(str(error))
    request = _fields(settings)
    if "Seed" not in left:
        del request["seed"]
    notes += _add_models(request, found.settings, models, adapters)
    controls, missing = _find_controls(settings.controls, adapters.controls)
    notes += missing
    if controls:
        request["controls"] = controls
        notes.append("the pictures that led it are not in its text; give them again")
    prompts, missing = _find_controls(settings.image_prompts, adapters.controls)
    notes += missing
    if prompts:
        request["image_prompts"] = prompts
        notes.append("the pictures that prompted it are not in its text; give them again")
    notes += [f"not drawn again: {each}" for each in unreproduced_settings(found)]
    return Restored(request, notes)


def _read(prompt: str, negative: str, settings: Mapping[str, str]) -> Settings:
    """Return settings whose names of samplers are known. Raises `SettingsError` under their key."""
    missing = FEWEST_SETTINGS - len(settings)
    more = dict(list(FILLING.items())[: max(0, missing)])
    found = settings_from_infotext(write_infotext(prompt, negative, {**settings, **more}))
    for key, check in _name_checks(found).items():
        try:
            check()
        except SettingsError as error:
            raise SettingsError(key, settings.get(key), error.hint) from error
    return found


def _name_checks(found: Settings) -> Mapping[str, Callable[[], object]]:
    """Return what finds each choice by its name, under the key of the text."""
    checks: dict[str, Callable[[], object]] = {
        "Sampler": lambda: _sampler_names(found.sampler, None),
        "Schedule type": lambda: _sampler_names(None, found.schedule),
        "Emphasis": lambda: EMPHASES.find(found.emphasis),
        "RNG": lambda: NOISES.find(found.rng),
        "VAE tiling": lambda: TILINGS.find(found.vae_tiling),
    }
    hires = found.hires
    if hires is not None:
        checks["Hires upscaler"] = lambda: (
            is_network_upscaler(hires.upscaler) or UPSCALERS.find(str(hires.upscaler))
        )
        checks["Hires sampler"] = lambda: _sampler_names(hires.sampler, None)
        checks["Hires schedule type"] = lambda: _sampler_names(None, hires.schedule)
    return checks


def _fields(settings: Settings) -> dict[str, object]:
    """Return the fields of a request."""
    found: dict[str, object] = {
        name: value
        for name in JobRequest.model_fields
        if isinstance(value := getattr(settings, name, None), str | int | float)
    }
    found |= _names(settings)
    if settings.hires is not None:
        found["hires"] = _hires_fields(settings.hires)
    if settings.variation is not None:
        found["variation"] = {k: v for k, v in asdict(settings.variation).items() if v is not None}
    if settings.guidance_options != GuidanceOptions():
        given = asdict(settings.guidance_options).items()
        found["guidance_options"] = {name: value for name, value in given if value is not None}
    rare = {name: getattr(settings.sampling, name, None) for name in SamplingRequest.model_fields}
    set_ones = {name: value for name, value in rare.items() if value is not None}
    return {**found, "sampling": set_ones} if set_ones else found


def _names(settings: Settings) -> dict[str, object]:
    """Return choices under their own names; texts of pictures have their labels."""
    names: dict[str, object] = {
        "emphasis": EMPHASES.find(settings.emphasis).name,
        "rng": NOISES.find(settings.rng).name,
        "vae_tiling": TILINGS.find(settings.vae_tiling).name,
    }
    return {**names, **_sampler_names(settings.sampler, settings.schedule)}


def _sampler_names(sampler: object, schedule: object) -> dict[str, object]:
    """Return the names of a sampler and a schedule, as far as they are given."""
    names: dict[str, object] = {}
    if isinstance(schedule, str):
        found = find_schedule(schedule)
        names["schedule"] = AUTOMATIC if found is None else found.name
    if isinstance(sampler, str):
        first, second = find_sampler_and_schedule(sampler)
        names["sampler"] = first.name
        if second is not None:
            names.setdefault("schedule", second.name)
    return names


def _hires_fields(hires: Hires) -> dict[str, object]:
    given = {name: value for name, value in asdict(hires).items() if value is not None}
    given |= _sampler_names(hires.sampler, hires.schedule)
    found = UPSCALERS.get(str(hires.upscaler))
    return {**given, "upscaler": hires.upscaler if found is None else found.name}


def _find_controls(
    controls: Sequence[Control | ImagePrompt], networks: ControlTable
) -> tuple[list[Mapping[str, object]], list[str]]:
    """Return fields of what led it, without pictures, and notes about unknown networks."""
    found: list[Mapping[str, object]] = []
    notes = []
    for each in controls:
        try:
            name = networks.full_name(str(each.model))
        except SettingsError:
            notes.append(f"the control network {quote(str(each.model))} is not on this server")
            continue
        given = {
            field.name: value
            for field in fields(each)
            if (value := getattr(each, field.name)) != field.default
        }
        found.append({**given, "model": name})
    return found, notes


def _add_models(
    request: dict[str, object],
    settings: Mapping[str, str],
    models: ModelTable,
    adapters: AdapterTables,
) -> list[str]:
    """Add the networks that a text names to a request; return notes on those that are not here."""
    notes = []
    model = _find_model(models, settings.get("Model hash"), settings.get("Model"))
    if model is not None:
        request["model"] = model
    elif "Model" in settings:
        notes.append(f"the model {settings['Model'][:100]} is not on this server")
    if "VAE" in settings:
        try:
            request["vae"] = adapters.vaes.full_name(settings["VAE"][:300])
        except DiffusionError:
            notes.append(f"the VAE {settings['VAE'][:100]} is not on this server")
    if "Refiner" in settings:
        refiner = _find_model(models, settings["Refiner"])
        switch = _share(settings.get("Refiner switch at"))
        if refiner is None or switch is None:
            notes.append(f"the refiner {settings['Refiner'][:100]} is not taken over")
        else:
            request["refiner"] = {"model": refiner, "switch": switch}
    hires = request.get("hires")
    if "Hires checkpoint" in settings and isinstance(hires, dict):
        second = _find_model(models, settings["Hires checkpoint"])
        if second is None:
            notes.append(f"the model {settings['Hires checkpoint'][:100]} is not on this server")
        else:
            request["hires"] = {**hires, "model": second}
    return notes


def _find_model(models: ModelTable, *names: str | None) -> str | None:
    """Return the name of the first model that is here, by its name, title or hash."""
    for name in names:
        try:
            if name:
                return models.find(name).name
        except RefusedError:
            continue
    return None


def _share(text: str | None) -> float | None:
    """Return a number from 0 to 1; None for another text."""
    try:
        found = float((text or "")[:20])
    except ValueError:
        return None
    return found if 0 <= found <= 1 else None
