"""Folders that the names of networks are found in."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import ClassVar, Final, NamedTuple

from diffusion.control.choice import is_path
from diffusion.errors import SettingsError, quote

__all__ = ["NO_CONTROLS", "ControlFolder", "FolderWords", "NetworkFolder"]

_END: Final = ".safetensors"
_CONFIG: Final = "config.json"
_MOST: Final = 10_000
_HASH: Final = re.compile(r"\s*\[[0-9a-f]{8,64}\]$")


class FolderWords(NamedTuple):
    """The words of errors: a folder's ``option``, the setting's ``field``, and the ``network``."""

    option: str
    field: str
    network: str


_ADAPTER_WORDS: Final = FolderWords("controls", "ip adapter", "IP-Adapter")
_ENCODER_WORDS: Final = FolderWords("controls", "ip encoder", "image encoder")


class NetworkFolder:
    """Networks by name: paths within a folder, without the end; also their last parts.

    ``folder``: None for no folder. A network is a ``.safetensors`` file, or a folder with a
    ``config.json`` and weights.
    """

    words: ClassVar[FolderWords]

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self._found: Mapping[str, Path] | None = None

    @property
    def _places(self) -> Mapping[str, Path]:
        if self._found is None:
            self._found = {} if self.folder is None else self._look(self.folder)
        return self._found

    @property
    def names(self) -> list[str]:
        """Paths within the folder, without the end."""
        return sorted(self._places)

    @property
    def only(self) -> str | None:
        """The name of the one network of the folder; None where there are none, or several."""
        return self.names[0] if len(self._places) == 1 else None

    def has(self, name: str) -> bool:
        """Tell whether one network has a name."""
        try:
            self.find(name)
        except SettingsError:
            return False
        return True

    def find(self, name: str, words: FolderWords | None = None) -> Path:
        """Return the place of a name, which may be newer than this. Raises `SettingsError`.

        A hash may stand behind the name. ``words``: of errors, in place of the folder's.
        """
        return self._places[self.full_name(name, words)]

    def full_name(self, name: str, words: FolderWords | None = None) -> str:
        """Return the path within the folder that a name stands for. Raises as `find`."""
        plain, words = _HASH.sub("", name), words or self.words
        found = self._matches(plain)
        if not found and self.folder is not None:
            self._found = None
            found = self._matches(plain)
        if len(found) == 1:
            return found[0]
        if found:
            hint = f"several have this name; write one of {', '.join(map(quote, found[:5]))}"
            raise SettingsError(words.field, name, hint)
        if self.folder is None:
            hint = f"name the folder it lies in (--{words.option} FOLDER)"
            raise SettingsError(words.field, name, hint)
        near = get_close_matches(plain[:100], [each.rpartition("/")[2] for each in self.names], 3)
        meant = f"; did you mean {' or '.join(map(quote, near))}?" if near else ""
        hint = f"the folder {quote(self.folder.name)} has no such {words.network}{meant}"
        raise SettingsError(words.field, name, hint)

    def _matches(self, plain: str) -> list[str]:
        if plain in self._places:
            return [plain]
        return [name for name in self.names if name.rpartition("/")[2] == plain]

    def _look(self, folder: Path) -> dict[str, Path]:
        """Return the networks below a folder by name. Raises `SettingsError`."""
        option, _, network = self.words
        if not folder.is_dir():
            raise SettingsError(option, str(folder), f"must be a folder of {network}s")
        root, found = folder.resolve(), {}
        for place, folders, names in os.walk(root):
            if _CONFIG in names and Path(place) != root:
                found[Path(place).relative_to(root).as_posix()] = Path(place)
                folders.clear()
                continue
            for name in names:
                path = Path(place, name)
                if path.suffix == _END and path.resolve().is_relative_to(root) and path.is_file():
                    found[path.relative_to(root).with_suffix("").as_posix()] = path
            if len(found) > _MOST:
                hint = f"has more than {_MOST} files; name a smaller folder"
                raise SettingsError(option, str(folder), hint)
        return found


class ControlFolder(NetworkFolder):
    """The ControlNets, T2I-Adapters, IP-Adapters and image encoders of a folder."""

    words = FolderWords("controls", "control model", "control network")

    def find_adapter(self, name: str | Path) -> Path:
        """Return the place of an IP-Adapter's name; a path is one itself. Raises as `find`."""
        return Path(name) if is_path(name) else self.find(str(name), _ADAPTER_WORDS)

    def find_encoder(self, name: str | Path) -> Path:
        """Return the place of an image encoder's name, likewise. Raises as `find`."""
        return Path(name) if is_path(name) else self.find(str(name), _ENCODER_WORDS)


NO_CONTROLS: Final = ControlFolder(None)
