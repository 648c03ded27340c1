"""Which options a config file and the environment may set, and their values for a command."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from diffusion.cli.config.config_file import ConfigFile, Value, find_config_file
from diffusion.errors import quote

__all__ = [
    "CONFIGURED",
    "DRAWING",
    "NOT_SET",
    "check_config",
    "default_values",
    "environment_name",
    "keys_of",
]

DRAWING: Final = ("txt2img", "img2img", "inpaint", "upscale")
"""Commands that the keys without a table are for."""

CONFIGURED: Final = (*DRAWING, "tune")
"""Commands whose options a config file and the environment may set."""

NOT_SET: Final = {
    *(
        "again",
        "debug",
        "from",
        "grid",
        "grid-pictures",
        "help",
        "hires-first",
        "prompts",
        "restart",
    ),
}
"""Options that are about one run alone."""


def environment_name(key: str) -> str:
    """Return the environment variable that sets an option: ``AVILA_CLIP_SKIP``."""
    return "AVILA_" + key.upper().replace("-", "_")


def keys_of(parameters: Iterable[Any]) -> dict[str, Any]:
    """Return the parameters that may be set, by key: the option's name without hyphens first."""
    return {
        name[2:]: each
        for each in parameters
        for name in each.opts
        if name.startswith("--") and name[2:] not in NOT_SET
    }


def default_values(command: str, commands: Mapping[str, Sequence[Any]]) -> dict[str, Any] | None:
    """Return a command's defaults by parameter, from the config file. Raises `SettingsError`.

    ``commands``: the parameters of each command.
    """
    path = find_config_file()
    if path is None:
        return None
    file = ConfigFile.read(path)
    check_config(file, commands)
    found: dict[str, Any] = {}
    if command in DRAWING:
        found |= file.tables.get("", {})
    found |= file.tables.get(command, {})
    known = keys_of(commands[command])
    return {known[key].name: _as_typed(value) for key, value in found.items() if key in known}


def check_config(file: ConfigFile, commands: Mapping[str, Sequence[Any]]) -> None:
    """Raise `SettingsError` for a table that is no command, or a key that is no option of it.

    ``commands``: the parameters of each command.
    """
    for table, values in file.tables.items():
        if table and table not in commands:
            raise file.error(table, "", "is no command", f"tables are {', '.join(commands)}")
        known = {key for name in ([table] if table else DRAWING) for key in keys_of(commands[name])}
        for key, value in values.items():
            if key not in known:
                near = difflib.get_close_matches(key[:100], known, n=3)
                hint = (
                    f"did you mean {' or '.join(near)}?" if near else "avila config keys lists them"
                )
                raise file.error(table, key, "is no option that a config sets", hint)
            if not _is_value(value):
                raise file.error(
                    table, key, f"must be a text, a number or a truth, got {quote(value)}"
                )


def _is_value(value: object) -> bool:
    if isinstance(value, list):
        return all(isinstance(each, str) for each in value)
    return isinstance(value, str | int | float | bool)


def _as_typed(value: Value) -> Any:
    """Return a value as it would be typed, so that it is checked alike."""
    if isinstance(value, bool):
        return value
    return [str(each) for each in value] if isinstance(value, list) else str(value)
