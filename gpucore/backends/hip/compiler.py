"""hiprtc through ctypes."""

from __future__ import annotations

import contextlib
import ctypes as c
import functools
from typing import Any

from gpucore.backends.drivers.compiler import Compiler
from gpucore.backends.hip.libraries import load_compiler_library, load_targets_library

__all__ = ["HipCompiler", "load_compiler"]


class HipCompiler(Compiler):
    """hiprtc, with the architectures that the library behind it knows (None: it does not tell)."""

    prefix = "hiprtc"
    code_name = "Code"
    options = ("-O3", "-std=c++20")
    cache_name = "hip"

    def __init__(self, library: Any, architectures: frozenset[str] | None) -> None:
        super().__init__(library)
        self._architectures = architectures

    def covers(self, architecture: str) -> bool:
        """Tell whether it compiles for an architecture; hiprtc 5.2 crashes where it does not."""
        known = self._architectures
        return known is None or architecture.partition(":")[0] in known


@functools.cache
def load_compiler() -> HipCompiler | None:
    """Load hiprtc; None where there is none."""
    library = load_compiler_library()
    if library is not None:
        with contextlib.suppress(AttributeError):
            return HipCompiler(library, known_architectures(load_targets_library()))
    return None


def known_architectures(library: Any | None) -> frozenset[str] | None:
    """Return what libamd_comgr compiles for, such as ``gfx90a``; None without a library."""
    if library is None:
        return None
    count, name = c.c_size_t(), c.c_char_p()
    library.amd_comgr_get_isa_count(c.byref(count))
    found = []
    for i in range(count.value):
        library.amd_comgr_get_isa_name(c.c_size_t(i), c.byref(name))
        found.append((name.value or b"").decode().rpartition("-")[2])
    return frozenset(found)
