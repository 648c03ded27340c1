"""HIP's libraries on this system: the driver's, the compiler's, and the one behind the compiler."""

from __future__ import annotations

import contextlib
import ctypes as c
import functools
from typing import Any, Final

__all__ = ["load_compiler_library", "load_driver_library", "load_targets_library"]

_MAJORS: Final = (7, 6, 5)
_PLACES: Final = ("", "/opt/rocm/lib/")


def _load(*names: str) -> Any | None:
    """Return the first library that loads; None where none does."""
    for name in names:
        for place in _PLACES:
            with contextlib.suppress(OSError):
                return c.CDLL(place + name)
    return None


@functools.cache
def _load_driver() -> tuple[Any, int] | None:
    for major in _MAJORS:
        library = _load(f"libamdhip64.so.{major}")
        if library is not None:
            return library, major
    return None


def load_driver_library() -> Any | None:
    """Return libamdhip64; None where there is none."""
    found = _load_driver()
    return found and found[0]


def load_compiler_library() -> Any | None:
    """Return the library with hiprtc, of the driver's version; None where there is none.

    HIP 5 had it in the driver's library at first.
    """
    found = _load_driver()
    if found is None:
        return None
    library, major = found
    return _load(f"libhiprtc.so.{major}") or library


def load_targets_library() -> Any | None:
    """Return libamd_comgr, which hiprtc compiles with; None where it has another name."""
    return _load("libamd_comgr.so.3", "libamd_comgr.so.2")
