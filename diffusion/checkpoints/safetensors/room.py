"""Memory that tensors are read into, which goes back to the system with them.

glibc gives large blocks memory of their own until the first of them is freed; then it takes blocks
of up to 32 MiB out of its heaps, one for each thread, and these keep what lies between two blocks
in use. Four threads that read SDXL left 200 MB there.
"""

from __future__ import annotations

import mmap
import sys
from contextlib import suppress
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["room_for"]

_LEAST: Final = 1 << 20


def room_for(nbytes: int) -> NDArray[np.uint8]:
    """Return so many bytes of undefined value."""
    if nbytes < _LEAST or sys.platform == "win32":
        return np.empty(nbytes, np.uint8)
    memory = mmap.mmap(-1, nbytes, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if sys.platform == "linux":
        with suppress(OSError):  # a system without large pages
            memory.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(memory, np.uint8)
