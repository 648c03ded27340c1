"""NVRTC through ctypes, and the cache of what it compiled.

The library is that of the package ``nvidia-cuda-nvrtc``, else one that the system has.
"""

from __future__ import annotations

import contextlib
import ctypes as c
import functools
import hashlib
import importlib.util
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from gpucore.backends.cuda.errors import CudaError

__all__ = ["Compiler", "cache_folder", "load_compiler"]

CACHE_VARIABLE: Final = "GPUCORE_CUDA_CACHE"
_OPTIONS: Final = ("--std=c++20", "-default-device", "--fmad=true", "--ftz=true")
_P, _N = c.c_void_p, c.POINTER(c.c_size_t)
_FUNCTIONS: Final[dict[str, tuple[Any, ...]]] = {
    "nvrtcVersion": (c.POINTER(c.c_int), c.POINTER(c.c_int)),
    "nvrtcGetNumSupportedArchs": (c.POINTER(c.c_int),),
    "nvrtcGetSupportedArchs": (_P,),
    "nvrtcCreateProgram": (_P, c.c_char_p, c.c_char_p, c.c_int, _P, _P),
    "nvrtcDestroyProgram": (_P,),
    "nvrtcCompileProgram": (_P, c.c_int, _P),
    "nvrtcGetProgramLogSize": (_P, _N),
    "nvrtcGetProgramLog": (_P, _P),
    "nvrtcGetCUBINSize": (_P, _N),
    "nvrtcGetCUBIN": (_P, _P),
}


class Compiler:
    """NVRTC: `compile` may be called in any thread."""

    def __init__(self, library: Any) -> None:
        self._library = library
        for name, types in _FUNCTIONS.items():
            function = getattr(library, name)
            function.argtypes, function.restype = types, c.c_int
        major, minor = c.c_int(), c.c_int()
        library.nvrtcVersion(c.byref(major), c.byref(minor))
        self.version = f"{major.value}.{minor.value}"

    @functools.cached_property
    def architectures(self) -> tuple[int, ...]:
        """The architectures that it compiles for, as 90 for sm_90."""
        count = c.c_int()
        self._library.nvrtcGetNumSupportedArchs(c.byref(count))
        found = (c.c_int * count.value)()
        self._library.nvrtcGetSupportedArchs(found)
        return tuple(found)

    def compile(self, text: str, architecture: str) -> bytes:
        """Return the machine code of a CUDA C++ text. Raises `CudaError` with NVRTC's words."""
        key = hashlib.sha256("\0".join((text, architecture, self.version, *_OPTIONS)).encode())
        file = cache_folder() / f"{key.hexdigest()}.cubin"
        try:
            return file.read_bytes()
        except OSError:
            code = self._compile(text, architecture)
        _store(file, code)
        return code

    def _compile(self, text: str, architecture: str) -> bytes:
        library, program = self._library, c.c_void_p()
        options = [f"--gpu-architecture={architecture}", *_OPTIONS]
        array = (c.c_char_p * len(options))(*(option.encode() for option in options))
        library.nvrtcCreateProgram(c.byref(program), text.encode(), b"kernel.cu", 0, None, None)
        try:
            code = library.nvrtcCompileProgram(program, len(options), array)
            if code:
                log = self._bytes("ProgramLog", program).rstrip(b"\0").decode(errors="replace")
                raise CudaError("nvrtcCompileProgram", code, log.strip())
            return self._bytes("CUBIN", program)
        finally:
            library.nvrtcDestroyProgram(c.byref(program))

    def _bytes(self, what: str, program: c.c_void_p) -> bytes:
        size = c.c_size_t()
        getattr(self._library, f"nvrtcGet{what}Size")(program, c.byref(size))
        data = c.create_string_buffer(size.value)
        getattr(self._library, f"nvrtcGet{what}")(program, data)
        return data.raw


def cache_folder() -> Path:
    """Return the folder of compiled kernels: ``GPUCORE_CUDA_CACHE``, else the user's cache."""
    if given := os.environ.get(CACHE_VARIABLE, ""):
        return Path(given)
    import platformdirs

    return platformdirs.user_cache_path("avila", appauthor=False) / "cuda"


def _store(file: Path, code: bytes) -> None:
    """Write a file of the cache at once or not at all; a folder that cannot be written is left."""
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=file.parent)
        with os.fdopen(handle, "wb") as opened:
            opened.write(code)
        Path(name).replace(file)


@functools.cache
def load_compiler() -> Compiler | None:
    """Load NVRTC; None where there is none."""
    for path in _libraries():
        with contextlib.suppress(OSError, AttributeError):
            return Compiler(c.CDLL(path))
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
