"""A CUDA driver and an NVRTC that compute nothing: functions of ctypes' shape over host memory.

Memory is real, copies are made, launches and graphs are recorded. Everything is done at once,
unless ``busy`` is set: then events are not reached.
"""

from __future__ import annotations

import ctypes as c
import itertools
import re
from typing import Any, NamedTuple

from gpucore.backends.cuda.cards import describe
from gpucore.backends.cuda.compiler import CudaCompiler
from gpucore.backends.cuda.driver import CudaDriver
from gpucore.backends.drivers.backend import CardBackend
from gpucore.backends.drivers.compiler import Toolchain
from gpucore.backends.drivers.driver import Entry
from gpucore.wgsl.c_family import CUDA
from tests.gpucore.backends.arguments import check_arguments

NOT_READY, ILLEGAL_ADDRESS = 600, 700


def method_name(function: str) -> str:
    """Return the method that does what a function of C does: ``_mem_free_async``."""
    bare = re.sub("^(cu|nvrtc)|_v[0-9]$", "", function)
    return "_" + re.sub("(?<!^)(?=[A-Z])", "_", bare).lower()


class FakeLaunch(NamedTuple):
    """A launch: the first eight bytes of each parameter are a number."""

    grid: tuple[int, ...]
    block: tuple[int, ...]
    memory: int
    parameters: tuple[int, ...]
    attributes: dict[int, tuple[int, ...]]


class FakeMap(NamedTuple):
    """A tensor map: where it was written, and what it says."""

    at: int
    address: int
    extents: tuple[int, ...]
    strides: tuple[int, ...]
    box: tuple[int, ...]
    corners: tuple[int, ...]
    steps: tuple[int, ...]


class FakeDriverLibrary:
    """What `ctypes.CDLL` returns for the driver; ``calls`` has the names of the calls.

    ``waits`` are the streams that wait for events.
    """

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.launches: list[FakeLaunch] = []
        self.maps: list[FakeMap] = []
        self.waits: list[int] = []
        self.memory: dict[int, Any] = {}
        self.failing: dict[str, int] = {}
        self.busy = False
        self.attributes = {18: 0, 75: 9, 76: 0, 97: 232448}
        self.version = 13000
        self._numbers = itertools.count(1)
        self._captured: list[Any] | None = None
        self.graphs: dict[int, list[Any]] = {}
        for entry in CudaDriver.entries.values():
            setattr(self, entry.name, self._function(entry))

    def _function(self, entry: Entry) -> Any:
        name = entry.name
        work = getattr(self, method_name(name), None)

        def call(*arguments: Any) -> int:
            check_arguments(name, entry.types, arguments)
            self.calls.append(name)
            if name in self.failing:
                return self.failing[name]
            return (work(*arguments) or 0) if work is not None else 0

        return call

    def _new(self, target: Any) -> int:
        number = next(self._numbers)
        target._obj.value = number
        return number

    def _driver_get_version(self, version: Any) -> None:
        version._obj.value = self.version

    def _device_get_count(self, count: Any) -> None:
        count._obj.value = 1

    def _device_get_name(self, name: Any, size: int, index: int) -> None:
        name.value = b"fake card"

    def _device_total_mem(self, memory: Any, index: int) -> None:
        memory._obj.value = 1 << 34

    def _device_get_attribute(self, value: Any, which: int, index: int) -> None:
        value._obj.value = self.attributes[which]

    def _device_primary_ctx_retain(self, context: Any, index: int) -> None:
        self._new(context)

    def _stream_create(self, stream: Any, flags: int) -> None:
        self._new(stream)

    def _stream_wait_event(self, stream: int, event: int, flags: int) -> None:
        self.waits.append(stream)

    def _event_create(self, event: Any, flags: int) -> None:
        self._new(event)

    def _event_query(self, event: int) -> int:
        return NOT_READY if self.busy else 0

    def _event_elapsed_time(self, found: Any, begin: int, end: int) -> None:
        found._obj.value = (end - begin) * 0.5

    def _mem_alloc_async(self, address: Any, nbytes: int, stream: Any) -> None:
        memory = c.create_string_buffer(nbytes)
        address._obj.value = c.addressof(memory)
        self.memory[c.addressof(memory)] = memory

    def _mem_free_async(self, address: int, stream: Any) -> None:
        del self.memory[address]

    def _mem_alloc_host(self, pointer: Any, nbytes: int) -> None:
        memory = c.create_string_buffer(nbytes)
        pointer._obj.value = c.addressof(memory)
        self.memory[c.addressof(memory)] = memory

    def _mem_free_host(self, address: int) -> None:
        del self.memory[address]

    def _copy(self, target: int, source: int, nbytes: int, stream: Any) -> None:
        if self._captured is not None:
            self._captured.append((target, source, nbytes))
        else:
            c.memmove(target, source, nbytes)

    _memcpy_hto_d_async = _memcpy_dto_h_async = _memcpy_dto_d_async = _copy

    def _module_load_data(self, module: Any, code: bytes) -> None:
        self._new(module)

    def _module_get_function(self, function: Any, module: Any, name: bytes) -> None:
        self._new(function)

    def _launch_kernel_ex(self, given: Any, function: int, pointers: Any, extra: Any) -> None:
        settings = given._obj
        values = tuple(c.c_uint64.from_address(each).value for each in pointers)
        attributes = {
            each.id: tuple(each.value[:3]) for each in settings.attributes[: settings.count]
        }
        grid, block = tuple(settings.grid), tuple(settings.block)
        launch = FakeLaunch(grid, block, settings.memory, values, attributes)
        (self.launches if self._captured is None else self._captured).append(launch)

    def _tensor_map_encode_tiled(self, made: Any, kind: int, rank: int, *given: Any) -> None:
        address, extents, strides, box, steps = given[:5]
        arrays = tuple(map(tuple, (extents, strides, box, (), steps)))
        self.maps.append(FakeMap(c.addressof(made._obj), address, *arrays))

    def _tensor_map_encode_im2col(self, made: Any, kind: int, rank: int, *given: Any) -> None:
        address, extents, strides, first, last, channels, pixels, steps = given[:8]
        corners = (*first, *last)
        arrays = tuple(map(tuple, (extents, strides, (channels, pixels), corners, steps)))
        self.maps.append(FakeMap(c.addressof(made._obj), address, *arrays))

    def _stream_begin_capture(self, stream: Any, mode: int) -> None:
        self._captured = []

    def _stream_end_capture(self, stream: Any, graph: Any) -> None:
        commands, self._captured = self._captured or [], None
        self.graphs[self._new(graph)] = commands

    def _graph_instantiate_with_flags(self, plan: Any, graph: Any, flags: int) -> None:
        self.graphs[self._new(plan)] = self.graphs[graph.value]

    def _graph_launch(self, plan: int, stream: Any) -> None:
        for command in self.graphs[plan]:
            if isinstance(command, FakeLaunch):
                self.launches.append(command)
            else:
                c.memmove(*command)

    def _get_error_string(self, code: int, text: Any) -> None:
        text._obj.value = b"fake error"


class FakeCompilerLibrary:
    """What `ctypes.CDLL` returns for NVRTC: the text is the machine code, too."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.fails = False
        for name in (
            *("nvrtcVersion", "nvrtcGetNumSupportedArchs", "nvrtcGetSupportedArchs"),
            *("nvrtcCreateProgram", "nvrtcDestroyProgram", "nvrtcCompileProgram"),
            *("nvrtcGetProgramLogSize", "nvrtcGetProgramLog", "nvrtcGetCUBINSize", "nvrtcGetCUBIN"),
        ):
            setattr(self, name, self._function(name))

    def _function(self, name: str) -> Any:
        work = getattr(self, method_name(name), None)

        def call(*arguments: Any) -> int:
            return (work(*arguments) or 0) if work is not None else 0

        return call

    def _version(self, major: Any, minor: Any) -> None:
        major._obj.value, minor._obj.value = 13, 9

    def _get_num_supported_archs(self, count: Any) -> None:
        count._obj.value = 2

    def _get_supported_archs(self, found: Any) -> None:
        found[:] = [80, 90]

    def _create_program(self, program: Any, text: bytes, *others: Any) -> None:
        self.texts.append(text.decode())
        program._obj.value = len(self.texts)

    def _compile_program(self, program: Any, count: int, options: Any) -> int:
        return 6 if self.fails else 0

    def _size(self, program: Any, size: Any) -> None:
        size._obj.value = 4

    _get_program_log_size = _get_c_u_b_i_n_size = _size

    def _text(self, program: Any, data: Any) -> None:
        data.value = b"bad"

    _get_program_log = _get_c_u_b_i_n = _text


def fake_backend(
    library: FakeDriverLibrary, nvrtc: FakeCompilerLibrary | None = None, *, checks: bool = True
) -> CardBackend:
    """Return a backend on a fake driver and a fake compiler."""
    driver = CudaDriver(library)
    compiler = CudaCompiler(nvrtc or FakeCompilerLibrary())
    return CardBackend(
        describe(driver, 0), driver, Toolchain(compiler, "sm_90a", CUDA), checks=checks
    )
