"""Checks that settings share. Each raises `SettingsError` that names the setting."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Final

from diffusion.errors import SettingsError

__all__ = [
    "bytes_of",
    "check_integer",
    "check_network",
    "check_number",
    "check_side",
    "check_text",
    "read_bytes",
]

_UNITS: Final = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
MOST_PROMPT = 65536
"""Characters: 128 chunks of 75 tokens are some 50,000, and editing needs more."""
MOST_SIDE = 16384
MOST_NAME = 4096
"""Characters of a network's name, or of its path."""


def check_text(name: str, value: object) -> None:
    """Check a text and its length."""
    if not isinstance(value, str):
        raise SettingsError(name, value, "must be text")
    if len(value) > MOST_PROMPT:
        hint = f"at most {MOST_PROMPT} are read; shorten it"
        raise SettingsError(name, f"{len(value)} characters", hint)


def check_network(name: str, value: object) -> None:
    """Check that a value may be the name of a network, or its path."""
    if not isinstance(value, str | Path) or not 0 < len(str(value)) <= MOST_NAME:
        raise SettingsError(name, value, "must be a name or a path")


def check_side(name: str, value: object) -> None:
    """Check a picture's side in pixels; None passes."""
    check_integer(name, value, 8, MOST_SIDE)
    if isinstance(value, int) and value % 8:
        near = max(8, round(value / 8) * 8)
        raise SettingsError(name, value, f"must be a multiple of 8, such as {near}")


def check_integer(name: str, value: object, least: int, most: int) -> None:
    """Check a whole number and its limits; None passes."""
    if value is None:
        return
    if type(value) is not int or not least <= value <= most:
        raise SettingsError(name, value, f"must be a whole number from {least} to {most}")


def check_number(name: str, value: object, least: float, most: float) -> None:
    """Check a finite number and its limits; None passes."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SettingsError(name, value, "must be a number")
    if not (math.isfinite(value) and least <= value <= most):
        raise SettingsError(name, value, f"must be a number from {least} to {most}")


def bytes_of(text: str) -> int:
    """Return a size such as ``8GB`` or ``512 MiB`` in bytes; both units are powers of 1024.

    Raises `ValueError`.
    """
    found = re.fullmatch(r"\s*(\d{1,15}(?:\.\d+)?)\s*([KMGT]?)i?B?\s*", text, re.IGNORECASE)
    if found is None:
        raise ValueError("must be a size such as 8GB")
    return int(float(found[1]) * _UNITS[found[2].upper()])


def read_bytes(name: str, value: object) -> int | None:
    """Return a number of bytes, or a text as `bytes_of` reads it; None passes."""
    try:
        found = bytes_of(value) if isinstance(value, str) else value
    except ValueError as error:
        raise SettingsError(name, value, str(error)) from None
    check_integer(name, found, 1, 2**50)
    return found if isinstance(found, int) else None
