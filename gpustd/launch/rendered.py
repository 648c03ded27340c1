"""Rendered shaders on disk, so that a process does not compile their templates again.

A file has the name of a hash of the template, its variables, and the state of all templates. Its
first line is a hash of the text that follows. Nothing is deleted by itself.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
from collections.abc import Iterable
from pathlib import Path

from gpucore.caching import user_folder, write_whole

__all__ = ["CACHE_VARIABLE", "load_text", "store_text", "text_file"]

CACHE_VARIABLE = "GPUSTD_SHADER_CACHE"


def text_file(shaders: Path, key: Iterable[object]) -> Path | None:
    """Return where the text of a key lies, None for nowhere.

    The environment variable `CACHE_VARIABLE` names another folder, or is ``off``.
    """
    given = os.environ.get(CACHE_VARIABLE, "")
    folder = Path(given) if given else user_folder("shaders")
    # The user's is relative for a user without a home.
    if given == "off" or not folder.is_absolute():
        return None
    name = _hash(f"{_state_of(shaders)}\0{tuple(key)!r}")
    return folder / f"{name}.txt"


def load_text(file: Path) -> str | None:
    """Return the text of a file; None where there is none, or no whole one."""
    try:
        digest, _, text = file.read_text(encoding="utf-8").partition("\n")
    except (OSError, ValueError):
        return None
    return text if digest == _hash(text) else None


def store_text(file: Path, text: str) -> None:
    """Write a file at once or not at all; a folder that cannot be written is left alone."""
    write_whole(file, f"{_hash(text)}\n{text}".encode())


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@functools.cache
def _state_of(shaders: Path) -> str:
    """Return a hash of names, sizes and times of all templates, and of what renders them."""
    files = (*sorted(shaders.rglob("*")), Path(__file__).with_name("template.py"))
    states = [(str(file), file.stat()) for file in files]
    facts = [(file, state.st_size, state.st_mtime_ns) for file, state in states]
    return _hash(repr((_jinja(), facts)))


def _jinja() -> str:
    """Return the text of Jinja's module that has its version in it: loading it takes 20 ms."""
    spec = importlib.util.find_spec("jinja2")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).read_text(encoding="utf-8")
