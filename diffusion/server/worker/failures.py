"""Whose fault it is that a job fails."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from diffusion.errors import ModelError, SettingsError

__all__ = ["is_wrong_input"]


def is_wrong_input(error: Exception, folders: Iterable[Path]) -> bool:
    """Tell whether a request is at fault: by a setting, or an adapter that does not fit its model.

    ``folders``: of the adapters.
    """
    if isinstance(error, SettingsError):
        return True
    place = getattr(error, "path", None) or getattr(error, "file", None)
    if not isinstance(error, ModelError) or place is None:
        return False
    return any(Path(place).is_relative_to(each.resolve()) for each in folders)
