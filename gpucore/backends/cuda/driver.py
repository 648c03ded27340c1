"""The CUDA driver API through ctypes: its library, its functions, its errors."""

from __future__ import annotations

import ctypes as c
import functools
import sys
from typing import Any, Final

from gpucore.backends.cuda.errors import CudaError

__all__ = ["Driver", "load_driver"]

_LIBRARY: Final = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"

_P, _I, _U, _L, _Q = c.c_void_p, c.c_int, c.c_uint, c.c_size_t, c.c_uint64
_FUNCTIONS: Final[dict[str, tuple[Any, ...]]] = {
    "cuInit": (_U,),
    "cuDriverGetVersion": (_P,),
    "cuDeviceGetCount": (_P,),
    "cuDeviceGet": (_P, _I),
    "cuDeviceGetName": (_P, _I, _I),
    "cuDeviceTotalMem_v2": (_P, _I),
    "cuDeviceGetAttribute": (_P, _I, _I),
    "cuDevicePrimaryCtxRetain": (_P, _I),
    "cuDevicePrimaryCtxRelease_v2": (_I,),
    "cuDevicePrimaryCtxReset_v2": (_I,),
    "cuCtxSetCurrent": (_P,),
    "cuStreamCreate": (_P, _U),
    "cuStreamDestroy_v2": (_P,),
    "cuStreamSynchronize": (_P,),
    "cuStreamBeginCapture_v2": (_P, _I),
    "cuStreamEndCapture": (_P, _P),
    "cuMemAllocAsync": (_P, _L, _P),
    "cuMemFreeAsync": (_Q, _P),
    "cuMemAllocHost_v2": (_P, _L),
    "cuMemFreeHost": (_P,),
    "cuMemcpyHtoDAsync_v2": (_Q, _P, _L, _P),
    "cuMemcpyDtoHAsync_v2": (_P, _Q, _L, _P),
    "cuMemcpyDtoDAsync_v2": (_Q, _Q, _L, _P),
    "cuModuleLoadData": (_P, _P),
    "cuModuleUnload": (_P,),
    "cuModuleGetFunction": (_P, _P, c.c_char_p),
    "cuFuncSetAttribute": (_P, _I, _I),
    "cuFuncGetAttribute": (_P, _I, _P),
    "cuLaunchKernelEx": (_P, _P, _P, _P),
    "cuTensorMapEncodeTiled": (_P, _I, _U, _P, _P, _P, _P, _P, _I, _I, _I, _I),
    "cuTensorMapEncodeIm2col": (_P, _I, _U, _P, _P, _P, _P, _P, _U, _U, _P, _I, _I, _I, _I),
    "cuEventCreate": (_P, _U),
    "cuEventDestroy_v2": (_P,),
    "cuEventRecord": (_P, _P),
    "cuEventQuery": (_P,),
    "cuEventElapsedTime": (_P, _P, _P),
    "cuGraphInstantiateWithFlags": (_P, _P, c.c_ulonglong),
    "cuGraphLaunch": (_P, _P),
    "cuGraphDestroy": (_P,),
    "cuGraphExecDestroy": (_P,),
    "cuGetErrorString": (_I, _P),
}
"""The functions in use, and the types of their parameters."""


class Driver:
    """The driver's functions: ``driver("cuInit", 0)`` raises `CudaError` where one fails."""

    def __init__(self, library: Any) -> None:
        self._functions: dict[str, Any] = {}
        for name, types in _FUNCTIONS.items():
            function = getattr(library, name)
            function.argtypes, function.restype = types, c.c_int
            self._functions[name] = function

    def __call__(self, name: str, *arguments: Any) -> None:
        """Call a function. Raises `CudaError`."""
        code = self._functions[name](*arguments)
        if code:
            raise self.error(name, code)

    def error(self, name: str, code: int) -> CudaError:
        """Return the error of a function that returned ``code``."""
        return CudaError(name, code, self._text(code))

    def code(self, name: str, *arguments: Any) -> int:
        """Call a function and return its result code."""
        code: int = self._functions[name](*arguments)
        return code

    def function(self, name: str) -> Any:
        """Return a function to call without a check, which returns its result code."""
        return self._functions[name]

    def _text(self, code: int) -> str:
        text = c.c_char_p()
        if self._functions["cuGetErrorString"](code, c.byref(text)) or text.value is None:
            return f"error {code}"
        return text.value.decode(errors="replace")


@functools.cache
def load_driver() -> Driver | None:
    """Load the driver and start it; None where there is none, or no card."""
    try:
        driver = Driver(c.CDLL(_LIBRARY))
        driver("cuInit", 0)
    except (OSError, AttributeError, CudaError):
        return None
    return driver
