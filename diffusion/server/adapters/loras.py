"""The LoRA files that prompts may name, as clients see them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from diffusion.adapters import LoraFolder
from diffusion.checkpoints.safetensors import open_safetensors
from diffusion.errors import DiffusionError, ModelError
from diffusion.server.adapters.folder_errors import reading_folder
from diffusion.server.errors import ConfigurationError

__all__ = ["LoraEntry", "LoraTable"]

_HEADER_LIMIT: Final = 100_000_000
_LONGEST_NOTE: Final = 4096
"""Characters of a note in a file's header; trainers write whole tables of words there."""


@dataclass(frozen=True)
class LoraEntry:
    """A LoRA: its name in prompts, its trainer's name for it, and the notes in its header."""

    name: str
    alias: str
    notes: Mapping[str, str] = field(repr=False)


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


def _read_entry(name: str, file: Path) -> LoraEntry:
    try:
        notes = open_safetensors(file, header_limit=_HEADER_LIMIT).metadata
    except ModelError:  # who draws with it gets the reason
        notes = {}
    short = {key: text for key, text in notes.items() if len(text) <= _LONGEST_NOTE}
    return LoraEntry(name, short.get("ss_output_name", "") or name.rpartition("/")[2], short)
