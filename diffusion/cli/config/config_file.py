"""The config file: options by name, for all commands that draw or for one of them.

::

    steps = 30                  # every command that draws
    output = "~/Pictures/{date}/"

    [img2img]
    strength = 0.5              # this command alone
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import platformdirs
import tomlkit
from tomlkit.exceptions import TOMLKitError

from diffusion.errors import OutputError, SettingsError, escape

__all__ = ["OFF", "VARIABLE", "ConfigFile", "Value", "change_config", "find_config_file"]

VARIABLE: Final = "AVILA_CONFIG"
"""The environment variable that names another config file."""

OFF: Final = "off"
"""The value of `VARIABLE` with which no file is read."""

LARGEST_FILE: Final = 1 << 20

Value = str | int | float | bool | list[str]


def find_config_file() -> Path | None:
    """Return the place of the config file, or None where there is none by the user's wish."""
    named = os.environ.get(VARIABLE, "")
    if named == OFF:
        return None
    folder = platformdirs.user_config_path("avila", appauthor=False)
    return Path(named).expanduser() if named else folder / "config.toml"


@dataclass(frozen=True)
class ConfigFile:
    """A config file's tables. The one called "" holds what is for all commands that draw."""

    path: Path
    tables: Mapping[str, Mapping[str, Value]]

    @classmethod
    def read(cls, path: Path) -> ConfigFile:
        """Return what a file says; a missing one is empty. Raises `SettingsError`."""
        try:
            with path.open("rb") as file:
                data = file.read(LARGEST_FILE + 1)
        except FileNotFoundError:
            return cls(path, {})
        except OSError as error:
            raise SettingsError("config file", str(path), f"it cannot be read: {error}") from error
        if len(data) > LARGEST_FILE:
            raise SettingsError("config file", str(path), f"it has over {LARGEST_FILE} bytes")
        try:
            found: dict[str, Any] = tomllib.loads(data.decode())
        except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
            raise SettingsError("config file", str(path), f"it is not TOML: {error}") from error
        tables = {name: value for name, value in found.items() if isinstance(value, dict)}
        own = {name: value for name, value in found.items() if not isinstance(value, dict)}
        return cls(path, {"": own, **tables})

    def error(self, table: str, key: str, reason: str, hint: str = "") -> SettingsError:
        """Return the error of a key."""
        place = f"[{escape(table)}] {escape(key)}" if table else escape(key)
        more = f"; {hint}" if hint else ""
        return SettingsError("config file", str(self.path), f"{place} {reason}{more}")


def change_config(path: Path, table: str, key: str, value: Value | None) -> None:
    """Set a key in a file, or remove it where ``value`` is None; all else in the file stays.

    Raises `SettingsError` for a damaged file, `OutputError` where it cannot be written.
    """
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        document = tomlkit.parse(text)
        place: Any = document
        if table:
            place = document.setdefault(table, tomlkit.table())
        if value is not None:
            place[key] = value
        elif key in place:
            del place[key]
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        draft.write_text(tomlkit.dumps(document), encoding="utf-8")
        draft.replace(path)
    except (UnicodeDecodeError, TOMLKitError) as error:
        raise SettingsError("config file", str(path), f"it is not TOML: {error}") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(path, reason, "name another file by AVILA_CONFIG") from error
