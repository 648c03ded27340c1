"""The backend class that wgpu-py and wgpudawn share; they offer the same Python API."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Self

from gpucore.backends.compilers import Compilers
from gpucore.backends.interface import (
    AdapterInfo,
    BindingSpec,
    Command,
    Copy,
    Launch,
    Pending,
    Sharing,
    StagingStats,
)
from gpucore.backends.native import NativeCode
from gpucore.backends.staging import StagingBuffer, StagingPool
from gpucore.backends.webgpu.compile_errors import shorten_compile_error
from gpucore.backends.webgpu.encoding import Encoding, native_dispatch
from gpucore.backends.webgpu.pending import (
    PendingPipeline,
    WebGpuProgram,
    WebGpuRead,
    WebGpuTimes,
)
from gpucore.errors import DeviceLostError, FeatureError, GpuError, OutOfMemoryError

__all__ = ["WebGpuBackend", "WebGpuBuffer"]

# WebGPU allows 4096 queries in a set; a launch takes two.
_MAX_TIMED = 2048

_REOPEN_ADVICE = (
    "its buffers, kernels and graphs are gone: open a new one (device.reopen() or Device.auto()) "
    "and upload the data again"
)


class WebGpuBuffer:
    """A GPUBuffer of the engine's module, and its size."""

    __slots__ = ("nbytes", "raw")

    def __init__(self, raw: Any, nbytes: int) -> None:
        self.raw = raw
        self.nbytes = nbytes


class WebGpuBackend:
    """An opened WebGPU device.

    ``module`` is ``wgpu`` or ``wgpudawn``. ``native``, ``raising`` and ``ffi`` are its C library,
    see `Encoding`. ``compilers`` make pipelines.
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
        self.sharing: Sharing | None = None
        self.compilers = compilers
        self._device = device
        self._module = module
        self.errors: type[Exception] = module.GPUError
        self._native = native
        self._raising = raising
        self._ffi = ffi
        self._null = ffi.NULL
        self._closed = False
        self._held: list[Any] | None = None
        self._doomed: list[Any] = []
        self.sent = self._reached = 0
        self._encoding = Encoding(device, native, raising, ffi)
        self._layouts: dict[tuple[BindingSpec, ...], tuple[Any, Any]] = {}
        usage = module.BufferUsage.COPY_DST | module.BufferUsage.MAP_READ
        self._staging = StagingPool(lambda size: device.create_buffer(size=size, usage=usage))

    def allocate(self, nbytes: int) -> WebGpuBuffer:
        self.require_open("allocating")
        usage = self._module.BufferUsage
        flags = usage.STORAGE | usage.UNIFORM | usage.COPY_SRC | usage.COPY_DST
        try:
            return WebGpuBuffer(self._device.create_buffer(size=nbytes, usage=flags), nbytes)
        except self.errors as error:
            raise self.failure(f"allocating {nbytes} bytes", error) from None

    def free(self, handle: WebGpuBuffer) -> None:
        self._destroy(handle.raw)

    def keep_on_host(self, source: WebGpuBuffer, nbytes: int) -> WebGpuBuffer:
        self.require_open("allocating")
        try:
            raw = self._host_buffer(nbytes)
            if raw is None:
                return self._keep_read(source, nbytes)
        except self.errors as error:
            raise self.failure(f"allocating {nbytes} bytes of the host", error) from None
        found = WebGpuBuffer(raw, nbytes)
        self.submit([Copy(source, found, nbytes)])
        return found

    def _host_buffer(self, nbytes: int) -> Any:
        """Return a new buffer in memory of the host for copies both ways; None where it has none.

        Raises ``errors``.
        """
        return None

    def _keep_read(self, source: WebGpuBuffer, nbytes: int) -> WebGpuBuffer:
        """Read a buffer into one that the host may write. Raises ``errors``, `DeviceLostError`."""
        usage = self._module.BufferUsage
        flags = usage.COPY_SRC | usage.MAP_WRITE
        raw = self._device.create_buffer(size=nbytes, usage=flags, mapped_at_creation=True)
        read = self.read(source, nbytes)
        raw.write_mapped(read.wait())
        read.release()
        raw.unmap()
        return WebGpuBuffer(raw, nbytes)

    def write(self, handle: WebGpuBuffer, data: memoryview, offset: int = 0) -> None:
        self.require_open("writing")
        try:
            self._device.queue.write_buffer(handle.raw, offset, data)
        except self.errors as error:
            raise self.failure(f"writing {data.nbytes} bytes", error) from None

    def read(self, handle: WebGpuBuffer, nbytes: int, offset: int = 0) -> WebGpuRead:
        self.require_open("reading")
        try:
            staging = self._staging.take(nbytes)
            try:  # where this fails, what is held stays held
                encoder = self._encoding.begin()
                self._encoding.copy(encoder, handle, staging, nbytes, offset)
                copy = self._encoding.finish(encoder)
            except self.errors:
                self._staging.give(staging)
                raise
            self._submit_native([*self._take_held(), copy])
            return WebGpuRead(self, staging, nbytes, self._map(staging, nbytes))
        except self.errors as error:
            raise self.failure(f"reading {nbytes} bytes", error) from None

    @contextmanager
    def one_submission(self) -> Iterator[None]:
        self._held = []
        try:
            yield
        finally:
            try:
                if buffers := self._take_held():  # there was no read
                    self._submit_native(buffers)
            except self.errors as error:
                raise self.failure("submitting commands", error) from None
            finally:
                doomed, self._doomed = self._doomed, []
                for raw in doomed:
                    raw.destroy()

    def _take_held(self) -> list[Any]:
        """Return what is held back for a read, and hold nothing back from here on."""
        held, self._held = self._held, None
        return held or []

    def _destroy(self, raw: Any) -> None:
        """Destroy what submitted commands may use; what is held back, too, is submitted first."""
        if self._held is None:
            raw.destroy()
        else:
            self._doomed.append(raw)

    def _map(self, staging: StagingBuffer, nbytes: int) -> Pending:
        """Begin mapping; ``wait`` of the result raises the errors of `failure`."""
        raise NotImplementedError

    def _unmap(self, staging: StagingBuffer) -> None:
        """Unmap a mapped buffer."""
        raise NotImplementedError

    def mapped_bytes(self, staging: StagingBuffer, nbytes: int) -> memoryview:
        """Return the bytes of a mapped staging buffer, valid until it is unmapped."""
        address = self._native.wgpuBufferGetConstMappedRange(staging.raw._internal, 0, nbytes)
        if address == self._null:
            raise self.failure(f"reading {nbytes} bytes", "the engine does not map them")
        return memoryview(self._ffi.buffer(address, nbytes))

    def return_staging(self, staging: StagingBuffer, *, is_mapped: bool) -> None:
        """Take a read's staging buffer back; one still being mapped is destroyed."""
        if is_mapped and not self._closed:
            self._unmap(staging)
            self._staging.give(staging)
        else:
            self._staging.drop(staging)

    def abandon_staging(self, staging: StagingBuffer) -> None:
        """Note that a read was dropped; the collector calls it at any time, in any thread."""
        self._staging.abandon(staging)

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
        self.require_open("compiling a kernel")
        try:
            layout = self._layout(bindings)[1]
        except self.errors as error:
            raise self.compile_failure(error, source) from None
        build = partial(self.build, source, entry, constants, layout)
        return WebGpuProgram(PendingPipeline(self, self.compilers.submit(build), source))

    def compile_native(self, code: NativeCode) -> WebGpuProgram:
        raise FeatureError(f"native kernels run on CUDA alone, got {self.info.backend}: give WGSL")

    def build(self, source: str, entry: str, constants: Mapping[str, float], layout: Any) -> Any:
        """Make the engine's pipeline, in any thread. Raises ``errors``."""
        raise NotImplementedError

    def _layout(self, bindings: tuple[BindingSpec, ...]) -> tuple[Any, Any]:
        """Return the layouts of the bind group and of the pipeline, made once."""
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
        self.require_open("binding buffers")
        entries = [
            {"binding": b.binding, "resource": {"buffer": h.raw, "offset": 0, "size": n}}
            for b, (h, n) in zip(bindings, buffers, strict=True)
        ]
        try:
            return self._device.create_bind_group(layout=self._layout(bindings)[0], entries=entries)
        except self.errors as error:
            raise self.failure("binding buffers", error) from None

    def submit(self, *lists: Sequence[Command]) -> None:
        self.require_open("submitting commands")
        buffers: list[Any] = []
        try:
            try:
                buffers.extend(map(self._encoding.buffer_of, lists))
            finally:  # lists before the one that cannot be encoded are submitted
                if buffers:
                    self._submit_native(buffers)
        except self.errors as error:
            raise self.failure("submitting commands", error) from None
        finally:
            self.sent += sum(map(len, lists[: len(buffers)]))

    @property
    def under_way(self) -> int:
        return self.sent - self._reached

    def note_done(self, count: int) -> None:
        """Note that the first ``count`` commands sent are done."""
        self._reached = max(self._reached, count)

    @property
    def is_ready(self) -> bool:
        return True

    def encode_ahead(self) -> None:
        """Encode recordings that were submitted again for their next time, while the host waits."""
        self._encoding.encode_ahead()

    def _submit_native(self, buffers: Sequence[Any]) -> None:
        """Submit native command buffers, or hold them back for a read."""
        if self._held is not None:
            self._held += buffers
            return
        self._submit_now(buffers)

    def _submit_now(self, buffers: Sequence[Any]) -> None:
        array = self._ffi.new("WGPUCommandBuffer[]", buffers)
        self._raising.wgpuQueueSubmit(self._device.queue._internal, len(buffers), array)

    def submit_timed(self, commands: Sequence[Command]) -> WebGpuTimes:
        self.require_open("submitting timed commands")
        parts = [commands[i : i + _MAX_TIMED] for i in range(0, len(commands), _MAX_TIMED)]
        try:
            self._warm_up(commands)
            reads = [read for part in parts if (read := self._submit_part_timed(part))]
        except self.errors as error:
            raise self.failure("submitting timed commands", error) from None
        return WebGpuTimes(reads, self._timestamp_period())

    def _warm_up(self, commands: Sequence[Command]) -> None:
        """Launch each program that is timed for the first time over no workgroups.

        Mesa compiles at a program's first launch. That may take seconds, which would count as its
        time. The grid lies in a buffer, since engines skip a launch whose grid they see is empty.
        """
        cold = {c.program: c for c in commands if isinstance(c, Launch) and not c.program.is_warm}
        if not cold:
            return
        for program in cold:
            program.wait()
        usage = self._module.BufferUsage
        grid = self._device.create_buffer(size=12, usage=usage.INDIRECT | usage.COPY_DST)
        self._device.queue.write_buffer(grid, 0, bytes(12))
        self._submit_native([self._encoding.empty_launches(cold.values(), grid._internal)])
        self._destroy(grid)
        for program in cold:
            program.is_warm = True

    def _submit_part_timed(self, commands: Sequence[Command]) -> WebGpuRead | None:
        """Submit commands that fit one query set; return None where none of them is a launch."""
        launches = sum(isinstance(command, Launch) for command in commands)
        if not launches:
            self.submit(commands)
            return None
        return self._submit_queries(
            launches, lambda encoder, queries: self._encode_timed(encoder, commands, queries)
        )

    def timestamp(self) -> WebGpuTimes:
        self.require_open("writing a timestamp")

        def encode(encoder: Any, queries: Any) -> None:
            encoder.begin_compute_pass(timestamp_writes=_timestamp_writes(queries, 0)).end()

        try:
            return WebGpuTimes([self._submit_queries(1, encode)], self._timestamp_period())
        except self.errors as error:
            raise self.failure("writing a timestamp", error) from None

    def _submit_queries(self, pairs: int, encode: Callable[[Any, Any], None]) -> WebGpuRead:
        """Submit the commands that ``encode`` encodes, with queries for ``pairs`` of times."""
        usage = self._module.BufferUsage
        nbytes = 16 * pairs
        queries = self._device.create_query_set(type="timestamp", count=2 * pairs)
        flags = usage.QUERY_RESOLVE | usage.COPY_SRC
        times = WebGpuBuffer(self._device.create_buffer(size=nbytes, usage=flags), nbytes)
        encoder = self._device.create_command_encoder()
        encode(encoder, queries)
        encoder.resolve_query_set(queries, 0, 2 * pairs, times.raw, 0)
        self._submit_native([self._encoding.finish(encoder._internal)])
        read = self.read(times, nbytes)
        self._destroy(times.raw)
        self._destroy(queries)
        return read

    def _encode_timed(self, encoder: Any, commands: Sequence[Command], queries: Any) -> None:
        """Encode a pass for each launch, since on every engine passes can write timestamps."""
        query = 0
        for command in commands:
            if not isinstance(command, Launch):
                source, target = command.source, command.target
                self._encoding.copy(encoder._internal, source, target, command.nbytes)
                continue
            compute = encoder.begin_compute_pass(timestamp_writes=_timestamp_writes(queries, query))
            self._encoding.dispatch(compute._internal, [native_dispatch(command)])
            compute.end()
            query += 2

    def _timestamp_period(self) -> float:
        """Return the nanoseconds of a timestamp's tick; WebGPU itself counts nanoseconds."""
        return 1.0

    @property
    def queue(self) -> Self:
        return self

    def new_queue(self) -> Self:
        return self

    def wait(self, fence: object) -> None:
        """Do nothing: one queue keeps the order."""

    def fence(self) -> Pending:
        raise NotImplementedError

    def synchronize(self) -> None:
        self.fence().wait()

    def close(self) -> None:
        self._closed = True
        self.compilers.stop()
        self._device.destroy()

    def require_open(self, action: str) -> None:
        """Raise `DeviceLostError` where the device was closed, or is known to be lost.

        It does not ask the engine, so that it costs next to nothing.
        """
        if self._closed or self._is_gone():
            raise self.failure(action, "device is lost")

    def require_alive(self, action: str) -> None:
        """Raise `DeviceLostError` where the device was closed, or the engine reports a loss."""
        if self._closed or self.lost_reason():
            raise self.failure(action, "device is lost")

    def _is_gone(self) -> bool:
        """Tell whether the engine has reported a loss, after which it ignores every call."""
        return False

    def lost_reason(self) -> str:
        """Ask the engine why the device is lost; return "" while it is not."""
        raise NotImplementedError

    def failure(self, action: str, error: Exception | str) -> GpuError:
        """Return the error to raise where the engine reports ``error`` during ``action``."""
        where = f"{self.info.name} ({self.info.backend}), {action}"
        if self._closed:
            return DeviceLostError(f"{where}: the device was closed; {_REOPEN_ADVICE}")
        if isinstance(error, self._module.GPUOutOfMemoryError):
            return OutOfMemoryError(f"{where}: {error}; free buffers or use a smaller size")
        reason = self.lost_reason()
        if reason or "device is lost" in str(error).lower():
            why = f"the device was lost ({reason or error})"
            return DeviceLostError(f"{where}: {why}; {_REOPEN_ADVICE}")
        return GpuError(f"{where}: {error}")

    def compile_failure(self, error: Exception, source: str) -> GpuError:
        """Return the error to raise where the engine refuses a pipeline."""
        failure = self.failure("compiling a kernel", error)
        if isinstance(failure, DeviceLostError):
            return failure
        return shorten_compile_error(error, source)


def _timestamp_writes(queries: Any, first: int) -> dict[str, Any]:
    """Describe a pass's timestamps, which go to two queries from ``first`` on."""
    return {
        "query_set": queries,
        "beginning_of_pass_write_index": first,
        "end_of_pass_write_index": first + 1,
    }
