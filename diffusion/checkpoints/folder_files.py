"""The files of a folder that a user names, in which LoRAs and embeddings are found by name."""

from __future__ import annotations

import os
from collections.abc import Container
from pathlib import Path
from typing import Final

from diffusion.errors import SettingsError

__all__ = ["files_below"]

_MOST_FILES: Final = 20_000


def files_below(folder: Path, ends: Container[str], setting: str) -> dict[str, Path]:
    """Return the files below a folder with one of these ends, by their paths within it.

    Links that lead out of the folder are passed over. Raises `SettingsError` of ``setting`` for a
    folder that is none, or has too many files.
    """
    if not folder.is_dir():
        raise SettingsError(setting, str(folder), "must be a folder of .safetensors files")
    root, files = folder.resolve(), {}
    for place, _, names in os.walk(root):
        for name in names:
            path = Path(place, name)
            if path.suffix in ends and path.resolve().is_relative_to(root) and path.is_file():
                files[path.relative_to(root).as_posix()] = path
            if len(files) > _MOST_FILES:
                hint = f"has more than {_MOST_FILES} files; name a smaller folder"
                raise SettingsError(setting, str(folder), hint)
    return files
