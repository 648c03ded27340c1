"""Environment variables that are on or off."""

from __future__ import annotations

import os

__all__ = ["is_on"]

_OFF = ("0", "no", "off", "false")


def is_on(variable: str, default: bool) -> bool:
    """Tell whether a variable is on (not 0, no, off or false); ``default`` where it is empty."""
    text = os.environ.get(variable, "").strip().lower()
    return text not in _OFF if text else default
