"""`CudaBackend`: a CUDA card behind the protocol of `gpucore.backends.interface`."""

from __future__ import annotations

import ctypes as c
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, Final

from gpucore.backends.compilers import Compilers
from gpucore.backends.cuda.compiler import Compiler
from gpucore.backends.cuda.driver import Driver
from gpucore.backends.cuda.errors import CudaError
from gpucore.backends.cuda.launching import Function, LaunchSettings
from gpucore.backends.cuda.memory import CudaBuffer, Group, PinnedMemory
from gpucore.backends.cuda.pending import (
    CudaFence,
    CudaProgram,
    CudaRead,
    CudaTimes,
    Origin,
)
from gpucore.backends.interface import (
    AdapterInfo,
    BindingSpec,
    Command,
    Copy,
    Launch,
    Recording,
    StagingStats,
)
from gpucore.backends.native import NativeCode
from gpucore.backends.staging import StagingBuffer, StagingPool
from gpucore.errors import DeviceLostError, GpuError, OutOfMemoryError
from gpucore.wgsl.c_family import KERNEL, MAX_BY_VALUE, print_kernel

__all__ = ["CudaBackend"]

_MAX_COMPILERS: Final = 16
_DYNAMIC_MEMORY: Final = 8  # CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
_REGISTERS: Final = 4  # CU_FUNC_ATTRIBUTE_NUM_REGS
_NON_BLOCKING: Final = 1
_NO_TIMING: Final = 2
_RELAXED: Final = 2  # a capture that does not mind what other threads do
_NOT_READY: Final = 600
_FEW: Final = 4  # commands that are not worth a graph


_REOPEN_ADVICE: Final = (
    "its buffers, kernels and graphs are gone: open a new one (device.reopen() or Device.auto()) "
    "and upload the data again"
)


class Plan:
    """The CUDA graph of a recording; ``drop`` takes its address when the recording ends."""

    __slots__ = ("_drop", "address")

    def __init__(self, address: int, drop: Any) -> None:
        self.address = address
        self._drop = drop

    def __del__(self) -> None:
        self._drop(("cuGraphExecDestroy", self.address))


class CudaBackend:
    """An opened CUDA card: one stream in the card's primary context."""

    def __init__(
        self,
        info: AdapterInfo,
        driver: Driver,
        compiler: Compiler,
        architecture: str,
        *,
        checks: bool,
    ) -> None:
        self.info = info
        self.checks = checks
        self.compilers = Compilers(_MAX_COMPILERS)
        self._driver = driver
        self._compiler = compiler
        self._architecture = architecture
        self._closed = False
        self._lost = ""
        self._sent = self._reached = 0
        self._doomed: deque[tuple[str, int]] = deque()
        self._live: set[int] = set()
        context, stream = c.c_void_p(), c.c_void_p()
        driver("cuDevicePrimaryCtxRetain", c.byref(context), info.index)
        self._context = context
        driver("cuCtxSetCurrent", context)
        driver("cuStreamCreate", c.byref(stream), _NON_BLOCKING)
        self._stream = stream
        self._launch = driver.function("cuLaunchKernelEx")
        self._staging = StagingPool(lambda nbytes: PinnedMemory(driver, nbytes))
        self._origin = Origin(driver, self.new_event(timing=True))
        self._origins = [self._origin.event]
        self._origin_since = time.monotonic()

    # Memory

    def allocate(self, nbytes: int) -> CudaBuffer:
        action = f"allocating {nbytes} bytes"
        self._enter(action)
        address = c.c_uint64()
        self._do(action, "cuMemAllocAsync", c.byref(address), nbytes, self._stream)
        self._live.add(address.value)
        return CudaBuffer(address.value, nbytes)

    def free(self, handle: CudaBuffer) -> None:
        if self._closed or self._lost:
            return
        self._enter("freeing memory")
        self._live.discard(handle.address)
        self._do("freeing memory", "cuMemFreeAsync", handle.address, self._stream)

    def write(self, handle: CudaBuffer, data: memoryview, offset: int = 0) -> None:
        action = f"writing {data.nbytes} bytes"
        self._enter(action)
        flat = data.cast("B") if data.nbytes else data
        small = not offset and data.nbytes == handle.nbytes <= MAX_BY_VALUE + 15
        handle.host = bytes(flat) if small else None
        if data.nbytes:
            source, address = _address_of(flat)
            target = handle.address + offset
            self._do(action, "cuMemcpyHtoDAsync_v2", target, address, data.nbytes, self._stream)
            del source

    def read(self, handle: CudaBuffer, nbytes: int, offset: int = 0) -> CudaRead:
        action = f"reading {nbytes} bytes"
        self._enter(action)
        try:
            staging = self._staging.take(nbytes)
        except CudaError as error:
            raise self.failure(action, error) from None
        target, source = staging.raw.address, handle.address + offset
        self._do(action, "cuMemcpyDtoHAsync_v2", target, source, nbytes, self._stream)
        return CudaRead(self, staging, nbytes, self._sent)

    def return_staging(self, staging: StagingBuffer, *, is_done: bool) -> None:
        """Take a read's staging memory back; memory that is still copied to waits for its end."""
        if self._closed or self._lost:
            return
        if not is_done:
            self.synchronize()
        self._enter("reading")
        self._staging.give(staging)

    def abandon_staging(self, staging: StagingBuffer) -> None:
        """Note that a read was dropped; the collector calls it at any time, in any thread."""
        self._staging.abandon(staging)

    @property
    def staging(self) -> StagingStats:
        return self._staging.stats

    def trim(self) -> None:
        if not self._closed and not self._lost:
            self.synchronize()  # a read that was dropped may still copy
            self._staging.trim()

    # Kernels

    def compile(
        self,
        source: str,
        entry: str,
        constants: Mapping[str, float],
        bindings: tuple[BindingSpec, ...],
    ) -> CudaProgram:
        self._enter("compiling a kernel")
        build = partial(self._build, source, entry, dict(constants))
        return CudaProgram(self, self.compilers.submit(build), source)

    def compile_native(self, code: NativeCode) -> CudaProgram:
        self._enter("compiling a kernel")
        settings = LaunchSettings.of(
            self._stream, (code.threads, 1, 1), code.memory, cluster=code.cluster, follows=True
        )
        build = partial(self._load, code.text, settings)
        return CudaProgram(self, self.compilers.submit(build), code.text)

    def _build(self, source: str, entry: str, constants: Mapping[str, float]) -> Function:
        """Print, compile and load a kernel, in any thread. Raises `WgslError`, `CudaError`."""
        printed = print_kernel(source, entry, constants, checks=self.checks)
        size, memory = printed.workgroup_size, printed.launch_memory
        return self._load(printed.text, LaunchSettings.of(self._stream, size, memory))

    def _load(self, text: str, settings: LaunchSettings) -> Function:
        """Compile and load CUDA C++, in any thread. Raises `CudaError`."""
        code = self._compiler.compile(text, self._architecture)
        driver, module, function = self._driver, c.c_void_p(), c.c_void_p()
        driver("cuCtxSetCurrent", self._context)
        driver("cuModuleLoadData", c.byref(module), code)
        driver("cuModuleGetFunction", c.byref(function), module, KERNEL.encode())
        registers = c.c_int()  # to ask for them loads the code, which a launch would do else
        driver("cuFuncGetAttribute", c.byref(registers), _REGISTERS, function)
        if settings.memory:
            driver("cuFuncSetAttribute", function, _DYNAMIC_MEMORY, settings.memory)
        return Function(function.value or 0, settings)

    def bind(
        self, bindings: tuple[BindingSpec, ...], buffers: Sequence[tuple[CudaBuffer, int]]
    ) -> Group:
        self._enter("binding buffers")
        try:
            return Group(self._driver, bindings, buffers)
        except CudaError as error:
            raise self.failure("binding buffers", error) from None

    # Submitting

    def submit(self, *lists: Sequence[Command]) -> None:
        action = "submitting commands"
        self._enter(action)
        for commands in lists:
            if isinstance(commands, Recording) and len(commands) > _FEW:
                if commands.plan is None:
                    commands.plan = self._plan(action, commands)
                self._do(action, "cuGraphLaunch", commands.plan.address, self._stream)
            else:
                for command in commands:
                    self._run(action, command)
            self._sent += len(commands)

    def _run(self, action: str, command: Command) -> None:
        if isinstance(command, Copy):
            source, target = command.source.address, command.target.address
            self._do(action, "cuMemcpyDtoDAsync_v2", target, source, command.nbytes, self._stream)
            return
        function = command.program.function
        settings = function.settings
        settings.grid[:] = command.grid
        code = self._launch(c.byref(settings), function.address, command.group.pointers, None)
        if code:
            self._raise(action, "cuLaunchKernelEx", code)

    def _plan(self, action: str, commands: Sequence[Command]) -> Plan:
        """Make a CUDA graph of commands, by capturing them from the stream."""
        for command in commands:
            if isinstance(command, Launch):
                command.program.wait()
        graph, plan = c.c_void_p(), c.c_void_p()
        self._do(action, "cuStreamBeginCapture_v2", self._stream, _RELAXED)
        try:
            for command in commands:
                self._run(action, command)
        finally:
            self._do(action, "cuStreamEndCapture", self._stream, c.byref(graph))
        self._do(action, "cuGraphInstantiateWithFlags", c.byref(plan), graph, 0)
        self._do(action, "cuGraphDestroy", graph)
        return Plan(plan.value or 0, self._doomed.append)

    def submit_timed(self, commands: Sequence[Command]) -> CudaTimes:
        action = "submitting timed commands"
        self._enter(action)
        pairs, origin = [], self._current_origin()
        for command in commands:
            if isinstance(command, Launch):
                command.program.wait()
                begin = self.new_event(timing=True)
                self._run(action, command)
                pairs.append((begin, self.new_event(timing=True)))
            else:
                self._run(action, command)
        self._sent += len(commands)
        return CudaTimes(self, pairs, self._sent, origin)

    def timestamp(self) -> CudaTimes:
        self._enter("writing a timestamp")
        origin = self._current_origin()
        pair = self.new_event(timing=True), self.new_event(timing=True)
        return CudaTimes(self, [pair], self._sent, origin)

    def one_submission(self) -> AbstractContextManager[None]:
        return nullcontext()

    def encode_ahead(self) -> None:
        """Do nothing: a graph is made once."""

    @property
    def under_way(self) -> int:
        return self._sent - self._reached

    def note_done(self, count: int) -> None:
        """Note that the first ``count`` commands sent are done."""
        self._reached = max(self._reached, count)

    @property
    def is_ready(self) -> bool:
        return True

    # Events

    def fence(self) -> CudaFence:
        self._enter("waiting for it")
        return CudaFence(self, self._sent)

    def synchronize(self) -> None:
        self.fence().wait()

    def new_event(self, *, timing: bool = False) -> int:
        """Record a new event in the stream."""
        event = c.c_void_p()
        self._do("recording an event", "cuEventCreate", c.byref(event), 0 if timing else _NO_TIMING)
        self._do("recording an event", "cuEventRecord", event, self._stream)
        return event.value or 0

    def is_reached(self, event: int) -> bool:
        """Tell whether the work before an event is done. Raises `DeviceLostError`."""
        action = "waiting for it"
        self.require_open(action)
        self._do(action, "cuCtxSetCurrent", self._context)
        code = self._driver.code("cuEventQuery", event)
        if code not in (0, _NOT_READY):
            self._raise(action, "cuEventQuery", code)
        return code == 0

    def drop_event(self, event: int) -> None:
        """Destroy an event at the next call."""
        self._doomed.append(("cuEventDestroy_v2", event))

    def _current_origin(self) -> Origin:
        """Return the event that times count from now; a new one every second."""
        if time.monotonic() - self._origin_since > 1:
            event = self.new_event(timing=True)
            self._origin = Origin(self._driver, event, self._origin)
            self._origins.append(event)
            self._origin_since = time.monotonic()
        return self._origin

    # Loss and closing

    def close(self) -> None:
        if self._closed:
            return
        self.compilers.stop()
        driver, index = self._driver, self.info.index
        driver.code("cuCtxSetCurrent", self._context)
        self._destroy_doomed()
        if self._lost:
            driver.code("cuDevicePrimaryCtxRelease_v2", index)
            driver.code("cuDevicePrimaryCtxReset_v2", index)
        else:
            for address in self._live:
                driver.code("cuMemFreeAsync", address, self._stream)
            driver.code("cuStreamSynchronize", self._stream)
            self._staging.trim()
            for event in self._origins:
                driver.code("cuEventDestroy_v2", event)
            driver.code("cuStreamDestroy_v2", self._stream)
            driver.code("cuDevicePrimaryCtxRelease_v2", index)
        self._closed = True

    def _enter(self, action: str) -> None:
        """Make the card's context this thread's. Raises `DeviceLostError`."""
        self.require_open(action)
        self._do(action, "cuCtxSetCurrent", self._context)
        if self._doomed:
            self._destroy_doomed()

    def _destroy_doomed(self) -> None:
        while self._doomed:
            self._driver.code(*self._doomed.popleft())

    def require_open(self, action: str) -> None:
        """Raise `DeviceLostError` where the device was closed or lost."""
        if self._closed or self._lost:
            raise self.failure(action, self._lost or "device is lost")

    def _do(self, action: str, name: str, *arguments: Any) -> None:
        """Call the driver. Raises the errors of `failure`."""
        try:
            self._driver(name, *arguments)
        except CudaError as error:
            raise self.failure(action, error) from None

    def _raise(self, action: str, name: str, code: int) -> None:
        """Raise the error of a result code."""
        raise self.failure(action, self._driver.error(name, code)) from None

    def failure(self, action: str, error: CudaError | str) -> GpuError:
        """Return the error to raise where CUDA reports ``error`` during ``action``."""
        where = f"{self.info.name} ({self.info.backend}), {action}"
        if self._closed:
            return DeviceLostError(f"{where}: the device was closed; {_REOPEN_ADVICE}")
        if isinstance(error, CudaError):
            if error.is_out_of_memory:
                return OutOfMemoryError(f"{where}: {error}; free buffers or use a smaller size")
            if error.is_loss:
                self._lost = str(error)
        if self._lost:
            return DeviceLostError(f"{where}: the device was lost ({self._lost}); {_REOPEN_ADVICE}")
        return GpuError(f"{where}: {error}")


def _address_of(data: memoryview) -> tuple[Any, int]:
    """Return what keeps the bytes of a buffer in place, and their address."""
    if not data.readonly:
        found = (c.c_char * data.nbytes).from_buffer(data)
        return found, c.addressof(found)
    import numpy as np

    array = np.frombuffer(data, np.uint8)
    return array, array.ctypes.data
