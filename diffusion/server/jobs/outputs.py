"""The output folder: pictures by day, under names made of numbers alone."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from pathlib import Path

from diffusion.errors import OutputError
from diffusion.server.errors import ConfigurationError, NotFoundError

__all__ = ["Outputs"]

_TEMPORARY = ".avila-*.part"


class Outputs:
    """The folder that pictures are written to. A file is there whole or not at all.

    Raises `ConfigurationError` where it cannot be made or written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.expanduser().absolute()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            probe = self.folder / ".avila-probe.part"
            probe.write_bytes(b"")
            for rest in self.folder.rglob(_TEMPORARY):
                rest.unlink(missing_ok=True)
        except OSError as error:
            message = f"{self.folder} cannot be written: {error.strerror}; choose another --output"
            raise ConfigurationError(message) from error

    def write(self, job: str, number: int, created: float, png: bytes) -> str:
        """Write a picture; return its name in the folder. Raises `OutputError`."""
        day = time.strftime("%Y-%m-%d", time.localtime(created))
        name = f"{day}/{job}-{number:03}.png"
        path = self.folder / name
        part = path.with_name(f".avila-{job}-{number}.part")
        try:
            path.parent.mkdir(exist_ok=True)
            part.write_bytes(png)
            os.replace(part, path)  # noqa: PTH105 - an atomic step, as everybody knows its name
        except OSError as error:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            hint = "make room there" if error.errno == errno.ENOSPC else "check the folder"
            raise OutputError(path, error.strerror or str(error), hint) from error
        return name

    def delete(self, name: str) -> None:
        """Delete a picture, if it is still there. ``name``: from the history.

        Raises `OutputError`.
        """
        try:
            self._path(name).unlink(missing_ok=True)
        except OSError as error:
            raise OutputError("the picture", error.strerror or str(error), "check it") from error

    def _path(self, name: str) -> Path:
        """Return the path of a picture. Raises `NotFoundError` where a link leads out."""
        path = self.folder / name
        if not path.resolve().is_relative_to(self.folder.resolve()):
            raise NotFoundError("the picture lies outside of the output folder")
        return path

    def read(self, name: str) -> bytes:
        """Return the bytes of a picture. ``name``: from the history, never from a request.

        Raises `NotFoundError` where the file was deleted.
        """
        try:
            return self._path(name).read_bytes()
        except OSError as error:
            raise NotFoundError("the picture's file was moved or deleted") from error
