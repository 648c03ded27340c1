"""The error of a call to a driver; the backend turns it into those of `gpucore.errors`.

::

    Exception
    └── DriverError    a function of a driver or of its compiler failed
"""

from __future__ import annotations

from typing import Final

__all__ = ["DriverError"]

_OUT_OF_MEMORY: Final = 2
_NOT_STICKY: Final = frozenset((1, 2, 3, 200, 209, 218, 301, 500, 600, 701, 801, 900, 901, 905))
"""Codes that leave the context usable: wrong arguments, no memory, no image, not ready.

CUDA and HIP have the same numbers."""


class DriverError(Exception):
    """A C function failed: its name, its result code, and what the driver says of it."""

    def __init__(self, function: str, code: int, text: str) -> None:
        super().__init__(f"{function}: {text} ({code})")
        self.function = function
        self.code = code

    @property
    def is_out_of_memory(self) -> bool:
        """True where the card has no room."""
        return self.code == _OUT_OF_MEMORY

    @property
    def is_of_code(self) -> bool:
        """True where a compiler, or the loader of its results, is what failed."""
        return "rtc" in self.function or "Module" in self.function

    @property
    def is_loss(self) -> bool:
        """True where the context is of no use any more."""
        return self.code not in _NOT_STICKY
