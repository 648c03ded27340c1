"""The WebGPU backend, shared by wgpu-py and wgpudawn, which offer the same Python API."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from gpucore.backends.interface import (
    AdapterInfo,
    BindingSpec,
    Command,
    Launch,
    Pending,
    StagingStats,
)
from gpucore.backends.webgpu.compile_errors import compile_error
from gpucore.backends.webgpu.compilers import Compilers
from gpucore.backends.webgpu.encoding import Encoding, native_dispatch
from gpucore.backends.webgpu.pending import Building, WebGpuProgram, WebGpuRead, WebGpuTimes
from gpucore.backends.webgpu.staging import StagingBuffer, StagingPool
from gpucore.errors import DeviceLostError, GpuError, OutOfMemoryError

__all__ = ["WebGpuBackend", "WebGpuBuffer"]

# WebGPU allows 4096 queries in a set; a launch takes two.
_MOST_TIMED = 2048

_REOPEN = (
    "its buffers, kernels and graphs are gone: open a new one (device.reopen() or Device.auto()) "
    "and upload the data again"
)


class WebGpuBuffer:
    """A GPUBuffer and the native handle of it."""

    __slots__ = ("nbytes", "raw")

    def __init__(self, raw: Any, nbytes: int) -> None:
        self.raw = raw
        self.nbytes = nbytes


class WebGpuBackend:
    """An opened WebGPU device.

    ``module`` is ``wgpu`` or ``wgpudawn``; ``native``, ``raising`` and ``ffi`` are its C library,
    see `Encoding`. Pipelines are made by ``compilers``.
    """

    def __init__(
        self,
        info: AdapterInfo,
        device: Any,
        module: Any,
        native: Any,
        raising: Any,
        ffi: Any,
        compilers: Compilers,
    ) -> None:
        self.info = info
        self.compilers = compilers
        self._device = device
        self._module = module
        self.errors: type[Exception] = module.GPUError
        self._native = native
        self._raising = raising
        self._ffi = ffi
        self._null = ffi.NULL
        self._closed = False
        self.sent = self._reached = 0
        self._encoding = Encoding(device, native, raising, ffi)
        self._layouts: dict[tuple[BindingSpec, ...], tuple[Any, Any]] = {}
        usage = module.BufferUsage.COPY_DST | module.BufferUsage.MAP_READ
        self._staging = StagingPool(lambda size: device.create_buffer(size=size, usage=usage))

    def allocate(self, nbytes: int) -> WebGpuBuffer:
        self.refuse_lost("allocating")
        usage = self._module.BufferUsage
        flags = usage.STORAGE | usage.UNIFORM | usage.COPY_SRC | usage.COPY_DST
        try:
            return WebGpuBuffer(self._device.create_buffer(size=nbytes, usage=flags), nbytes)
        except self.errors as error:
            raise self.failure(f"allocating {nbytes} bytes", error) from None

    def free(self, handle: WebGpuBuffer) -> None:
        handle.raw.destroy()

    def write(self, handle: WebGpuBuffer, data: memoryview, offset: int = 0) -> None:
        self.refuse_lost("writing")
        try:
            self._device.queue.write_buffer(handle.raw, offset, data)
        except self.errors as error:
            raise self.failure(f"writing {data.nbytes} bytes", error) from None

    def read(self, handle: WebGpuBuffer, nbytes: int, offset: int = 0) -> WebGpuRead:
        self.refuse_lost("reading")
        try:
            staging = self._staging.take(nbytes)
            encoder = self._encoding.begin()
            self._encoding.copy(encoder, handle, staging, nbytes, offset)
            self._hand_over([self._encoding.finish(encoder)])
            return WebGpuRead(self, staging, nbytes, self._map(staging, nbytes))
        except self.errors as error:
            raise self.failure(f"reading {nbytes} bytes", error) from None

    def _map(self, staging: StagingBuffer, nbytes: int) -> Pending:
        """Begin mapping; ``wait`` of the result raises what `failure` makes."""
        raise NotImplementedError

    def _unmap(self, staging: StagingBuffer) -> None:
        """Unmap a mapped buffer."""
        raise NotImplementedError

    def mapped(self, staging: StagingBuffer, nbytes: int) -> memoryview:
        """The bytes of a mapped staging buffer, valid until it is unmapped."""
        address = self._native.wgpuBufferGetConstMappedRange(staging.raw._internal, 0, nbytes)
        if address == self._null:
            raise self.failure(f"reading {nbytes} bytes", "the engine does not show them")
        return memoryview(self._ffi.buffer(address, nbytes))

    def unstage(self, staging: StagingBuffer, *, is_mapped: bool) -> None:
        """Take a read's staging buffer back; one still being mapped is destroyed."""
        if is_mapped and not self._closed:
            self._unmap(staging)
            self._staging.give(staging)
        else:
            self._staging.drop(staging)

    @property
    def staging(self) -> StagingStats:
        return self._staging.stats

    def trim(self) -> None:
        self._staging.trim()

    def compile(
        self,
        source: str,
        entry: str,
        constants: Mapping[str, float],
        bindings: tuple[BindingSpec, ...],
    ) -> WebGpuProgram:
        self.refuse_lost("compiling a kernel")
        try:
            layout = self._layout(bindings)[1]
        except self.errors as error:
            raise self.compile_failure(error, source) from None
        build = partial(self.build, source, entry, constants, layout)
        return WebGpuProgram(Building(self, self.compilers.submit(build), source))

    def build(self, source: str, entry: str, constants: Mapping[str, float], layout: Any) -> Any:
        """The engine's pipeline, in whatever thread this is; raises ``errors``."""
        raise NotImplementedError

    def _layout(self, bindings: tuple[BindingSpec, ...]) -> tuple[Any, Any]:
        found = self._layouts.get(bindings)
        if found is None:
            entries = [
                {
                    "binding": b.binding,
                    "visibility": self._module.ShaderStage.COMPUTE,
                    "buffer": {"type": b.access, "min_binding_size": b.min_size},
                }
                for b in bindings
            ]
            group = self._device.create_bind_group_layout(entries=entries)
            pipeline = self._device.create_pipeline_layout(bind_group_layouts=[group])
            found = self._layouts[bindings] = (group, pipeline)
        return found

    def bind(
        self, bindings: tuple[BindingSpec, ...], buffers: Sequence[tuple[WebGpuBuffer, int]]
    ) -> Any:
        self.refuse_lost("binding buffers")
        entries = [
            {"binding": b.binding, "resource": {"buffer": h.raw, "offset": 0, "size": n}}
            for b, (h, n) in zip(bindings, buffers, strict=True)
        ]
        try:
            return self._device.create_bind_group(layout=self._layout(bindings)[0], entries=entries)
        except self.errors as error:
            raise self.failure("binding buffers", error) from None

    def submit(self, *lists: Sequence[Command]) -> None:
        self.refuse_lost("submitting commands")
        buffers: list[Any] = []
        try:
            try:
                buffers.extend(map(self._encoding.buffer_of, lists))
            finally:  # a list that cannot be encoded takes none before it with it
                if buffers:
                    self._hand_over(buffers)
        except self.errors as error:
            raise self.failure("submitting commands", error) from None
        finally:
            self.sent += sum(map(len, lists[: len(buffers)]))

    @property
    def under_way(self) -> int:
        return self.sent - self._reached

    def reach(self, sent: int) -> None:
        """Note that so many of the commands ``sent`` are done."""
        self._reached = max(self._reached, sent)

    def encode_ahead(self) -> None:
        """Use a wait: encode what was submitted again since the last one for the next time."""
        self._encoding.encode_ahead()

    def _hand_over(self, buffers: Sequence[Any]) -> None:
        """Submit native command buffers."""
        array = self._ffi.new("WGPUCommandBuffer[]", buffers)
        self._raising.wgpuQueueSubmit(self._device.queue._internal, len(buffers), array)

    def submit_timed(self, commands: Sequence[Command]) -> WebGpuTimes:
        self.refuse_lost("submitting timed commands")
        parts = [commands[i : i + _MOST_TIMED] for i in range(0, len(commands), _MOST_TIMED)]
        try:
            self._warm(commands)
            reads = [read for part in parts if (read := self._submit_part_timed(part))]
        except self.errors as error:
            raise self.failure("submitting timed commands", error) from None
        return WebGpuTimes(reads, self._timestamp_period())

    def _warm(self, commands: Sequence[Command]) -> None:
        """Launch each program that is timed for the first time over no workgroups.

        Mesa compiles at a program's first launch, which may take seconds, and would count as its
        time. The grid lies in a buffer, since a grid that is seen to be empty is passed over.
        """
        cold = {c.program: c for c in commands if isinstance(c, Launch) and not c.program.is_warm}
        if not cold:
            return
        for program in cold:
            program.wait()
        usage = self._module.BufferUsage
        nothing = self._device.create_buffer(size=12, usage=usage.INDIRECT | usage.COPY_DST)
        self._device.queue.write_buffer(nothing, 0, bytes(12))
        self._hand_over([self._encoding.empty(cold.values(), nothing._internal)])
        nothing.destroy()
        for program in cold:
            program.is_warm = True

    def _submit_part_timed(self, commands: Sequence[Command]) -> WebGpuRead | None:
        """Submit commands that need one query set at most; None where none of them is a launch."""
        launches = sum(isinstance(command, Launch) for command in commands)
        if not launches:
            self.submit(commands)
            return None
        return self._timed(
            launches, lambda encoder, queries: self._encode_timed(encoder, commands, queries)
        )

    def timestamp(self) -> WebGpuTimes:
        self.refuse_lost("writing a timestamp")

        def encode(encoder: Any, queries: Any) -> None:
            encoder.begin_compute_pass(timestamp_writes=_marks(queries, 0)).end()

        try:
            return WebGpuTimes([self._timed(1, encode)], self._timestamp_period())
        except self.errors as error:
            raise self.failure("writing a timestamp", error) from None

    def _timed(self, pairs: int, encode: Callable[[Any, Any], None]) -> WebGpuRead:
        """Submit what ``encode`` puts into an encoder, with queries for so many pairs of times."""
        usage = self._module.BufferUsage
        nbytes = 16 * pairs
        queries = self._device.create_query_set(type="timestamp", count=2 * pairs)
        flags = usage.QUERY_RESOLVE | usage.COPY_SRC
        times = WebGpuBuffer(self._device.create_buffer(size=nbytes, usage=flags), nbytes)
        encoder = self._device.create_command_encoder()
        encode(encoder, queries)
        encoder.resolve_query_set(queries, 0, 2 * pairs, times.raw, 0)
        self._hand_over([self._encoding.finish(encoder._internal)])
        read = self.read(times, nbytes)
        times.raw.destroy()
        queries.destroy()
        return read

    def _encode_timed(self, encoder: Any, commands: Sequence[Command], queries: Any) -> None:
        """A pass for each launch, since only passes write timestamps everywhere."""
        mark = 0
        for command in commands:
            if not isinstance(command, Launch):
                copied = command.source, command.target, command.nbytes
                self._encoding.copy(encoder._internal, *copied)
                continue
            compute = encoder.begin_compute_pass(timestamp_writes=_marks(queries, mark))
            self._encoding.dispatch(compute._internal, [native_dispatch(command)])
            compute.end()
            mark += 2

    def _timestamp_period(self) -> float:
        """Nanoseconds of a timestamp's tick; WebGPU itself counts nanoseconds."""
        return 1.0

    def fence(self) -> Pending:
        raise NotImplementedError

    def synchronize(self) -> None:
        self.fence().wait()

    def close(self) -> None:
        self._closed = True
        self.compilers.stop()
        self._device.destroy()

    def refuse_lost(self, doing: str) -> None:
        """Raise `DeviceLostError` where the device is known to be lost, or was closed."""
        if self._closed or self._is_gone():
            raise self.failure(doing, "device is lost")

    def check_alive(self, doing: str) -> None:
        """Raise `DeviceLostError` where the device was closed, or the engine tells of a loss."""
        if self._closed or self.lost_reason():
            raise self.failure(doing, "device is lost")

    def _is_gone(self) -> bool:
        """True where the engine has told of the loss, and says nothing from there on."""
        return False

    def lost_reason(self) -> str:
        """Why the device is lost, as the engine tells it; empty while it lives."""
        raise NotImplementedError

    def failure(self, doing: str, error: Exception | str) -> GpuError:
        """What to raise where the engine reports ``error`` while ``doing`` something."""
        where = f"{self.info.name} ({self.info.backend}), {doing}"
        if self._closed:
            return DeviceLostError(f"{where}: the device was closed; {_REOPEN}")
        if isinstance(error, self._module.GPUOutOfMemoryError):
            return OutOfMemoryError(f"{where}: {error}; free buffers or use a smaller size")
        reason = self.lost_reason()
        if reason or "device is lost" in str(error).lower():
            return DeviceLostError(f"{where}: the device was lost ({reason or error}); {_REOPEN}")
        return GpuError(f"{where}: {error}")

    def compile_failure(self, error: Exception, source: str) -> GpuError:
        """What to raise where the engine refuses a pipeline."""
        failure = self.failure("compiling a kernel", error)
        return failure if isinstance(failure, DeviceLostError) else compile_error(error, source)


def _marks(queries: Any, first: int) -> dict[str, Any]:
    """A pass's own timestamps: two queries from ``first`` on."""
    return {
        "query_set": queries,
        "beginning_of_pass_write_index": first,
        "end_of_pass_write_index": first + 1,
    }
