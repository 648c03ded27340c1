"""NVRTC through ctypes.

The library is that of the package ``nvidia-cuda-nvrtc``, else one that the system has.
"""

from __future__ import annotations

import contextlib
import ctypes as c
import functools
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from gpucore.backends.drivers.compiler import Compiler

__all__ = ["CudaCompiler", "load_compiler"]


class CudaCompiler(Compiler):
    """NVRTC."""

    prefix = "nvrtc"
    code_name = "CUBIN"
    options: ClassVar[tuple[str, ...]] = (
        "--std=c++20",
        "-default-device",
        "--fmad=true",
        "--ftz=true",
        "--prec-div=false",
        "--prec-sqrt=false",
    )
    cache_name = "cuda"

    @functools.cached_property
    def architectures(self) -> tuple[int, ...]:
        """The architectures that it compiles for, as 90 for sm_90."""
        count = c.c_int()
        self._library.nvrtcGetNumSupportedArchs(c.byref(count))
        found = (c.c_int * count.value)()
        self._library.nvrtcGetSupportedArchs(found)
        return tuple(found)


@functools.cache
def load_compiler() -> CudaCompiler | None:
    """Load NVRTC; None where there is none."""
    for path in _libraries():
        with contextlib.suppress(OSError, AttributeError):
            return CudaCompiler(c.CDLL(path))
    return None


def _libraries() -> Iterator[str]:
    """Yield the libraries to try: those of Python's packages first, then the system's."""
    windows = sys.platform == "win32"
    spec = importlib.util.find_spec("nvidia")
    places = (spec.submodule_search_locations or ()) if spec else ()
    pattern = "nvrtc64*.dll" if windows else "libnvrtc.so.*"
    found = [file for place in places for file in Path(place).glob(f"**/{pattern}")]
    for file in sorted((each for each in found if ".alt" not in each.name), reverse=True):
        _load_built_ins(file.parent)
        yield str(file)
    names = ("nvrtc64_130_0.dll", "nvrtc64_120_0.dll") if windows else ("libnvrtc.so.13",)
    yield from (*names, *(() if windows else ("libnvrtc.so.12", "libnvrtc.so")))


def _load_built_ins(folder: Path) -> None:
    """Load NVRTC's second library, which it opens by its bare name."""
    pattern = "nvrtc-builtins64*.dll" if sys.platform == "win32" else "libnvrtc-builtins.so.*"
    for file in folder.glob(pattern):
        if ".alt" not in file.name:
            with contextlib.suppress(OSError):
                c.CDLL(str(file), mode=c.RTLD_GLOBAL)
