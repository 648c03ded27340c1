"""Settings by the names of the options that choose them: ``clip_skip`` is ``--clip-skip``."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Final

import typer

from diffusion.errors import SettingsError
from diffusion.tasks.sampling_settings import SamplingSettings

__all__ = ["as_typed", "option_name"]

OTHERWISE: Final = {
    "blur": "mask blur",
    "hires scale": "hires",
    "switch": "refiner switch",
    "variation strength": "variation",
}
"""Settings that are not called like their option."""

PARTS: Final = {
    "height": "size",
    "width": "size",
    **{each.name: "set" for each in fields(SamplingSettings)},
}
"""Settings that are a part of what an option takes."""

TYPED: Final = {("prediction", "v_prediction"): "v"}
"""Values of settings that an option calls otherwise."""

_FIRST_WORD = re.compile(r"^[a-z_]+(?=[: ])")


def option_name(context: typer.Context, field: str, value: object = None) -> str:
    """The option or argument of the running command behind a setting; or the setting's own name.

    ``value``: what was given, which tells the first pass's options from those of the second.
    """
    settings = field, f"hires {field}", OTHERWISE.get(field, field)
    options = {option: each.name or "" for each in context.command.params for option in each.opts}
    found = [option for option in (field, *map(_flag, settings)) if option in options]
    if found:
        given = (
            o for o in found if value is not None and _given(context, options[o]) == str(value)
        )
        return next(given, found[0])
    whole = _flag(PARTS.get(field, ""))
    return f"{whole} {field}" if whole in options else field


def as_typed(context: typer.Context, told: Exception | str) -> str:
    """The message of an error, or of a warning that begins with a setting, in options' names."""
    if isinstance(told, SettingsError):
        field = option_name(context, told.field, told.value)
        value = TYPED.get((told.field, str(told.value)), told.value)
        return str(SettingsError(field, value, told.hint))
    if isinstance(told, Warning | str):
        return _FIRST_WORD.sub(lambda match: option_name(context, match[0]), str(told))
    return str(told)


def _given(context: typer.Context, parameter: str) -> str:
    return str(context.params.get(parameter))


def _flag(name: str) -> str:
    return "--" + re.sub("[ _]", "-", name)
