"""The VAEs that requests may name in place of a model's own, as clients see them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from diffusion.control import FolderWords, NetworkFolder
from diffusion.errors import DiffusionError
from diffusion.server.adapters.folder_errors import reading_folder
from diffusion.server.errors import ConfigurationError

__all__ = ["VaeFolder", "VaeTable"]

_END: Final = ".safetensors"


class VaeFolder(NetworkFolder):
    """The VAEs of a folder: files, and folders in the diffusers layout."""

    words = FolderWords("vaes", "vae", "VAE")


class VaeTable:
    """The VAEs of a folder; none if there is none. Raises `ConfigurationError`."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = VaeFolder(folder)
        try:
            len(self._folder.names)
        except DiffusionError as error:
            raise ConfigurationError(str(error)) from error

    @property
    def names(self) -> Sequence[str]:
        """The names that requests may give."""
        return self._folder.names

    @property
    def file_names(self) -> Sequence[str]:
        """The names as AUTOMATIC1111 lists them: with the end of a file."""
        places = [(name, self._folder.find(name)) for name in self.names]
        return [name if place.is_dir() else name + place.suffix for name, place in places]

    def refresh(self) -> None:
        """Look for VAEs again. Raises `UnavailableError`."""
        found = VaeFolder(self._folder.folder)
        with reading_folder("vaes"):
            len(found.names)
        self._folder = found

    def full_name(self, name: str) -> str:
        """Return the name of a VAE that a request names, with or without the end of its file.

        Raises `SettingsError` with near names.
        """
        with reading_folder("vaes"):
            return self._folder.full_name(_without_end(name))

    def file_name(self, name: str) -> str:
        """Return a name as `file_names` has it. Raises `SettingsError` with near names."""
        full = self.full_name(name)
        return dict(zip(self.names, self.file_names, strict=True))[full]

    def find(self, name: str) -> Path:
        """Return the place of a VAE. Raises `SettingsError` with near names."""
        return self._folder.find(self.full_name(name))

    def made_for(self, model: str) -> str | None:
        """Return the VAE that AUTOMATIC1111 takes for a model by itself; None for the model's own.

        It has the model's name and then ``.vae``.
        """
        asked = f"{_without_end(model)}.vae"
        return next((name for name in self.names if name.rpartition("/")[2] == asked), None)


def _without_end(name: str) -> str:
    """Return a name without the end of a file."""
    return name[: -len(_END)] if name.lower().endswith(_END) else name
