"""What a client is told of a job that fails: whose fault it is, and no place of a file."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from diffusion.errors import ModelError, SettingsError, path_text

__all__ = ["failure_text", "is_wrong_input"]


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


def failure_text(error: Exception, folders: Iterable[Path]) -> str:
    """Return what an error says, with the names of files in ``folders`` in place of their paths."""
    text = str(error)
    for each in folders:
        for place in (each, each.resolve()):
            text = text.replace(f"{path_text(place)}{os.sep}", "")
            text = text.replace(path_text(place), place.name)
    return text
