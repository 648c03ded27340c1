"""Numbers of Python's that a kernel takes as they are when it is compiled."""

from __future__ import annotations

__all__ = ["is_known", "known_number"]


def known_number(found: object) -> int | float | bool | None:
    """Return a number of Python's or NumPy's, or of an enumeration, as Python's; else None."""
    if isinstance(found, bool):
        return found
    if isinstance(found, int):
        return int(found)
    if isinstance(found, float):
        return float(found)
    kind = type(found)
    if kind.__module__ == "numpy" and kind.__name__ != "ndarray":
        item = getattr(found, "item", None)
        value = item() if callable(item) else None
        return value if isinstance(value, bool | int | float) else None
    return None


def is_known(found: object) -> bool:
    """Tell whether an object is a number, or a tuple of numbers and tuples."""
    if isinstance(found, tuple):
        return all(map(is_known, found))
    return known_number(found) is not None
