"""Choices of a unit that may be given by a name or by its number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from diffusion.errors import SettingsError

__all__ = ["MODE_NAMES", "PASS_NAMES", "RESIZE_NAMES", "choose"]

RESIZE_NAMES: Final = ("Just Resize", "Crop and Resize", "Resize and Fill")
MODE_NAMES: Final = ("balanced", "prompt", "control")
PASS_NAMES: Final = ("both", "base", "hires")


def choose(field: str, given: str | int, names: Sequence[str]) -> str:
    """Return a name, which may be given by its number. Raises `SettingsError`."""
    if isinstance(given, str):
        return given
    if not 0 <= given < len(names):
        raise SettingsError(field, given, f"must be 0 to {len(names) - 1}, or a name")
    return names[given]
