"""Values of an infotext by key, read as what they should be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from diffusion.errors import SettingsError

__all__ = ["Fields", "read_bool", "read_float", "read_int"]

T = TypeVar("T")

_MOST_DIGITS: Final = 40


class Fields:
    """Values by key, each with a reader of its own. Raises `SettingsError` under the key."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._settings = settings

    def get(self, key: str, read: Callable[[str], T | None]) -> T | None:
        """Return the value, or None where there is none."""
        text = self._settings.get(key)
        if text is None:
            return None
        try:
            return read(text)
        except ValueError:
            raise SettingsError(key, text, "this is not a value of this field") from None


def read_int(text: str) -> int:
    """Return a whole number. Raises `ValueError`."""
    if len(text) > _MOST_DIGITS:
        raise ValueError(text)
    return int(text)


def read_float(text: str) -> float:
    """Return a number. Raises `ValueError`."""
    if len(text) > _MOST_DIGITS:
        raise ValueError(text)
    return float(text)


def read_bool(text: str) -> bool:
    """Return True or False. Raises `ValueError`."""
    if text not in ("True", "False"):
        raise ValueError(text)
    return text == "True"
