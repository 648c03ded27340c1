"""Where the files of the user's cache lie, and how one is written."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

__all__ = ["user_folder", "write_whole"]


def user_folder(name: str) -> Path:
    """Return a folder of the user's cache; it is relative for a user without a home."""
    import platformdirs

    return platformdirs.user_cache_path("avila", appauthor=False) / name


def write_whole(file: Path, content: bytes) -> None:
    """Write a file at once or not at all; a folder that cannot be written is left as it is."""
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=file.parent)
        with os.fdopen(handle, "wb") as opened:
            opened.write(content)
        Path(name).replace(file)
