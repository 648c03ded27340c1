"""What is told of a folder that was there when the server started, and cannot be read now."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from diffusion.errors import SettingsError
from diffusion.server.errors import UnavailableError

__all__ = ["reading_folder"]


@contextmanager
def reading_folder(setting: str) -> Iterator[None]:
    """Raise `UnavailableError`, which names no place, where the folder of a setting is gone."""
    try:
        yield
    except SettingsError as error:
        if error.field != setting:
            raise
        message = f"the folder of {setting} cannot be read now; ask who runs this server"
        raise UnavailableError(message) from error
