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
from typing import ClassVar, Final

from gpucore.backends.cuda.occupancy import Occupancy, occupy
from gpucore.backends.drivers.compiler import Compiler
from gpucore.integers import ceil_div
from gpucore.wgsl.c_family import PrintedKernel

__all__ = ["CudaCompiler", "load_compiler"]

_FEW_REGISTERS: Final = 40
"""Registers that leave three quarters of the threads to a multiprocessor: a kernel saved none."""

_TRIES: Final = ((10, 15), (12, 13))
"""Sixteenths of its workgroups that a kernel keeps at least, and of the registers in use then."""


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

    @property
    def identity(self) -> str:
        """Version and options, and the numbers by which `compile_kernel` chooses."""
        return f"{super().identity} {_FEW_REGISTERS} {_TRIES}"

    def compile_kernel(self, kernel: PrintedKernel, architecture: str) -> bytes:
        """Return the machine code of a kernel, with more registers where few workgroups pay for it.

        NVRTC saves registers for more workgroups: it spills, or asks memory for one number after
        the other. A kernel may give up three eighths of its workgroups on a multiprocessor, no
        more: with half of them, scans and transforms that wait for memory were a fifth slower.
        Kernels that hold rows in registers (qr) gain by three eighths. They lose (medians) where
        that leaves more than a sixteenth of the multiprocessor's registers idle that were in use;
        a quarter may leave three sixteenths idle, as in real transforms.
        """
        code = self.compile(kernel.text, architecture)
        before = occupy(code, kernel, architecture)
        if before is None:
            return code
        if before.usage.registers <= _FEW_REGISTERS and not before.usage.stack:
            return code
        found: dict[int, bytes] = {}
        for kept, used in _TRIES:
            least = ceil_div(kept * before.workgroups, 16)
            if least not in found:
                found[least] = self.compile(kernel.bounded_text(least), architecture)
            after = occupy(found[least], kernel, architecture)
            if after is not None and _is_better(before, after, used):
                return found[least]
        return code


def _is_better(before: Occupancy, after: Occupancy, used: int) -> bool:
    """Tell whether a kernel stops to spill, or has more workgroups, or more registers each.

    With more registers ``used`` sixteenths of the multiprocessor's must be in use. Where no
    workgroup goes, it is enough that it spills less.
    """
    spilled, spills = before.usage.stack, after.usage.stack
    if spills:
        return spills < spilled and after.workgroups >= before.workgroups
    if spilled or after.workgroups > before.workgroups:
        return True
    has_more = after.usage.registers > before.usage.registers
    return has_more and 16 * after.registers >= used * before.registers


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
