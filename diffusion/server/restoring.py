"""From the text in a picture back to the fields of a job's request, as far as they go.

Where the command line stops at the first thing that cannot be drawn again, a page shows it: a
setting that cannot be read is left out, and a note says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final

from diffusion.errors import SettingsError
from diffusion.infotext.grammar import FEWEST_SETTINGS, parse_infotext, write_infotext
from diffusion.infotext.to_settings import settings_from_infotext
from diffusion.infotext.unreproduced import unreproduced_settings
from diffusion.noise import NOISES
from diffusion.prompts import EMPHASES
from diffusion.samplers import find_sampler_and_schedule
from diffusion.schedules import AUTOMATIC, find_schedule
from diffusion.server.errors import RefusedError
from diffusion.server.jobs.request import JobRequest, SamplingRequest
from diffusion.server.models import ModelTable
from diffusion.settings import Settings
from diffusion.tasks import TILINGS, UPSCALERS, GuidanceOptions, Hires

__all__ = ["Restored", "restore_request"]

MOST_NOTES: Final = 20
FILLING: Final = {"Avila filling": "1", "Avila filling two": "2", "Avila filling three": "3"}
"""A text needs some settings to be read as one, even where all of its own were left out."""


@dataclass(frozen=True)
class Restored:
    """The fields of a `JobRequest`, and sentences about what is not in them."""

    settings: Mapping[str, object]
    notes: Sequence[str]


def restore_request(text: str, models: ModelTable) -> Restored:
    """Return what an infotext says. Raises `SettingsError` for a text without settings."""
    found = parse_infotext(text)
    if not found.settings:
        raise SettingsError("picture", None, "its text holds no settings")
    left: dict[str, str] = dict(found.settings)
    notes: list[str] = []
    while True:
        try:
            settings = _read(found.prompt, found.negative, left)
            break
        except SettingsError as error:
            if error.field not in left or len(notes) > MOST_NOTES:
                raise
            del left[error.field]
            notes.append(str(error))
    fields = _fields(settings)
    if "Seed" not in left:
        del fields["seed"]
    model = _find_model(found.settings, models)
    if model is not None:
        fields["model"] = model
    elif "Model" in found.settings:
        notes.append(f"the model {found.settings['Model'][:100]} is not on this server")
    if settings.guidance_options != GuidanceOptions():
        notes.append("what changes its guidance (PAG, FreeU and others) is not taken over")
    if settings.controls:
        notes.append("the control networks that led it are not taken over")
    if settings.image_prompts:
        notes.append("the pictures that it was prompted with are not taken over")
    notes += [f"not drawn again: {each}" for each in unreproduced_settings(found)]
    return Restored(fields, notes)


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
        checks["Hires upscaler"] = lambda: UPSCALERS.find(hires.upscaler)
        checks["Hires sampler"] = lambda: _sampler_names(hires.sampler, None)
        checks["Hires schedule type"] = lambda: _sampler_names(None, hires.schedule)
    return checks


def _fields(settings: Settings) -> dict[str, object]:
    """Return the fields of a request."""
    fields: dict[str, object] = {
        name: value
        for name in JobRequest.model_fields
        if isinstance(value := getattr(settings, name, None), str | int | float)
    }
    fields |= _names(settings)
    if settings.hires is not None:
        fields["hires"] = _hires_fields(settings.hires)
    if settings.variation is not None:
        fields["variation"] = {k: v for k, v in asdict(settings.variation).items() if v is not None}
    rare = {name: getattr(settings.sampling, name, None) for name in SamplingRequest.model_fields}
    given = {name: value for name, value in rare.items() if value is not None}
    return {**fields, "sampling": given} if given else fields


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
    return {**given, "upscaler": UPSCALERS.find(hires.upscaler).name}


def _find_model(settings: Mapping[str, str], models: ModelTable) -> str | None:
    """Return the name of the model that a text names by hash or name; None where it is not here."""
    for key in ("Model hash", "Model"):
        try:
            if settings.get(key):
                return models.find(settings[key]).name
        except RefusedError:
            continue
    return None
