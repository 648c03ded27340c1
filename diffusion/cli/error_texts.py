"""Errors and warnings in the user's words: the setting ``clip_skip`` is ``--clip-skip``."""

from __future__ import annotations

import re
from typing import Final

import typer

from diffusion.cli.options.parsing import RARE_CHOICES
from diffusion.errors import SettingsError

__all__ = ["error_text", "option_name", "warning_text"]

OPTIONS: Final = {
    "blur": "--mask-blur",
    "hires scale": "--hires",
    "switch": "--refiner-switch",
    "variation strength": "--variation",
}
"""Settings whose option has another name."""

OPTIONS_OF_PARTS: Final = {
    "height": "--size",
    "width": "--size",
    **dict.fromkeys(RARE_CHOICES, "--set"),
}
"""Settings that are one part of an option's value."""

TYPED_VALUES: Final = {("prediction", "v_prediction"): "v"}
"""What the user types for a setting's value, where that differs."""

_SETTING_AT_START = re.compile(r"^[a-z_]+(?=[: ])")


def error_text(context: typer.Context, error: Exception) -> str:
    """Return the message of an error, with the option in place of the setting."""
    if not isinstance(error, SettingsError):
        return str(error)
    field = option_name(context, error.field, error.value)
    value = TYPED_VALUES.get((error.field, str(error.value)), error.value)
    return str(SettingsError(field, value, error.hint))


def warning_text(context: typer.Context, message: str) -> str:
    """Return a warning, with the option in place of a setting that it begins with."""
    return _SETTING_AT_START.sub(lambda match: option_name(context, match[0]), message)


def option_name(context: typer.Context, setting: str, value: object = None) -> str:
    """Return the option or argument of the running command that chooses a setting.

    A command that has no such option leaves the name as it is. ``value``: what was wrong. The
    settings of both passes have the same names, and the value shows which option was typed.
    """
    parameters = {
        name: parameter.name or ""
        for parameter in context.command.params
        for name in parameter.opts
    }
    names = setting, _flag(setting), _flag(f"hires {setting}"), OPTIONS.get(setting, "")
    found = [name for name in names if name in parameters]
    for name in found:
        if value is not None and str(context.params.get(parameters[name])) == str(value):
            return name
    if found:
        return found[0]
    option = OPTIONS_OF_PARTS.get(setting, "")
    return f"{option} {setting}" if option in parameters else setting


def _flag(name: str) -> str:
    return "--" + re.sub("[ _]", "-", name)
