"""A folder of textual inversions, whose words are looked for in prompts."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Final

from diffusion.checkpoints.folder_files import files_below
from diffusion.errors import ModelError
from diffusion.text.inversions.inversion_file import hash_of_inversion, token_of

__all__ = ["NO_INVERSIONS", "InversionFolder"]

_END: Final = ".safetensors"
_PICKLES: Final = (".pt", ".bin")
"""Files that are not opened: one that a prompt names is refused, and the error says what to do."""


class InversionFolder:
    """The embeddings of a folder and the folders in it; None is one without files.

    A word is a file's name without its end, or the token that diffusers wrote into the file. Raises
    `SettingsError` for a folder that is none.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self._files = [] if folder is None else _find_files(folder)

    def __bool__(self) -> bool:
        return self.folder is not None

    @cached_property
    def words(self) -> Mapping[str, list[Path]]:
        """The files of each word; several where folders have files of the same name."""
        found: dict[str, list[Path]] = {}
        for path in self._files:
            found.setdefault(path.stem, []).append(path)
        for path in self._files:
            token = _read_token(path)
            if token is not None and token not in found:
                found[token] = [path]
        return found

    def find_hash(self, digest: str) -> Path | None:
        """Return the file with a hash, or None. It reads all files at first."""
        return self._hashes.get(digest)

    @cached_property
    def _hashes(self) -> dict[str, Path]:
        return {hash_of_inversion(path): path for path in self._files if path.suffix == _END}


NO_INVERSIONS: Final = InversionFolder(None)


def _find_files(folder: Path) -> list[Path]:
    """Return the files below a folder, without pickles beside which a converted file lies."""
    files = files_below(folder, (_END, *_PICKLES), "embeddings")
    return [
        path
        for name, path in sorted(files.items())
        if path.suffix == _END or str(Path(name).with_suffix(_END).as_posix()) not in files
    ]


def _read_token(path: Path) -> str | None:
    """Return the token in a file; None, too, for a damaged file: it is told when it is used."""
    try:
        return token_of(path) if path.suffix == _END else None
    except ModelError:
        return None
