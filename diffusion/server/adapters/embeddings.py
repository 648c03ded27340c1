"""The words that prompts may have by textual inversion, as clients see them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from diffusion.errors import DiffusionError, ModelError, path_text
from diffusion.server.adapters.folder_errors import reading_folder
from diffusion.server.errors import ConfigurationError
from diffusion.server.model_files import ModelFiles
from diffusion.text.inversions import InversionFolder, read_inversion, shape_of_inversion

__all__ = ["EmbeddingEntry", "EmbeddingTable"]

_ENDS: Final = 2
"""The tokens of a chunk that are no words: its start and its end."""


@dataclass(frozen=True)
class EmbeddingEntry:
    """A word: how many vectors of which width it stands for. Both are 0 for a damaged file.

    ``problem``: why a model cannot draw with it; None where it can.
    """

    name: str
    vectors: int
    width: int
    problem: str | None


class EmbeddingTable:
    """The words of a folder; none where there is no folder. Raises `ConfigurationError`."""

    def __init__(self, folder: Path | None, files: ModelFiles) -> None:
        self._path, self._files = folder, files
        self._by_model: dict[Path, Sequence[EmbeddingEntry]] = {}
        try:
            self._folder = InversionFolder(folder)
        except DiffusionError as error:
            raise ConfigurationError(str(error)) from error

    async def entries(self, model: Path) -> Sequence[EmbeddingEntry]:
        """Return the words, as a model sees them. Raises `ModelError` for a broken model."""
        if model not in self._by_model:
            self._by_model[model] = await asyncio.to_thread(self._scan, model)
        return self._by_model[model]

    async def refresh(self) -> None:
        """Look for files again."""
        with reading_folder("embeddings"):
            self._folder = await asyncio.to_thread(InversionFolder, self._path)
        self._by_model.clear()

    def _scan(self, model: Path) -> list[EmbeddingEntry]:
        if not self._folder:
            return []
        encoders = self._files.open(model).text_encoders
        widths: dict[str, int] = {part: each.hidden_size for part, each in encoders.items()}
        most = min(each.max_position_embeddings for each in encoders.values()) - _ENDS
        words = sorted(self._folder.words.items())
        return [_read_entry(word, files, widths, most) for word, files in words]


def _read_entry(
    word: str, files: Sequence[Path], widths: Mapping[str, int], most: int
) -> EmbeddingEntry:
    file, problem = files[0], None
    try:
        vectors, width = shape_of_inversion(file)
    except ModelError as error:
        return EmbeddingEntry(word, 0, 0, _reason(error, file))
    if len(files) > 1:
        problem = "several files have this word; rename all but one of them"
    else:
        try:
            read_inversion(file, word, widths, most)
        except ModelError as error:
            problem = _reason(error, file)
    return EmbeddingEntry(word, vectors, width, problem)


def _reason(error: ModelError, file: Path) -> str:
    """Return what an error says, with the file's name in place of its path."""
    return str(error).replace(path_text(file), file.name)
