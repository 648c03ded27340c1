"""`CardBackend`: a card whose driver is a C library, behind the protocol of a backend."""

from __future__ import annotations

import ctypes as c
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, Final

from gpucore.backends.compilers import Compilers
from gpucore.backends.drivers.compiler import Toolchain
from gpucore.backends.drivers.driver import Driver, Function, LaunchShape
from gpucore.backends.drivers.errors import DriverError
from gpucore.backends.drivers.graphs import make_graph
from gpucore.backends.drivers.kernel_cache import compile_text, compile_wgsl
from gpucore.backends.drivers.lanes import Lane, Lanes, Plan
from gpucore.backends.drivers.memory import CardBuffer, Group, PinnedMemory
from gpucore.backends.drivers.pending import (
    CardFence,
    CardProgram,
    CardRead,
    CardTimes,
    Origin,
)
from gpucore.backends.drivers.queue import CardQueue
from gpucore.backends.drivers.sharing import CardSharing
from gpucore.backends.interface import (
    AdapterInfo,
    BindingSpec,
    Command,
    Copy,
    Launch,
    Recording,
    Sharing,
    StagingStats,
)
from gpucore.backends.native import NativeCode
from gpucore.backends.staging import StagingBuffer, StagingPool
from gpucore.errors import DeviceLostError, GpuError, OutOfMemoryError
from gpucore.wgsl.c_family import KERNEL, MAX_BY_VALUE

__all__ = ["CardBackend"]

_MAX_COMPILERS: Final = 16
# Numbers that CUDA and HIP share.
_REGISTERS: Final = 4
_NO_TIMING: Final = 2
_NOT_READY: Final = 600
_FEW: Final = 4  # commands that are not worth a graph

_REOPEN_ADVICE: Final = (
    "its buffers, kernels and graphs are gone: open a new one (device.reopen() or Device.auto()) "
    "and upload the data again"
)


class CardBackend:
    """An opened card: calls are ordered as on its main stream, but for those of other queues."""

    def __init__(
        self,
        info: AdapterInfo,
        driver: Driver,
        toolchain: Toolchain,
        *,
        checks: bool,
    ) -> None:
        self.info = info
        self.checks = checks
        self.compilers = Compilers(_MAX_COMPILERS)
        self._driver = driver
        self._toolchain = toolchain
        self._closed = False
        self._lost = ""
        self._sent = self._reached = 0
        self._doomed: deque[tuple[str, int]] = deque()
        self._live: set[int] = set()
        self._set_context, self._launch_graph = map(driver.function, ("enter", "launch_graph"))
        self._context = driver.take(info.index)
        driver("enter", self._context)
        self._lanes = Lanes(self, driver)
        self._main = self._lanes.main
        self._stream = self._main.stream
        self._staging = StagingPool(lambda nbytes: PinnedMemory(driver, nbytes))
        self._sharing = CardSharing(self, driver, self._stream, info.index)
        self.sharing: Sharing | None = self._sharing
        self._origin = Origin(driver, self.new_event(timing=True))
        self._origins = [self._origin.event]
        self._origin_since = time.monotonic()

    @property
    def title(self) -> str:
        return self._driver.title

    # Memory

    def allocate(self, nbytes: int) -> CardBuffer:
        action = f"allocating {nbytes} bytes"
        self._enter(action)
        address = c.c_uint64()
        self._do(action, "allocate", c.byref(address), nbytes, self._stream)
        self._live.add(address.value)
        handle = CardBuffer(address.value, nbytes)
        self.note_written(handle)
        return handle

    def keep_on_host(self, source: CardBuffer, nbytes: int) -> PinnedMemory:
        action = f"keeping {nbytes} bytes on the host"
        self._enter(action)
        try:
            memory = PinnedMemory(self._driver, nbytes)
        except DriverError as error:
            raise self.failure(action, error) from None
        try:
            with self._lanes.use(reads=source, writes=memory):
                self._do(action, "copy_out", memory.address, source.address, nbytes, self._stream)
        except GpuError:
            memory.destroy()
            raise
        return memory

    def free(self, handle: CardBuffer | PinnedMemory) -> None:
        if self._closed or self._lost:
            return
        self._enter("freeing memory")
        if isinstance(handle, PinnedMemory):
            self.synchronize()  # a copy may still read it
            handle.destroy()
            return
        self._live.discard(handle.address)
        with self._lanes.use(writes=handle):
            self._do("freeing memory", "free", handle.address, self._stream)

    def write(self, handle: CardBuffer, data: memoryview, offset: int = 0) -> None:
        action = f"writing {data.nbytes} bytes"
        self._enter(action)
        flat = data.cast("B") if data.nbytes else data
        small = not offset and data.nbytes == handle.nbytes <= MAX_BY_VALUE + 15
        handle.host = bytes(flat) if small else None
        if data.nbytes:
            source, address = _address_of(flat)
            target = handle.address + offset
            with self._lanes.use(writes=handle):
                self._do(action, "copy_in", target, address, data.nbytes, self._stream)
            del source

    def read(self, handle: CardBuffer, nbytes: int, offset: int = 0) -> CardRead:
        action = f"reading {nbytes} bytes"
        self._enter(action)
        try:
            staging = self._staging.take(nbytes)
        except DriverError as error:
            raise self.failure(action, error) from None
        target, source = staging.raw.address, handle.address + offset
        with self._lanes.use(reads=handle):
            self._do(action, "copy_out", target, source, nbytes, self._stream)
        return CardRead(self, staging, nbytes, self._fence_of(self._main))

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
        if not self._closed and not self._lost and not self._staging.is_empty:
            self.synchronize()  # a read that was dropped may still copy
            self._staging.trim()

    # Kernels

    def compile(
        self,
        source: str,
        entry: str,
        constants: Mapping[str, float],
        bindings: tuple[BindingSpec, ...],
    ) -> CardProgram:
        self._enter("compiling a kernel")
        build = partial(self._build, source, entry, dict(constants))
        return CardProgram(self, self.compilers.submit(build), source)

    def compile_native(self, code: NativeCode) -> CardProgram:
        self._enter("compiling a kernel")
        shape = LaunchShape((code.threads, 1, 1), code.memory, code.cluster, follows=code.follows)
        build = partial(self._build_native, code.text, shape)
        return CardProgram(self, self.compilers.submit(build), code.text)

    def _build(self, source: str, entry: str, constants: Mapping[str, float]) -> Function:
        """Print, compile and load a kernel, in any thread. Raises `WgslError`, `DriverError`."""
        kernel = compile_wgsl(self._toolchain, source, entry, constants, checks=self.checks)
        return self._load(kernel.code, LaunchShape(kernel.workgroup_size, kernel.launch_memory))

    def _build_native(self, text: str, shape: LaunchShape) -> Function:
        """Compile and load a text in C++, in any thread. Raises `DriverError`."""
        return self._load(compile_text(self._toolchain, text), shape)

    def _load(self, code: bytes, shape: LaunchShape) -> Function:
        """Load machine code, in any thread. Raises `DriverError`."""
        driver, module, function = self._driver, c.c_void_p(), c.c_void_p()
        driver("enter", self._context)
        driver("load_module", c.byref(module), code)
        driver("find_function", c.byref(function), module, KERNEL.encode())
        registers = c.c_int()  # to ask for them loads the code, which a launch would do else
        driver("function_attribute", c.byref(registers), _REGISTERS, function)
        return driver.prepare(function.value or 0, shape)

    def bind(
        self, bindings: tuple[BindingSpec, ...], buffers: Sequence[tuple[CardBuffer, int]]
    ) -> Group:
        self._enter("binding buffers")
        try:
            return Group(self._driver, bindings, buffers)
        except DriverError as error:
            raise self.failure("binding buffers", error) from None

    # Submitting

    def submit(self, *lists: Sequence[Command]) -> None:
        self.submit_to(self._main, lists)

    def submit_to(self, lane: Lane, lists: Sequence[Sequence[Command]]) -> None:
        action = "submitting commands"
        self._enter_context(action)  # what is to be destroyed waits: the card should begin
        for commands in lists:
            with self._lanes.submission(lane, commands):
                self._run_all(action, commands, lane.stream)
            self._sent += len(commands)
        self._sharing.note_submitted()

    def _run_all(self, action: str, commands: Sequence[Command], stream: int) -> None:
        if isinstance(commands, Recording) and len(commands) > _FEW:
            if commands.plan is None:
                commands.plan = self._plan(action, commands)
            if code := self._launch_graph(commands.plan.address, stream):
                self._raise(action, "launch_graph", code)
            return
        for command in commands:
            self._run(action, command, stream)

    def _run(self, action: str, command: Command, stream: int, *, follows: bool = True) -> None:
        """Give a stream a command. Without ``follows`` it begins when all before it is done."""
        if isinstance(command, Copy):
            source, target = command.source.address, command.target.address
            call = "copy_in" if isinstance(command.source, PinnedMemory) else "copy"
            self._do(action, call, target, source, command.nbytes, stream)
            return
        function, pointers = command.program.function, command.group.pointers
        code = function.launch(command.grid, pointers, stream, follows=follows)
        if code:
            self._raise(action, "launch", code)

    def _plan(self, action: str, commands: Sequence[Command]) -> Plan:
        """Make a graph of commands."""
        for command in commands:
            if isinstance(command, Launch):
                command.program.wait()
        try:
            address = make_graph(self._driver, self._stream, commands, partial(self._run, action))
        except DriverError as error:
            raise self.failure(action, error) from None
        return Plan(address, self._doomed)

    def submit_timed(self, commands: Sequence[Command]) -> CardTimes:
        action = "submitting timed commands"
        self._enter(action)
        pairs, origin = [], self._current_origin()
        with self._lanes.submission(self._main, commands):
            for command in commands:
                if isinstance(command, Launch):
                    command.program.wait()
                    begin = self.new_event(timing=True)
                    self._run(action, command, self._stream)
                    pairs.append((begin, self.new_event(timing=True)))
                else:
                    self._run(action, command, self._stream)
        self._sent += len(commands)
        return CardTimes(self, pairs, self._fence_of(self._main), origin)

    def timestamp(self) -> CardTimes:
        return self.timestamp_of(self._main)

    def timestamp_of(self, lane: Lane) -> CardTimes:
        self._enter("writing a timestamp")
        origin = self._current_origin()
        pair = self.new_event(lane, timing=True), self.new_event(lane, timing=True)
        # The origin is an event of the main stream, which must be reached, too.
        lanes = [lane] if lane is self._main else [lane, self._main]
        return CardTimes(self, [pair], self._fence_of(*lanes), origin)

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

    def fence(self) -> CardFence:
        self._enter("waiting for it")
        return self._fence_of(*self._lanes.all)

    def fence_of(self, lane: Lane) -> CardFence:
        self._enter("waiting for it")
        return self._fence_of(lane)

    def _fence_of(self, *lanes: Lane) -> CardFence:
        is_all = len(lanes) == len(self._lanes.all)
        return CardFence(self, list(map(self.new_event, lanes)), self._sent if is_all else 0)

    def synchronize(self) -> None:
        self.fence().wait()

    # Queues

    @property
    def queue(self) -> CardQueue:
        return CardQueue(self, self._main)

    def new_queue(self) -> CardQueue:
        self._enter("making a stream")
        try:
            return CardQueue(self, self._lanes.take())
        except DriverError as error:
            raise self.failure("making a stream", error) from None

    def give_lane(self, lane: Lane) -> None:
        self._lanes.give(lane)

    def let_wait(self, lane: Lane, event: int) -> None:
        self._do("letting a stream wait", "wait_event", lane.stream, event)

    def note_written(self, handle: CardBuffer) -> None:
        """Note that memory is new in the order of the main stream."""
        with self._lanes.use(writes=handle):
            pass

    def new_event(self, lane: Lane | None = None, *, timing: bool = False) -> int:
        """Record a new event in a stream; None is the main one."""
        event, stream = c.c_void_p(), (lane or self._main).stream
        self._do("recording an event", "create_event", c.byref(event), 0 if timing else _NO_TIMING)
        self._do("recording an event", "record_event", event, stream)
        return event.value or 0

    def is_reached(self, event: int) -> bool:
        """Tell whether the work before an event is done. Raises `DeviceLostError`."""
        action = "waiting for it"
        self.require_open(action)
        self._do(action, "enter", self._context)
        code = self._driver.code("query_event", event)
        if code not in (0, _NOT_READY):
            self._raise(action, "query_event", code)
        return code == 0

    def drop_event(self, event: int) -> None:
        """Destroy an event at the next call."""
        self._doomed.append(("destroy_event", event))

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
        driver.code("enter", self._context)
        self._destroy_doomed()
        if self._is_context_dead():
            driver.leave(index, is_lost=True)
            self._sharing.close()
        else:
            for lane in self._lanes.all:
                driver.code("synchronize_stream", lane.stream)
            for address in self._live:
                driver.code("free", address, self._stream)
            driver.code("synchronize_stream", self._stream)
            self._sharing.close()
            self._staging.trim()
            for event in self._origins:
                driver.code("destroy_event", event)
            for lane in self._lanes.all:
                driver.code("destroy_stream", lane.stream)
            driver.leave(index, is_lost=False)
        self._closed = True

    def _is_context_dead(self) -> bool:
        """Tell whether the card's context is of no use to anybody, as after a fault in a kernel.

        A reset takes the context from every device of the process, and from other libraries.
        """
        code = self._driver.code("synchronize_stream", self._stream) if self._lost else 0
        return bool(code) and self._driver.error("synchronize_stream", code).is_loss

    def _enter(self, action: str) -> None:
        """Make the card's context this thread's, and tidy up. Raises `DeviceLostError`."""
        self._enter_context(action)
        if self._doomed:
            self._destroy_doomed()
        self._sharing.settle()

    def _enter_context(self, action: str) -> None:
        """Make the card's context this thread's. Raises `DeviceLostError`."""
        if self._closed or self._lost:
            self.require_open(action)
        if code := self._set_context(self._context):
            self._raise(action, "enter", code)

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
        except DriverError as error:
            raise self.failure(action, error) from None

    def _raise(self, action: str, role: str, code: int) -> None:
        """Raise the error of a result code."""
        raise self.failure(action, self._driver.error(role, code)) from None

    def failure(self, action: str, error: DriverError | str) -> GpuError:
        """Return the error to raise where the driver reports ``error`` during ``action``."""
        where = f"{self.info.name} ({self.info.backend}), {action}"
        if self._closed:
            return DeviceLostError(f"{where}: the device was closed; {_REOPEN_ADVICE}")
        if isinstance(error, DriverError):
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
