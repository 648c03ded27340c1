"""A folder of adapters, which prompts name.

A name is compared with those of the files that lie there: no path is made of a prompt's text, and
links that lead out of the folder are passed over.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Final

from diffusion.adapters.adapter import hash_of_file
from diffusion.checkpoints.folder_files import files_below
from diffusion.checkpoints.hub import cached_model
from diffusion.checkpoints.hub.model_names import is_model_name
from diffusion.checkpoints.safetensors import open_safetensors
from diffusion.errors import ModelError, SettingsError, quote

__all__ = ["NO_LORAS", "LoraFolder"]

_HEADER_LIMIT: Final = 100_000_000
_END: Final = ".safetensors"
_NO_ALIASES: Final = frozenset({"", "none", "Addams"})
"""Names that trainers write where they have none."""


class LoraFolder:
    """The ``.safetensors`` files of a folder and the folders in it; None is one without files.

    A file is found by its name without the end, by its path within the folder, or by the name that
    its trainer gave it (``ss_output_name``); else in the Hub's cache, as ``owner/name`` where that
    holds one file. Raises `SettingsError` for a folder that is none.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self._files: Mapping[str, Path] = {}
        self._look()

    def _look(self) -> None:
        """Find the files that lie there now."""
        self._files = {} if self.folder is None else _find_files(self.folder)
        self.__dict__.pop("_aliases", None)
        self.__dict__.pop("_hashes", None)

    def __bool__(self) -> bool:
        return self.folder is not None

    @property
    def names(self) -> list[str]:
        """Paths within the folder, without the end."""
        return sorted(self._files)

    def find(self, name: str) -> Path:
        """Return the file of a name, which may be newer than this. Raises `SettingsError`."""
        found = self.matches(name)
        if not found and self.folder is not None:
            self._look()
            found = self.matches(name)
        if len(found) == 1:
            return found[0]
        if not found and (cached := _find_cached(name)) is not None:
            return cached
        if found:
            ours = sorted(key for key, path in self._files.items() if path in found)
            hint = f"several files have this name; write one of {', '.join(map(quote, ours[:5]))}"
            raise SettingsError("lora", name, hint)
        if self.folder is None:
            raise SettingsError("lora", name, "name the folder it lies in (--loras FOLDER)")
        raise SettingsError("lora", name, self._missing(name))

    def matches(self, name: str) -> list[Path]:
        """Return all files of a name; by the trainer's name only one that no other file has."""
        if name in self._files:
            return [self._files[name]]
        found = [path for key, path in self._files.items() if key.rpartition("/")[2] == name]
        if found or name in _NO_ALIASES:
            return found
        aliased = self._aliases.get(name, [])
        return aliased if len(aliased) == 1 else []

    def find_hash(self, digest: str) -> str | None:
        """Return the name of the file with a hash, or None. It reads all files at first."""
        return self._hashes.get(digest)

    def _missing(self, name: str) -> str:
        """Return what is wrong with a name that no file has."""
        stems = {key.rpartition("/")[2] for key in self._files}
        near = get_close_matches(name, stems, 3)
        meant = f"; did you mean {' or '.join(map(quote, near))}?" if near else ""
        folder = quote("" if self.folder is None else self.folder.name)
        return f"the folder {folder} has no such .safetensors file{meant}"

    @cached_property
    def _aliases(self) -> dict[str, list[Path]]:
        """The files by the names that their trainers gave them."""
        found: dict[str, list[Path]] = {}
        for path in self._files.values():
            try:
                metadata = open_safetensors(path, header_limit=_HEADER_LIMIT).metadata
            except ModelError:
                continue  # it is told when its own name is asked for
            found.setdefault(metadata.get("ss_output_name", ""), []).append(path)
        return found

    @cached_property
    def _hashes(self) -> dict[str, str]:
        return {hash_of_file(path): name for name, path in self._files.items()}


NO_LORAS: Final = LoraFolder(None)


def _find_cached(name: str) -> Path | None:
    """Return the one ``.safetensors`` file of a repository in the Hub's cache, or None."""
    found = cached_model(name) if is_model_name(name) else None
    return found.path if found is not None and found.path.suffix == _END else None


def _find_files(folder: Path) -> dict[str, Path]:
    """Return the files below a folder by name. Raises `SettingsError`."""
    files = files_below(folder, (_END,), "loras")
    return {name.removesuffix(_END): path for name, path in files.items()}
