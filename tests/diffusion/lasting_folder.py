"""Folders of models that tests share, for as long as their process lasts."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path

__all__ = ["lasting_folder"]


def lasting_folder(model: str) -> Path:
    """A new folder, removed when the process ends."""
    folder = Path(tempfile.mkdtemp(prefix=f"avila-{model}-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
