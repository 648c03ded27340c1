"""HIP's driver through ctypes: its functions, and how it launches a kernel.

Names, types and numbers are those of hip_runtime_api.h of HIP 5.2, which later versions keep.
"""

from __future__ import annotations

import ctypes as c
import functools
import re
from typing import Any, Final

from gpucore.backends.drivers.driver import Driver, Entry, LaunchShape
from gpucore.backends.drivers.errors import DriverError
from gpucore.backends.hip.libraries import load_driver_library
from gpucore.backends.native import TileMap
from gpucore.errors import GpuError

__all__ = ["HipDriver", "load_driver"]

_PROPERTIES_SIZE: Final = 1 << 14  # more than hipDeviceProp_t of any version
_P, _I, _U, _L, _Q = c.c_void_p, c.c_int, c.c_uint, c.c_size_t, c.c_uint64


class HipDriver(Driver):
    """AMD's driver."""

    title = "HIP"
    dlpack_kind = 10  # kDLROCM
    entries = {  # noqa: RUF012 (the parent declares it)
        "init": Entry("hipInit", (_U,)),
        "version": Entry("hipRuntimeGetVersion", (_P,)),
        "count_cards": Entry("hipGetDeviceCount", (_P,)),
        "card_name": Entry("hipDeviceGetName", (_P, _I, _I)),
        "card_memory": Entry("hipDeviceTotalMem", (_P, _I)),
        "card_attribute": Entry("hipDeviceGetAttribute", (_P, _I, _I)),
        "card_properties": Entry("hipGetDeviceProperties", (_P, _I)),
        "enter": Entry("hipSetDevice", (_I,)),
        "reset": Entry("hipDeviceReset", ()),
        "create_stream": Entry("hipStreamCreateWithFlags", (_P, _U)),
        "destroy_stream": Entry("hipStreamDestroy", (_P,)),
        "synchronize_stream": Entry("hipStreamSynchronize", (_P,)),
        "wait_event": Entry("hipStreamWaitEvent", (_P, _P, _U), (0,)),
        "synchronize_card": Entry("hipDeviceSynchronize", ()),
        "begin_capture": Entry("hipStreamBeginCapture", (_P, _I)),
        "end_capture": Entry("hipStreamEndCapture", (_P, _P)),
        "allocate": Entry("hipMallocAsync", (_P, _L, _P)),
        "free": Entry("hipFreeAsync", (_Q, _P)),
        "allocate_host": Entry("hipHostMalloc", (_P, _L, _U), (0,)),
        "free_host": Entry("hipHostFree", (_P,)),
        "copy_in": Entry("hipMemcpyHtoDAsync", (_Q, _P, _L, _P)),
        "copy_out": Entry("hipMemcpyDtoHAsync", (_P, _Q, _L, _P)),
        "copy": Entry("hipMemcpyDtoDAsync", (_Q, _Q, _L, _P)),
        "load_module": Entry("hipModuleLoadData", (_P, _P)),
        "find_function": Entry("hipModuleGetFunction", (_P, _P, c.c_char_p)),
        "function_attribute": Entry("hipFuncGetAttribute", (_P, _I, _P)),
        "launch": Entry("hipModuleLaunchKernel", (_P, *(_U,) * 7, _P, _P, _P)),
        "create_event": Entry("hipEventCreateWithFlags", (_P, _U)),
        "destroy_event": Entry("hipEventDestroy", (_P,)),
        "record_event": Entry("hipEventRecord", (_P, _P)),
        "query_event": Entry("hipEventQuery", (_P,)),
        "elapsed_time": Entry("hipEventElapsedTime", (_P, _P, _P)),
        "instantiate_graph": Entry("hipGraphInstantiate", (_P, _P, _P, _P, _L), (None, None, 0)),
        "launch_graph": Entry("hipGraphLaunch", (_P, _P)),
        "destroy_graph": Entry("hipGraphDestroy", (_P,)),
        "destroy_plan": Entry("hipGraphExecDestroy", (_P,)),
    }

    def __init__(self, library: Any) -> None:
        super().__init__(library)
        self._words = library.hipGetErrorString
        self._words.argtypes, self._words.restype = (_I,), c.c_char_p
        # HIP 6 gave the structure another layout, and the function of it another name.
        newer = getattr(library, "hipGetDevicePropertiesR0600", None)
        if newer is not None:
            newer.argtypes, newer.restype = self.entries["card_properties"].types, c.c_int
            self._functions["card_properties"] = newer

    def architecture(self, index: int) -> str:
        """Return a card's architecture with its features, as ``gfx90a:sramecc+:xnack-``.

        It is searched for in hipDeviceProp_t, where it stands elsewhere in each version.
        """
        properties = c.create_string_buffer(_PROPERTIES_SIZE)
        self("card_properties", properties, index)
        found = re.search(rb"gfx[0-9a-f]+(:[a-z]+[+-])*(?=\0)", properties.raw)
        return found[0].decode() if found else ""

    def _text(self, code: int) -> str:
        words: bytes | None = self._words(code)
        return words.decode(errors="replace") if words else f"error {code}"

    def take(self, index: int) -> int:
        return index

    def leave(self, index: int, *, is_lost: bool) -> None:
        if is_lost:
            self.code("enter", index)
            self.code("reset")

    def prepare(self, address: int, shape: LaunchShape) -> HipFunction:
        return HipFunction(address, shape, self.function("launch"))

    def tile_map(self, address: int, tiles: TileMap) -> c.Structure:
        raise GpuError("HIP has no tile maps: give the kernel the buffer itself")


class HipFunction:
    """A kernel that was loaded: its address, and how it is launched."""

    __slots__ = ("_address", "_call", "_settings")

    def __init__(self, address: int, shape: LaunchShape, call: Any) -> None:
        self._address = address
        self._settings = (*shape.block, shape.memory)
        self._call = call

    def launch(
        self, grid: tuple[int, int, int], pointers: Any, stream: int, *, follows: bool = True
    ) -> int:
        """Launch it in a stream with an array of its parameters' addresses; return the code."""
        code: int = self._call(self._address, *grid, *self._settings, stream, pointers, None)
        return code


@functools.cache
def load_driver() -> HipDriver | None:
    """Load the driver and start it; None where there is none, or no card."""
    library = load_driver_library()
    if library is not None:
        try:
            driver = HipDriver(library)
            driver("init", 0)
        except (AttributeError, DriverError):
            return None
        return driver
    return None
