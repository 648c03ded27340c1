"""Drafts: files and folders that are written beside their place, and then renamed in one step.

A process that is killed leaves its draft, which may be as large as a model. So each draft is locked
as long as it is written. Whoever writes next in the folder removes the drafts that nobody locks.
Windows has no such locks, and keeps them.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

__all__ = ["draft_folder", "lock_file", "open_draft", "replace_file", "sweep_drafts"]

_NAME: Final = re.compile(r"\.avila-[0-9a-f]{16}\.tmp")
_YOUNG: Final = 60
"""Seconds in which a draft that nobody locks is kept: it is locked after it is made."""


@contextmanager
def open_draft(folder: Path) -> Iterator[BinaryIO]:
    """Open a new file in ``folder``; its ``name`` is the path, which the caller renames.

    It is on the disk at the end of the block, and removed where the block fails. Raises `OSError`.
    """
    path = _new_path(folder)
    try:
        with path.open("xb") as file:
            with suppress(OSError):  # a file system without locks; sweeping fails there, too
                _lock(file.fileno())
            yield file
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise


@contextmanager
def draft_folder(parent: Path) -> Iterator[Path]:
    """Make a new folder in ``parent``, which the caller renames in the block, else it is removed.

    Raises `OSError`.
    """
    parent.mkdir(parents=True, exist_ok=True)
    sweep_drafts(parent)
    path = _new_path(parent)
    lock = None
    try:
        path.mkdir()
        if sys.platform != "win32":
            lock = os.open(path, os.O_RDONLY)
            with suppress(OSError):
                _lock(lock)
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        if lock is not None:
            os.close(lock)


@contextmanager
def replace_file(path: Path) -> Iterator[BinaryIO]:
    """Open a draft beside ``path``, and rename it over ``path`` at the end. Raises `OSError`."""
    sweep_drafts(path.parent)
    with open_draft(path.parent) as file:
        yield file
    Path(file.name).replace(path)


def sweep_drafts(folder: Path) -> None:
    """Remove the drafts in ``folder`` that a process left behind when it was killed."""
    with suppress(OSError):  # nothing depends on it
        for entry in os.scandir(folder):
            if _NAME.fullmatch(entry.name):
                with suppress(OSError):
                    _remove_if_stale(Path(entry.path))


def lock_file(file: BinaryIO) -> bool:
    """Lock an open file until it is closed; return False where another process has locked it.

    Raises `OSError` where the file system has no locks. Windows locks nothing.
    """
    try:
        _lock(file.fileno())
    except BlockingIOError:
        return False
    return True


def _new_path(folder: Path) -> Path:
    return folder / f".avila-{secrets.token_hex(8)}.tmp"


def _remove_if_stale(path: Path) -> None:
    """Remove a draft that nobody locks. Raises `OSError`, also where somebody does."""
    if sys.platform == "win32" or time.time() - path.lstat().st_mtime < _YOUNG:
        return
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        _lock(handle)
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    finally:
        os.close(handle)


def _lock(handle: int) -> None:
    """Lock an open file or folder until it is closed.

    Raises `OSError` where it is locked, or the file system has no locks.
    """
    if sys.platform == "win32":
        return
    import fcntl

    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
