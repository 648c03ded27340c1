"""The folder that the names of control networks are found in."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from diffusion.errors import SettingsError, quote

__all__ = ["NO_CONTROLS", "ControlFolder"]

_END: Final = ".safetensors"
_CONFIG: Final = "config.json"
_MOST: Final = 10_000
_HASH: Final = re.compile(r"\s*\[[0-9a-f]{8,64}\]$")


class ControlFolder:
    """Control networks by name: paths within a folder, without the end; also their last parts.

    ``folder``: None for no folder. A network is a ``.safetensors`` file, or a folder with a
    ``config.json`` and weights.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self._found: Mapping[str, Path] | None = None

    @property
    def _places(self) -> Mapping[str, Path]:
        if self._found is None:
            self._found = {} if self.folder is None else _find_networks(self.folder)
        return self._found

    @property
    def names(self) -> list[str]:
        """Paths within the folder, without the end."""
        return sorted(self._places)

    def has(self, name: str) -> bool:
        """Tell whether one network has a name."""
        try:
            self.find(name)
        except SettingsError:
            return False
        return True

    def find(self, name: str) -> Path:
        """Return the place of a name, which may be newer than this. Raises `SettingsError`.

        A hash may stand behind the name.
        """
        return self._places[self.full_name(name)]

    def full_name(self, name: str) -> str:
        """Return the path within the folder that a name stands for. Raises as `find`."""
        plain = _HASH.sub("", name)
        found = self._matches(plain)
        if not found and self.folder is not None:
            self._found = None
            found = self._matches(plain)
        if len(found) == 1:
            return found[0]
        if found:
            hint = f"several have this name; write one of {', '.join(map(quote, found[:5]))}"
            raise SettingsError("control model", name, hint)
        if self.folder is None:
            hint = "name the folder it lies in (--controls FOLDER)"
            raise SettingsError("control model", name, hint)
        near = get_close_matches(plain[:100], [each.rpartition("/")[2] for each in self.names], 3)
        meant = f"; did you mean {' or '.join(map(quote, near))}?" if near else ""
        hint = f"the folder {quote(self.folder.name)} has no such control network{meant}"
        raise SettingsError("control model", name, hint)

    def _matches(self, plain: str) -> list[str]:
        if plain in self._places:
            return [plain]
        return [name for name in self.names if name.rpartition("/")[2] == plain]


NO_CONTROLS: Final = ControlFolder(None)


def _find_networks(folder: Path) -> dict[str, Path]:
    """Return the networks below a folder by name. Raises `SettingsError`."""
    if not folder.is_dir():
        raise SettingsError("controls", str(folder), "must be a folder of control networks")
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
            raise SettingsError("controls", str(folder), hint)
    return found
