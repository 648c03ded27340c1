"""Which bytes of device memory somebody wrote since it was allocated."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpucore.integers import ceil_div

__all__ = ["Contents"]

_GRAIN = 256


class _Memory(NamedTuple):
    """The bytes that a buffer has, and which of its memory's bytes are written."""

    nbytes: int
    written: NDArray[np.bool_]


class Contents:
    """The written bytes of each handle that was allocated while the sanitizer was on.

    Of another handle nothing is known: all of it counts as written. So do the bytes behind a
    buffer's end, which kernels may read where they load several elements at once.
    """

    def __init__(self) -> None:
        self._memories: dict[Any, _Memory] = {}

    def forget(self, handle: Any, nbytes: int) -> None:
        """Note that a buffer of ``nbytes`` begins in a handle: nothing in it is written."""
        written = np.ones(ceil_div(max(nbytes, 1), _GRAIN) * _GRAIN, np.bool_)
        written[:nbytes] = False
        self._memories[handle] = _Memory(nbytes, written)

    def write(self, handle: Any, first: int, nbytes: int) -> None:
        """Note that bytes are written."""
        if handle in self._memories:
            self._memories[handle].written[first : first + nbytes] = True

    def copy(self, source: Any, target: Any, nbytes: int) -> None:
        """Note a copy from the start of one handle to that of another."""
        if target in self._memories:
            given = self.of(source, nbytes)
            self._memories[target].written[:nbytes] = True if given is None else given

    def of(self, handle: Any, nbytes: int) -> NDArray[np.bool_] | None:
        """Return which of the first bytes were written, to be changed; None where all were."""
        if handle not in self._memories:
            return None
        written = self._memories[handle].written[:nbytes]
        return None if written.all() else written

    def fill_padding(self, handle: Any, data: NDArray[np.uint8]) -> None:
        """Repeat the last number of a buffer behind its end.

        What lies there is loaded with the last elements and not used, and zeros may be no number
        that a function takes.
        """
        nbytes = self._memories[handle].nbytes if handle in self._memories else data.size
        if 0 < nbytes < data.size:
            step = next(size for size in (4, 2, 1) if nbytes % size == 0)
            last = data[nbytes - step : nbytes]
            data[nbytes:] = np.resize(last, data.size - nbytes)
