"""Infinities and NaN in a file that is written, from its source or made by its element type."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffusion.checkpoints.safetensors.element_types import decode
from diffusion.errors import escape, list_items, quote

__all__ = ["NonFiniteCounter", "count_nonfinite"]


class NonFiniteCounter:
    """A counter of the infinities and NaN in each tensor that is written to ``path``."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._in_source: dict[str, int] = {}
        self._overflowed: dict[str, int] = {}

    def count(self, name: str, dtype: str, values: NDArray[Any], stored: NDArray[Any]) -> None:
        """Count the infinities and NaN in a tensor's values, and in the bits that store them."""
        before, after = count_nonfinite(values), count_nonfinite(decode(dtype, stored))
        if before:
            self._in_source[name] = before
        if after > before:
            self._overflowed[name] = after - before

    def warn(self) -> None:
        """Warn (``RuntimeWarning``) if any were counted."""
        reason = "infinite or NaN in the source"
        self._warn_of(self._in_source, reason, "no picture can be made of them")
        reason = "too large for the element type became infinite or NaN"
        self._warn_of(self._overflowed, reason, "give another one (--dtype)")

    def _warn_of(self, counts: dict[str, int], reason: str, hint: str) -> None:
        """Warn of one kind, naming the tensors."""
        if counts:
            path, total = escape(str(self._path)), sum(counts.values())
            title = f"{path}: numbers {reason}: {total}, in"
            tensors = [f"{quote(name)} ({count})" for name, count in counts.items()]
            warnings.warn(f"{list_items(title, tensors)}; {hint}", RuntimeWarning, stacklevel=4)


def count_nonfinite(values: NDArray[Any]) -> int:
    """Return how many numbers are infinite or NaN."""
    return values.size - int(np.count_nonzero(np.isfinite(values)))
