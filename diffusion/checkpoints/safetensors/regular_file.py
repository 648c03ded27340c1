"""Plain files on the disk: opening them for reading, and noticing that one has changed."""

import os
import stat
from io import FileIO
from pathlib import Path

from diffusion.errors import ModelFormatError, ModelNotFoundError

FileIdentity = tuple[int, int, int, int]
"""Device, number, size and time of the last change: what tells one state of a file from another."""


def open_regular(path: Path) -> FileIO:
    """Open a plain file for reading; a pipe or a device would block or never end.

    Raises ``ModelNotFoundError`` or ``ModelFormatError``.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            kind = "a folder" if path.is_dir() else "a pipe or a device"
            reason = f"must be a plain file, got {kind}"
            raise ModelFormatError(path, "file", reason, "name a .safetensors file")
        return path.open("rb", buffering=0)
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        raise ModelNotFoundError(path, "there is no such file", "check the path") from error
    except OSError as error:
        reason = f"cannot be opened: {error.strerror}"
        raise ModelFormatError(path, "file", reason, "check the path and its rights") from error


def identity_of(status: os.stat_result) -> FileIdentity:
    """Return the identity of a file from its status."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def file_changed(path: Path) -> ModelFormatError:
    """Return the error for a file that has changed since it was opened."""
    reason = "has changed since it was opened"
    return ModelFormatError(path, "file", reason, "load the model again once it is complete")
