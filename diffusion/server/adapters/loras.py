"""The LoRA files that prompts may name, as clients see them."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Final

from diffusion.adapters import LoraFolder
from diffusion.adapters.family import family_title, text_widths
from diffusion.checkpoints.safetensors import open_safetensors
from diffusion.errors import DiffusionError, ModelError
from diffusion.server.adapters.folder_errors import reading_folder
from diffusion.server.errors import ConfigurationError
from diffusion.server.model_files import ModelFiles

__all__ = ["LoraEntry", "LoraTable", "text_width_of"]

_HEADER_LIMIT: Final = 100_000_000
_LONGEST_NOTE: Final = 4096
"""Characters of a note in a file's header; trainers write whole tables of words there."""
_LONGEST_TABLE: Final = 4 << 20
_MOST_WORDS: Final = 12
_LONGEST_WORD: Final = 100


@dataclass(frozen=True)
class LoraEntry:
    """A LoRA: its name in prompts, its trainer's name for it, and the notes in its header.

    ``words``: those that it was trained with, the most frequent first. ``widths``: of the text that
    its model reads. ``damage``: why it cannot be read; None where it can.
    """

    name: str
    alias: str
    notes: Mapping[str, str] = field(repr=False)
    words: Sequence[str] = ()
    widths: frozenset[int] = frozenset()
    damage: str | None = None

    def problem(self, width: int) -> str | None:
        """Return why a model that reads text of a width cannot draw with it; None where it can."""
        if self.damage is not None or not self.widths or width in self.widths:
            return self.damage
        return f"it was made for {family_title(self.widths)}"


class LoraTable:
    """The LoRAs of a folder; none where there is no folder. Raises `ConfigurationError`."""

    def __init__(self, folder: Path | None) -> None:
        self._path = folder
        self._entries: Sequence[LoraEntry] | None = None
        try:
            LoraFolder(folder)
        except DiffusionError as error:
            raise ConfigurationError(str(error)) from error

    async def entries(self) -> Sequence[LoraEntry]:
        """Return the LoRAs that were found at the last look."""
        if self._entries is None:
            await self.refresh()
        return self._entries or []

    async def refresh(self) -> None:
        """Look for LoRAs again. Workers do so themselves where a prompt names an unknown one."""
        self._entries = await asyncio.to_thread(self._scan)

    def _scan(self) -> list[LoraEntry]:
        with reading_folder("loras"):
            folder = LoraFolder(self._path)
        return [_read_entry(name, folder.find(name)) for name in folder.names]


@lru_cache(maxsize=64)
def text_width_of(model: Path, files: ModelFiles) -> int:
    """Return the width of the text that a model reads. Raises `ModelError`."""
    return files.open(model).unet.cross_attention_dim


def _read_entry(name: str, path: Path) -> LoraEntry:
    last = name.rpartition("/")[2]
    try:
        file = open_safetensors(path, header_limit=_HEADER_LIMIT)
    except ModelError as error:
        return LoraEntry(name, last, {}, damage=str(error).replace(str(path), path.name))
    notes = file.metadata
    short = {key: text for key, text in notes.items() if len(text) <= _LONGEST_NOTE}
    alias = short.get("ss_output_name", "") or last
    return LoraEntry(name, alias, short, _trained_words(notes), text_widths(file))


def _trained_words(notes: Mapping[str, str]) -> Sequence[str]:
    """Return the phrase that a file names, and its most frequent tags (``ss_tag_frequency``)."""
    phrase = notes.get("modelspec.trigger_phrase", "")[:_LONGEST_WORD].strip()
    words = [phrase] if phrase else []
    try:
        tables = json.loads(notes.get("ss_tag_frequency", "{}")[: _LONGEST_TABLE + 1])
    except (ValueError, RecursionError):
        return words
    counts: Counter[str] = Counter()
    for table in tables.values() if isinstance(tables, dict) else ():
        for word, count in table.items() if isinstance(table, dict) else ():
            if isinstance(count, int) and 0 < len(word.strip()) <= _LONGEST_WORD:
                counts[word.strip()] += count
    words += [word for word, _ in counts.most_common(_MOST_WORDS)]
    return list(dict.fromkeys(words))[:_MOST_WORDS]
