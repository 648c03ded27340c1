"""The WebGPU backend, shared by wgpu-py and wgpudawn, which offer the same Python API."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from gpucore.backends.interface import (
    AdapterInfo,
    BindingSpec,
    Command,
    Copy,
    Launch,
    Recording,
)
from gpucore.errors import DeviceLostError, GpuError, KernelCompileError, OutOfMemoryError

__all__ = ["WebGpuBackend", "WebGpuBuffer", "WebGpuProgram", "compile_error"]

_Dispatch = tuple[Any, Any, int, int, int]

# WebGPU allows 4096 queries in a set; a launch takes two.
_MOST_TIMED = 2048

_PLACE = re.compile(r":(\d+):(\d+)")
_SAID = re.compile(r"\berror: (.+)")
# naga names an invalid entry point first, then under the source line what is wrong with it.
_WHY = re.compile(r"^\s+│\s+\^+ (.+)|^\s+= (.+)", re.MULTILINE)


class WebGpuBuffer:
    """A GPUBuffer and the native handle of it."""

    __slots__ = ("nbytes", "raw")

    def __init__(self, raw: Any, nbytes: int) -> None:
        self.raw = raw
        self.nbytes = nbytes


class WebGpuProgram:
    """A compute pipeline that may still be compiling; ``finish`` waits for it."""

    __slots__ = ("_finish", "_native", "_pipeline", "label")

    def __init__(self, finish: Callable[[], Any]) -> None:
        self.label = ""
        self._finish = finish
        self._pipeline: Any = None
        self._native: Any = None

    def wait(self) -> None:
        """Block until compiled; raises `KernelCompileError`."""
        if self._pipeline is None:
            self._pipeline = self._finish()
            self._native = self._pipeline._internal

    @property
    def native(self) -> Any:
        """The engine's handle of the finished pipeline."""
        if self._native is None:
            self.wait()
        return self._native


class _PendingRead:
    """A staging buffer being mapped."""

    def __init__(self, staging: Any) -> None:
        self._staging = staging
        self._promise = staging.map_async("READ_NOSYNC")

    def _take(self) -> memoryview:
        data: memoryview = self._staging.read_mapped()
        self._staging.destroy()
        return data

    def wait(self) -> memoryview:
        self._promise.sync_wait()
        return self._take()

    def __await__(self) -> Generator[Any, Any, memoryview]:
        yield from self._promise.__await__()
        return self._take()


class _PendingTimes:
    """Reads of timestamps in ticks of ``period`` nanoseconds, two for each launch."""

    def __init__(self, reads: list[_PendingRead], period: float) -> None:
        self._reads = reads
        self._period = Fraction(period)  # exact: ticks may fill all of 64 bits

    def wait(self) -> list[tuple[int, int]]:
        times: list[tuple[int, int]] = []
        for read in self._reads:
            ticks: list[int] = np.frombuffer(read.wait(), np.uint64).tolist()
            at = [int(tick * self._period) for tick in ticks]
            times += zip(at[::2], at[1::2], strict=True)
        return times


class WebGpuBackend:
    """An opened WebGPU device.

    ``module`` is ``wgpu`` or ``wgpudawn``; ``native`` its C library, whose pass calls are made
    directly (the wrappers cost several times more a launch), and ``null`` its null pointer.
    """

    def __init__(self, info: AdapterInfo, device: Any, module: Any, native: Any, null: Any) -> None:
        self.info = info
        self._device = device
        self._module = module
        self._native = native
        self._null = null
        self._layouts: dict[tuple[BindingSpec, ...], tuple[Any, Any]] = {}

    def allocate(self, nbytes: int) -> WebGpuBuffer:
        usage = self._module.BufferUsage
        flags = usage.STORAGE | usage.UNIFORM | usage.COPY_SRC | usage.COPY_DST
        try:
            return WebGpuBuffer(self._device.create_buffer(size=nbytes, usage=flags), nbytes)
        except self._module.GPUError as error:
            raise self._translate(error, f"allocating {nbytes} bytes") from None

    def free(self, handle: WebGpuBuffer) -> None:
        handle.raw.destroy()

    def write(self, handle: WebGpuBuffer, data: memoryview) -> None:
        self._device.queue.write_buffer(handle.raw, 0, data)

    def read(self, handle: WebGpuBuffer, nbytes: int) -> _PendingRead:
        usage = self._module.BufferUsage
        staging = self._device.create_buffer(size=nbytes, usage=usage.COPY_DST | usage.MAP_READ)
        encoder = self._device.create_command_encoder()
        encoder.copy_buffer_to_buffer(handle.raw, 0, staging, 0, nbytes)
        self._device.queue.submit([encoder.finish()])
        return _PendingRead(staging)

    def compile(
        self,
        source: str,
        entry: str,
        constants: Mapping[str, float],
        bindings: tuple[BindingSpec, ...],
    ) -> WebGpuProgram:
        layout = self._layout(bindings)[1]
        return WebGpuProgram(self._start_compile(source, entry, dict(constants), layout))

    def _start_compile(
        self, source: str, entry: str, constants: dict[str, float], layout: Any
    ) -> Callable[[], Any]:
        """Begin compiling; the returned call waits for the pipeline or raises."""
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
        entries = [
            {"binding": b.binding, "resource": {"buffer": h.raw, "offset": 0, "size": n}}
            for b, (h, n) in zip(bindings, buffers, strict=True)
        ]
        return self._device.create_bind_group(layout=self._layout(bindings)[0], entries=entries)

    def submit(self, commands: Sequence[Command]) -> None:
        try:
            plan = self._plan(commands)
            encoder = self._device.create_command_encoder()
            for part in plan:
                if isinstance(part, Copy):
                    _encode_copy(encoder, part)
                else:
                    compute = encoder.begin_compute_pass()
                    self._dispatch(compute._internal, part)
                    compute.end()
            self._device.queue.submit([encoder.finish()])
        except self._module.GPUError as error:
            raise self._translate(error, "submitting commands") from None

    def _plan(self, commands: Sequence[Command]) -> list[Copy | list[_Dispatch]]:
        """Copies, and runs of launches as what the native calls take; kept by a recording."""
        if isinstance(commands, Recording) and commands.plan is not None:
            kept: list[Copy | list[_Dispatch]] = commands.plan
            return kept
        plan: list[Copy | list[_Dispatch]] = []
        for command in commands:
            if isinstance(command, Copy):
                plan.append(command)
                continue
            if not plan or isinstance(plan[-1], Copy):
                plan.append([])
            run = plan[-1]
            assert isinstance(run, list)
            run.append(_native(command))
        if isinstance(commands, Recording):
            commands.plan = plan
        return plan

    def _dispatch(self, compute: Any, run: Sequence[_Dispatch]) -> None:
        """Three native calls a launch: what a replay costs the host."""
        pipeline_of = self._native.wgpuComputePassEncoderSetPipeline
        bind = self._native.wgpuComputePassEncoderSetBindGroup
        dispatch = self._native.wgpuComputePassEncoderDispatchWorkgroups
        null = self._null
        last: Any = None
        for pipeline, group, x, y, z in run:
            if pipeline is not last:
                pipeline_of(compute, pipeline)
                last = pipeline
            bind(compute, 0, group, 0, null)
            dispatch(compute, x, y, z)

    def submit_timed(self, commands: Sequence[Command]) -> _PendingTimes:
        parts = [commands[i : i + _MOST_TIMED] for i in range(0, len(commands), _MOST_TIMED)]
        try:
            reads = [read for part in parts if (read := self._submit_part_timed(part))]
        except self._module.GPUError as error:
            raise self._translate(error, "submitting timed commands") from None
        return _PendingTimes(reads, self._timestamp_period())

    def _submit_part_timed(self, commands: Sequence[Command]) -> _PendingRead | None:
        """Submit commands that need one query set at most; None where none of them is a launch."""
        marks = 2 * sum(isinstance(command, Launch) for command in commands)
        if not marks:
            self.submit(commands)
            return None
        usage = self._module.BufferUsage
        queries = self._device.create_query_set(type="timestamp", count=marks)
        flags = usage.QUERY_RESOLVE | usage.COPY_SRC
        times = WebGpuBuffer(self._device.create_buffer(size=8 * marks, usage=flags), 8 * marks)
        encoder = self._device.create_command_encoder()
        self._encode_timed(encoder, commands, queries)
        encoder.resolve_query_set(queries, 0, marks, times.raw, 0)
        self._device.queue.submit([encoder.finish()])
        read = self.read(times, times.nbytes)
        times.raw.destroy()
        queries.destroy()
        return read

    def _encode_timed(self, encoder: Any, commands: Sequence[Command], queries: Any) -> None:
        """A pass for each launch, since only passes write timestamps everywhere."""
        mark = 0
        for command in commands:
            if not isinstance(command, Launch):
                _encode_copy(encoder, command)
                continue
            writes = {
                "query_set": queries,
                "beginning_of_pass_write_index": mark,
                "end_of_pass_write_index": mark + 1,
            }
            compute = encoder.begin_compute_pass(timestamp_writes=writes)
            self._dispatch(compute._internal, [_native(command)])
            compute.end()
            mark += 2

    def _timestamp_period(self) -> float:
        """Nanoseconds of a timestamp's tick; WebGPU itself counts nanoseconds."""
        return 1.0

    def synchronize(self) -> None:
        self._device.queue.on_submitted_work_done_async().sync_wait()

    def close(self) -> None:
        self._device.destroy()

    def _translate(self, error: Exception, doing: str) -> GpuError:
        text = f"{self.info.name} ({self.info.backend}), {doing}: {error}"
        if isinstance(error, self._module.GPUOutOfMemoryError):
            return OutOfMemoryError(text + "; free buffers or use a smaller size")
        if "lost" in str(error).lower():
            return DeviceLostError(text)
        return GpuError(text)


def _native(launch: Launch) -> _Dispatch:
    """Pipeline, bind group and workgroups as the native calls take them."""
    return launch.program.native, launch.group._internal, *launch.grid


def _encode_copy(encoder: Any, copy: Copy) -> None:
    encoder.copy_buffer_to_buffer(copy.source.raw, 0, copy.target.raw, 0, copy.nbytes)


def compile_error(message: str, source: str) -> KernelCompileError:
    """An engine's compile message, cut to what went wrong and the WGSL line it speaks of."""
    place = _PLACE.search(message)
    line, column = (int(place[1]), int(place[2])) if place else (0, 0)
    said = [m[1].strip() for m in _SAID.finditer(message)]
    if any(text.endswith("is invalid") for text in said):
        why = [(m[1] or m[2]).strip() for m in _WHY.finditer(message)]
        said += [w for w in why if "naga::" not in w and not w.endswith("is invalid")]
    text = "; ".join(said) or message.strip()
    return KernelCompileError(f"WGSL does not compile: {text}", source, line, column)
