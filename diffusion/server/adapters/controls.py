"""The control networks that requests may name, as clients see them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from diffusion.checkpoints.control import find_file, short_hash
from diffusion.control import ControlFolder
from diffusion.errors import DiffusionError, ModelError
from diffusion.server.adapters.control_kinds import ControlKind, kind_of_control
from diffusion.server.adapters.folder_errors import reading_folder
from diffusion.server.errors import ConfigurationError

__all__ = ["ControlEntry", "ControlTable"]


@dataclass(frozen=True)
class ControlEntry:
    """A control network. ``digest``: eight digits, as the WebUI's extension; None if unreadable.

    ``kind``: see `kind_of_control`.
    """

    name: str
    digest: str | None
    kind: ControlKind | None = None

    @property
    def title(self) -> str:
        """The name with the digits: ``name [01234567]``."""
        return self.name if self.digest is None else f"{self.name} [{self.digest}]"


class ControlTable:
    """The control networks of a folder; none if there is none. Raises `ConfigurationError`."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = ControlFolder(folder)
        self._entries: Sequence[ControlEntry] | None = None
        try:
            len(self._folder.names)
        except DiffusionError as error:
            raise ConfigurationError(str(error)) from error

    async def entries(self) -> Sequence[ControlEntry]:
        """Return the networks that were found at the last look."""
        if self._entries is None:
            await self.refresh()
        return self._entries or []

    async def refresh(self) -> None:
        """Look for networks again."""
        self._entries = await asyncio.to_thread(self._scan)

    def full_name(self, name: str) -> str:
        """Return the name of a network that a request names, with or without its digits.

        It may look into the folder, so call it on a thread. Raises `SettingsError` with near names.
        """
        with reading_folder("controls"):
            return self._folder.full_name(name)

    def _scan(self) -> list[ControlEntry]:
        folder = ControlFolder(self._folder.folder)
        with reading_folder("controls"):
            found = [_read_entry(name, folder.find(name)) for name in folder.names]
        self._folder = folder
        return found


def _read_entry(name: str, place: Path) -> ControlEntry:
    try:
        digest: str | None = short_hash(find_file(place))
    except ModelError:  # who draws with it gets the reason
        digest = None
    return ControlEntry(name, digest, kind_of_control(place))
