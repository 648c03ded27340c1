"""Folders of models that tests share until the test session ends."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path

__all__ = ["session_folder"]


def session_folder(model: str) -> Path:
    """Make a folder that is removed when the process ends."""
    folder = Path(tempfile.mkdtemp(prefix=f"avila-{model}-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
