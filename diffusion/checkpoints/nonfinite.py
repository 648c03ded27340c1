"""What is not finite in a file that is written: from its source, or because of its element type."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffusion.checkpoints.element_types import decode
from diffusion.errors import list_items, printable, quoted

__all__ = ["Losses", "not_finite"]


class Losses:
    """Counts, tensor by tensor, the infinities and NaN of what is written to ``path``."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._found: dict[str, int] = {}
        self._overflown: dict[str, int] = {}

    def note(self, name: str, dtype: str, values: NDArray[Any], stored: NDArray[Any]) -> None:
        """Look at a tensor's values and at the bits of ``dtype`` that store them."""
        before, after = not_finite(values), not_finite(decode(dtype, stored))
        if before:
            self._found[name] = before
        if after > before:
            self._overflown[name] = after - before

    def tell(self) -> None:
        """Warn (``RuntimeWarning``) where there was something."""
        self._warn(self._found, "infinite or NaN in the source", "no picture can be made of them")
        reason = "too large for the element type became infinite or NaN"
        self._warn(self._overflown, reason, "give another one (--dtype)")

    def _warn(self, counts: dict[str, int], reason: str, hint: str) -> None:
        if counts:
            path, total = printable(str(self._path)), sum(counts.values())
            title = f"{path}: numbers {reason}: {total}, in"
            tensors = [f"{quoted(name)} ({count})" for name, count in counts.items()]
            warnings.warn(f"{list_items(title, tensors)}; {hint}", RuntimeWarning, stacklevel=4)


def not_finite(values: NDArray[Any]) -> int:
    """How many numbers are infinite or NaN."""
    return values.size - int(np.count_nonzero(np.isfinite(values)))
