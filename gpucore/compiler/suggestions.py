"""Advice about a name that is unknown: the known one that it is most like."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["did_you_mean"]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``: did you mean x?`` for the known name that is most like one; else nothing."""
    candidates = {each for each in known if not each.startswith("_") and each != name}
    lower = {each.lower(): each for each in sorted(candidates)}
    found = get_close_matches(name.lower(), lower, 1)
    return f": did you mean {lower[found[0]]}?" if found else ""
