"""A folder of upscalers, which settings name.

A name is compared with those of the files that lie there: no path is made of it, and links that
lead out of the folder are passed over.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from diffusion.checkpoints.folder_files import files_below
from diffusion.errors import SettingsError, quote
from diffusion.tasks import UPSCALERS

__all__ = ["NO_UPSCALERS", "UpscalerFolder"]

_END: Final = ".safetensors"
_LABELS: Final[Mapping[str, str]] = {
    "r-esrgan 2x+": "realesrgan_x2plus",
    "r-esrgan 4x+": "realesrgan_x4plus",
    "r-esrgan 4x+ anime6b": "realesrgan_x4plus_anime_6b",
    "r-esrgan animevideo": "realesr-animevideov3",
    "r-esrgan general 4xv3": "realesr-general-x4v3",
    "r-esrgan general wdn 4xv3": "realesr-general-wdn-x4v3",
    "esrgan_4x": "esrgan",
}
"""The WebUI's labels for files that it downloads by itself, and the names of these files."""
_MOST_NAMED: Final = 10


class UpscalerFolder:
    """The ``.safetensors`` files of a folder and the folders in it; None is one without files.

    A file is found by its path within the folder without the end, by the last part of it, or by
    the label that the WebUI has for it; capitals do not count. Raises `SettingsError` for a folder
    that is none.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self._files: Mapping[str, Path] = {}
        self._look()

    def _look(self) -> None:
        """Find the files that lie there now."""
        files = {} if self.folder is None else files_below(self.folder, (_END,), "upscalers")
        self._files = {name.removesuffix(_END): path for name, path in files.items()}

    @property
    def names(self) -> list[str]:
        """Paths within the folder, without the end."""
        return sorted(self._files)

    def has(self, name: str) -> bool:
        """Tell whether one file has a name."""
        return len(self._matches(name)) == 1

    def find(self, name: str | Path) -> Path:
        """Return the file of a name, which may be newer than this; a path is one itself.

        Raises `SettingsError`.
        """
        if isinstance(name, Path):
            return name
        found = self._matches(name)
        if not found and self.folder is not None:
            self._look()
            found = self._matches(name)
        if len(found) == 1:
            return self._files[found[0]]
        if found:
            hint = f"several files have this name; write one of {', '.join(map(quote, found[:5]))}"
            raise SettingsError("upscaler", name, hint)
        raise SettingsError("upscaler", name, self._missing(name))

    def _matches(self, name: str) -> list[str]:
        """Return the names of the files that a name stands for."""
        asked = name.casefold()
        asked = _LABELS.get(asked, asked)
        exact = [key for key in self.names if key.casefold() == asked]
        return exact or [key for key in self.names if key.rpartition("/")[2].casefold() == asked]

    def _missing(self, name: str) -> str:
        """Return what is wrong with a name that no file has."""
        ours = [key.rpartition("/")[2] for key in self.names]
        near = get_close_matches(name[:100], [*ours, *UPSCALERS.names], 3)
        meant = f"did you mean {' or '.join(near)}? " if near else ""
        every = [*sorted(UPSCALERS.names), *ours[:_MOST_NAMED]]
        rest = len(ours) - _MOST_NAMED
        more = f" and {rest} more in the folder" if rest > 0 else ""
        listed = f"{', '.join(every)}{more}"
        where = "; networks lie in a folder: --upscalers FOLDER" if self.folder is None else ""
        return f"{meant}(all: {listed}){where}" if near else f"give one of {listed}{where}"


NO_UPSCALERS: Final = UpscalerFolder(None)
