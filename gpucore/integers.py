"""Integer arithmetic for sizes and grids."""

from __future__ import annotations

__all__ = ["ceil_div"]


def ceil_div(a: int, b: int) -> int:
    """Return ``a / b`` rounded up, exact for integers of any size; ``b`` is positive.

    >>> ceil_div(7, 3), ceil_div(6, 3), ceil_div(0, 3)
    (3, 2, 0)
    """
    return -(-a // b)
