"""Errors and warnings in the user's words: the setting ``clip_skip`` is ``--clip-skip``."""

from __future__ import annotations

import errno
import os
import re
from typing import Any, Final, cast

import typer

from diffusion.cli.options.parsing import RARE_CHOICES
from diffusion.errors import SettingsError, path_text

__all__ = [
    "TYPED",
    "UsageError",
    "error_text",
    "is_of_stdout",
    "option_name",
    "shorten_line",
    "system_error_text",
    "usage_text",
    "warning_text",
]

LONGEST_LINE: Final = 700
"""Characters of a line that is printed; the middle of a longer one is left out."""

HINTS: Final = {
    errno.ENOSPC: "free some space on the disk",
    errno.EDQUOT: "free some space on the disk",
    errno.EMFILE: "allow more open files (ulimit -n)",
    errno.EIO: "check the disk",
}
"""What to do about an error of the system, by its number; for others, check the path."""

# typer keeps the root of its usage errors to itself, and has moved it between versions.
UsageError = cast("type[typer.BadParameter]", typer.BadParameter.__base__)
"""The error of a command line that cannot be read."""

OPTIONS: Final = {
    "blur": "--mask-blur",
    "blur_down": "--mask-blur-down",
    "soft": "--soft-mask",
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

KINDS: Final = {
    "int": "a whole number",
    "integer": "a whole number",
    "number": "a number",
    "float": "a number",
    "boolean": "true or false",
}
"""What a value must be, by the word that typer has for it."""

TYPED: Final = "diffusion.cli.typed"
"""The key of a context's ``meta`` with the texts that were typed, by parameter."""

_WRONG_KIND = re.compile(rf"a valid ({'|'.join(KINDS)})\b")

_SETTING_AT_START = re.compile(r"^[a-z_]+(?=[: ])")


def error_text(context: typer.Context, error: Exception) -> str:
    """Return the message of an error, with the option in place of the setting."""
    if not isinstance(error, SettingsError):
        return str(error)
    field = option_name(context, error.field, error.value)
    value = TYPED_VALUES.get((error.field, str(error.value)), error.value)
    return str(SettingsError(field, value, error.hint)) + _origin(context, _param(context, field))


def usage_text(error: Any) -> str:
    """Return the message of an error in the command line; empty where the help was shown."""
    param: Any = getattr(error, "param", None)
    names = [*getattr(param, "opts", ()), getattr(error, "param_hint", None) or ""]
    name = max(map(str, names), key=len)
    message: str
    match = _WRONG_KIND.search(error.message)
    if match and param is not None and error.ctx is not None:
        value, _ = param.consume_value(error.ctx, error.ctx.meta.get(TYPED, {}))
        message = str(SettingsError(name, value, f"must be {KINDS[match[1]]}"))
    elif error.message.startswith("must ") and name:
        message = f"{name} {error.message}"
    elif isinstance(error, typer.BadParameter) and param is None and not name:
        message = error.message
    else:
        message = error.format_message().rstrip(".")
    return message + _origin(error.ctx, param)


def _param(context: typer.Context, option: str) -> Any:
    """Return the parameter that an option sets, or None."""
    return next((each for each in context.command.params if option in each.opts), None)


def _origin(context: typer.Context | None, param: Any) -> str:
    """Tell where a wrong value comes from, if it was not typed."""
    source = context.get_parameter_source(param.name) if context and param else None
    if source is not None and source.name == "DEFAULT_MAP":
        return " (from the config file)"
    if source is not None and source.name == "ENVIRONMENT":
        return f" (from the environment: {param.envvar})"
    return ""


def warning_text(context: typer.Context, message: str) -> str:
    """Return a warning, with the option in place of a setting that it begins with."""
    return _SETTING_AT_START.sub(lambda match: option_name(context, match[0]), message)


def system_error_text(error: OSError) -> str:
    """Return the message of an error of the system: the path, what is wrong, and what to do."""
    reason = error.strerror or str(error) or type(error).__name__
    hint = HINTS.get(error.errno or 0, "check the path and its rights")
    if not isinstance(error.filename, str | bytes):
        return f"{reason}; {hint}" if error.errno in HINTS else reason
    return f"{path_text(os.fsdecode(error.filename))}: {reason}; {hint}"


def is_of_stdout(error: OSError) -> bool:
    """Tell whether an error comes from writing to stdout: its disk is full, or nobody reads.

    Such an error names no file. Whoever writes another file translates its errors.
    """
    return error.errno in (errno.ENOSPC, errno.EPIPE) and error.filename is None


def shorten_line(line: str) -> str:
    """Return a line without the middle of it, where it is too long for a terminal."""
    half = LONGEST_LINE // 2 - 2
    return line if len(line) <= LONGEST_LINE else f"{line[:half]}...{line[-half:]}"


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
