"""From the text in a picture back to the fields of a job's request, as far as they go.

Where the command line stops at the first thing that cannot be drawn again, a page shows it: a
setting that cannot be read is left out, and a note says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final

from diffusion.errors import SettingsError
from diffusion.infotext.grammar import FEWEST_SETTINGS, parse_infotext, write_infotext
from diffusion.infotext.to_settings import settings_from_infotext
from diffusion.infotext.unreproduced import unreproduced_settings
from diffusion.samplers import find_sampler_and_schedule
from diffusion.schedules import AUTOMATIC, find_schedule
from diffusion.server.errors import RefusedError
from diffusion.server.jobs.request import JobRequest, SamplingRequest
from diffusion.server.models import ModelTable
from diffusion.settings import Settings

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
    notes += [f"not drawn again: {each}" for each in unreproduced_settings(found)]
    return Restored(fields, notes)


def _read(prompt: str, negative: str, settings: Mapping[str, str]) -> Settings:
    """Return settings whose names of samplers are known. Raises `SettingsError` under their key."""
    missing = FEWEST_SETTINGS - len(settings)
    more = dict(list(FILLING.items())[: max(0, missing)])
    found = settings_from_infotext(write_infotext(prompt, negative, {**settings, **more}))
    for key, name in (("Sampler", found.sampler), ("Schedule type", found.schedule)):
        find = find_sampler_and_schedule if key == "Sampler" else find_schedule
        try:
            if isinstance(name, str) and name.casefold() != AUTOMATIC:
                find(name)
        except SettingsError as error:
            raise SettingsError(key, name, error.hint) from error
    return found


def _fields(settings: Settings) -> dict[str, object]:
    """Return the fields of a request that differ from its defaults."""
    known = set(JobRequest.model_fields) - {"model", "init_image", "sampling", "hires", "variation"}
    fields: dict[str, object] = {
        name: value for name in known if (value := getattr(settings, name)) is not None
    }
    fields |= _names(settings)
    if settings.hires is not None:
        fields["hires"] = {k: v for k, v in asdict(settings.hires).items() if v is not None}
    if settings.variation is not None:
        fields["variation"] = {k: v for k, v in asdict(settings.variation).items() if v is not None}
    rare = {name: getattr(settings.sampling, name, None) for name in SamplingRequest.model_fields}
    given = {name: value for name, value in rare.items() if value is not None}
    return {**fields, "sampling": given} if given else fields


def _names(settings: Settings) -> dict[str, object]:
    """Return the sampler and the schedule under their own names; texts have their labels."""
    names: dict[str, object] = {}
    if isinstance(settings.schedule, str):
        schedule = find_schedule(settings.schedule)
        names["schedule"] = AUTOMATIC if schedule is None else schedule.name
    if isinstance(settings.sampler, str):
        sampler, schedule = find_sampler_and_schedule(settings.sampler)
        names["sampler"] = sampler.name
        if schedule is not None:
            names.setdefault("schedule", schedule.name)
    return names


def _find_model(settings: Mapping[str, str], models: ModelTable) -> str | None:
    """Return the name of the model that a text names by hash or name; None where it is not here."""
    for key in ("Model hash", "Model"):
        try:
            if settings.get(key):
                return models.find(settings[key]).name
        except RefusedError:
            continue
    return None
