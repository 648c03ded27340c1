"""Files without rights, also for tests that run as root."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

__all__ = ["mode_bits_count"]

_VERSION = 0x20080522
_IGNORE_MODES = 0b110  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH of capabilities(7)


@contextmanager
def mode_bits_count() -> Iterator[None]:
    """Take from this thread root's right to pass over the modes of files, inside the block."""
    if sys.platform != "linux":
        pytest.skip("capabilities are Linux's, and elsewhere the mode may not count")
    library = ctypes.CDLL(None)
    header, before = (ctypes.c_uint32 * 2)(_VERSION, 0), (ctypes.c_uint32 * 6)()
    assert library.capget(header, before) == 0
    without = (ctypes.c_uint32 * 6)(*before)
    without[0] &= ~_IGNORE_MODES
    assert library.capset(header, without) == 0
    try:
        yield
    finally:
        assert library.capset(header, before) == 0
