"""A folder of wildcards: text files whose lines stand for ``__name__`` in a template.

A name is a path within the folder. It never leaves it: names are compared with those of the files
that lie there, so that no path is made of a prompt's text; links that lead out are passed over.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from diffusion.errors import SettingsError, quote

__all__ = ["NO_WILDCARDS", "Wildcards"]

LARGEST_FILE: Final = 4 * 2**20
MOST_FILES: Final = 20_000


class Wildcards:
    """The text files of a folder and the folders in it, by their paths without ``.txt``.

    None is a folder without files. Raises `SettingsError` for a folder that is none, or of more
    than 20,000 files.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._files: Mapping[str, Path] = {} if folder is None else _find_files(folder)
        self._lines: dict[str, Sequence[str]] = {}

    def lines(self, name: str) -> Sequence[str]:
        """Return the lines of all files of a name, in which ``*`` stands for any characters.

        Empty lines, and those that open with ``#``, are left out. Raises `SettingsError`.
        """
        if self._folder is None:
            hint = "name the folder of its file, with --wildcards FOLDER"
            raise SettingsError("prompt", f"__{name}__", hint)
        if name not in self._lines:
            found = sorted(each for each in self._files if fnmatchcase(each, name))
            lines = [line for each in found for line in _read_lines(self._files[each])]
            if not lines:
                raise SettingsError("prompt", f"__{name}__", self._missing(name, bool(found)))
            self._lines[name] = lines
        return self._lines[name]

    def _missing(self, name: str, found: bool) -> str:
        """Return what is wrong with a name that has no lines."""
        if found:
            return "its file has no lines"
        near = get_close_matches(name, self._files, 3)
        meant = f"; did you mean {' or '.join(f'__{each}__' for each in near)}?" if near else ""
        return f"the folder {quote(str(self._folder))} has no such text file{meant}"


NO_WILDCARDS: Final = Wildcards(None)


def _find_files(folder: Path) -> dict[str, Path]:
    """Return the text files below a folder by name. Raises `SettingsError`."""
    if not folder.is_dir():
        raise SettingsError("wildcards", str(folder), "must be a folder of text files")
    root, files = folder.resolve(), {}
    for place, _, names in os.walk(root):
        for name in names:
            path = Path(place, name)
            if path.suffix == ".txt" and path.resolve().is_relative_to(root) and path.is_file():
                files[path.relative_to(root).with_suffix("").as_posix()] = path
            if len(files) > MOST_FILES:
                hint = f"has more than {MOST_FILES} text files; name a smaller folder"
                raise SettingsError("wildcards", str(folder), hint)
    return files


def _read_lines(path: Path) -> list[str]:
    """Return the lines of a file. Raises `SettingsError`."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise SettingsError("wildcards", str(path), f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError("wildcards", str(path), "must be UTF-8 text") from None
    if len(content) > LARGEST_FILE:
        raise SettingsError("wildcards", str(path), f"must have at most {LARGEST_FILE} bytes")
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]
