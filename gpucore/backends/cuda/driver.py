"""The CUDA driver API through ctypes: its library and its functions."""

from __future__ import annotations

import ctypes as c
import functools
import sys
from typing import Final

from gpucore.backends.cuda.launching import CudaFunction
from gpucore.backends.cuda.tensor_map import TensorMap
from gpucore.backends.drivers.driver import Driver, Entry, LaunchShape
from gpucore.backends.drivers.errors import DriverError
from gpucore.backends.native import TileMap

__all__ = ["CudaDriver", "load_driver"]

_LIBRARY: Final = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
_DYNAMIC_MEMORY: Final = 8  # CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES

_P, _I, _U, _L, _Q = c.c_void_p, c.c_int, c.c_uint, c.c_size_t, c.c_uint64
_MAPS: Final = (_P, _I, _U, _P, _P, _P, _P, _P)


class CudaDriver(Driver):
    """NVIDIA's driver."""

    title = "CUDA"
    dlpack_kind = 2  # kDLCUDA
    entries = {  # noqa: RUF012 (the parent declares it)
        "init": Entry("cuInit", (_U,)),
        "version": Entry("cuDriverGetVersion", (_P,)),
        "count_cards": Entry("cuDeviceGetCount", (_P,)),
        "card_name": Entry("cuDeviceGetName", (_P, _I, _I)),
        "card_memory": Entry("cuDeviceTotalMem_v2", (_P, _I)),
        "card_attribute": Entry("cuDeviceGetAttribute", (_P, _I, _I)),
        "take": Entry("cuDevicePrimaryCtxRetain", (_P, _I)),
        "leave": Entry("cuDevicePrimaryCtxRelease_v2", (_I,)),
        "reset": Entry("cuDevicePrimaryCtxReset_v2", (_I,)),
        "enter": Entry("cuCtxSetCurrent", (_P,)),
        "create_stream": Entry("cuStreamCreate", (_P, _U)),
        "destroy_stream": Entry("cuStreamDestroy_v2", (_P,)),
        "synchronize_stream": Entry("cuStreamSynchronize", (_P,)),
        "wait_event": Entry("cuStreamWaitEvent", (_P, _P, _U), (0,)),
        "synchronize_card": Entry("cuCtxSynchronize", ()),
        "begin_capture": Entry("cuStreamBeginCapture_v2", (_P, _I)),
        "end_capture": Entry("cuStreamEndCapture", (_P, _P)),
        "allocate": Entry("cuMemAllocAsync", (_P, _L, _P)),
        "free": Entry("cuMemFreeAsync", (_Q, _P)),
        "allocate_host": Entry("cuMemAllocHost_v2", (_P, _L)),
        "free_host": Entry("cuMemFreeHost", (_P,)),
        "copy_in": Entry("cuMemcpyHtoDAsync_v2", (_Q, _P, _L, _P)),
        "copy_out": Entry("cuMemcpyDtoHAsync_v2", (_P, _Q, _L, _P)),
        "copy": Entry("cuMemcpyDtoDAsync_v2", (_Q, _Q, _L, _P)),
        "load_module": Entry("cuModuleLoadData", (_P, _P)),
        "find_function": Entry("cuModuleGetFunction", (_P, _P, c.c_char_p)),
        "set_function": Entry("cuFuncSetAttribute", (_P, _I, _I)),
        "function_attribute": Entry("cuFuncGetAttribute", (_P, _I, _P)),
        "launch": Entry("cuLaunchKernelEx", (_P, _P, _P, _P)),
        "tile_boxes": Entry("cuTensorMapEncodeTiled", (*_MAPS, _I, _I, _I, _I)),
        "tile_windows": Entry("cuTensorMapEncodeIm2col", (*_MAPS, _U, _U, _P, _I, _I, _I, _I)),
        "create_event": Entry("cuEventCreate", (_P, _U)),
        "destroy_event": Entry("cuEventDestroy_v2", (_P,)),
        "record_event": Entry("cuEventRecord", (_P, _P)),
        "query_event": Entry("cuEventQuery", (_P,)),
        "elapsed_time": Entry("cuEventElapsedTime", (_P, _P, _P)),
        "instantiate_graph": Entry("cuGraphInstantiateWithFlags", (_P, _P, c.c_ulonglong), (0,)),
        "launch_graph": Entry("cuGraphLaunch", (_P, _P)),
        "destroy_graph": Entry("cuGraphDestroy", (_P,)),
        "destroy_plan": Entry("cuGraphExecDestroy", (_P,)),
        "error_text": Entry("cuGetErrorString", (_I, _P)),
    }

    def _text(self, code: int) -> str:
        text = c.c_char_p()
        if self.code("error_text", code, c.byref(text)) or text.value is None:
            return f"error {code}"
        return text.value.decode(errors="replace")

    def take(self, index: int) -> c.c_void_p:
        context = c.c_void_p()
        self("take", c.byref(context), index)
        return context

    def leave(self, index: int, *, is_lost: bool) -> None:
        self.code("leave", index)
        if is_lost:
            self.code("reset", index)

    def prepare(self, address: int, shape: LaunchShape) -> CudaFunction:
        if shape.memory:
            self("set_function", address, _DYNAMIC_MEMORY, shape.memory)
        return CudaFunction(address, shape, self.function("launch"))

    def tile_map(self, address: int, tiles: TileMap) -> TensorMap:
        return TensorMap.encode(self, address, tiles)


@functools.cache
def load_driver() -> CudaDriver | None:
    """Load the driver and start it; None where there is none, or no card."""
    try:
        driver = CudaDriver(c.CDLL(_LIBRARY))
        driver("init", 0)
    except (OSError, AttributeError, DriverError):
        return None
    return driver
