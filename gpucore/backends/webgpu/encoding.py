"""The encoding of commands into native command buffers, shared by wgpu-py and wgpudawn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from weakref import WeakValueDictionary

from gpucore.backends.interface import Command, Copy, Launch, Recording

__all__ = ["Encoding", "native_dispatch"]

_Dispatch = tuple[Any, Any, int, int, int]


class Encoding:
    """Encodes commands for one ``device``, with calls of the engine's C library.

    The objects of the Python modules would take longer. ``native`` is the C library, ``raising``
    the same functions, which raise the errors that the engine reports, and ``ffi`` their interface.
    Handles that are made here are released with their last reference.
    """

    def __init__(self, device: Any, native: Any, raising: Any, ffi: Any) -> None:
        self._device = device
        self._native = native
        self._raising = raising
        self._ffi = ffi
        self._null = ffi.NULL
        self._repeated: WeakValueDictionary[int, Recording] = WeakValueDictionary()

    def buffer_of(self, commands: Sequence[Command]) -> Any:
        """Return a command buffer of the commands; that of a recording may be encoded already."""
        ahead = None
        if isinstance(commands, Recording):
            if commands.plan is not None:
                self._repeated[id(commands)] = commands
            ahead, commands.ahead = commands.ahead, None
        return self._encode(commands) if ahead is None else ahead

    def encode_ahead(self) -> None:
        """Encode once more the recordings that were submitted again since the last call."""
        for recording in list(self._repeated.values()):
            if recording.ahead is None:
                recording.ahead = self._encode(recording)
        self._repeated.clear()

    def _encode(self, commands: Sequence[Command]) -> Any:
        encoder = self.begin()
        for part in _plan(commands):
            if isinstance(part, Copy):
                self.copy(encoder, part.source, part.target, part.nbytes)
            else:
                self._encode_pass(encoder, part)
        return self.finish(encoder)

    def begin(self) -> Any:
        """Return a new command encoder."""
        encoder = self._raising.wgpuDeviceCreateCommandEncoder(self._device._internal, self._null)
        return self._ffi.gc(encoder, self._native.wgpuCommandEncoderRelease)

    def finish(self, encoder: Any) -> Any:
        """Return the command buffer of an encoder."""
        finished = self._raising.wgpuCommandEncoderFinish(encoder, self._null)
        return self._ffi.gc(finished, self._native.wgpuCommandBufferRelease)

    def copy(self, encoder: Any, source: Any, target: Any, nbytes: int, offset: int = 0) -> None:
        """Copy ``nbytes`` from ``offset`` of a handle to the start of another."""
        self._raising.wgpuCommandEncoderCopyBufferToBuffer(
            encoder, source.raw._internal, offset, target.raw._internal, 0, nbytes
        )

    def empty_launches(self, launches: Iterable[Launch], zero_grid: Any) -> Any:
        """Return a command buffer of launches over no workgroups.

        ``zero_grid`` is a native buffer of three zeros.
        """
        encoder = self.begin()
        begun = self._raising.wgpuCommandEncoderBeginComputePass(encoder, self._null)
        compute = self._ffi.gc(begun, self._native.wgpuComputePassEncoderRelease)
        for launch in launches:
            pipeline, group, *_ = native_dispatch(launch)
            self._native.wgpuComputePassEncoderSetPipeline(compute, pipeline)
            self._native.wgpuComputePassEncoderSetBindGroup(compute, 0, group, 0, self._null)
            self._native.wgpuComputePassEncoderDispatchWorkgroupsIndirect(compute, zero_grid, 0)
        self._raising.wgpuComputePassEncoderEnd(compute)
        return self.finish(encoder)

    def _encode_pass(self, encoder: Any, run: Sequence[_Dispatch]) -> None:
        begun = self._raising.wgpuCommandEncoderBeginComputePass(encoder, self._null)
        compute = self._ffi.gc(begun, self._native.wgpuComputePassEncoderRelease)
        self.dispatch(compute, run)
        self._raising.wgpuComputePassEncoderEnd(compute)

    def dispatch(self, compute: Any, run: Sequence[_Dispatch]) -> None:
        """Encode launches in a compute pass, with at most three native calls each."""
        set_pipeline = self._native.wgpuComputePassEncoderSetPipeline
        set_group = self._native.wgpuComputePassEncoderSetBindGroup
        dispatch = self._native.wgpuComputePassEncoderDispatchWorkgroups
        null = self._null
        last: Any = None
        for pipeline, group, x, y, z in run:
            if pipeline is not last:
                set_pipeline(compute, pipeline)
                last = pipeline
            set_group(compute, 0, group, 0, null)
            dispatch(compute, x, y, z)


def native_dispatch(launch: Launch) -> _Dispatch:
    """Return pipeline, bind group and workgroups as the native calls take them."""
    return launch.program.native, launch.group._internal, *launch.grid


def _plan(commands: Sequence[Command]) -> list[Copy | list[_Dispatch]]:
    """Return copies, and runs of launches as the native calls take them; a recording keeps it."""
    if isinstance(commands, Recording) and commands.plan is not None:
        stored: list[Copy | list[_Dispatch]] = commands.plan
        return stored
    plan: list[Copy | list[_Dispatch]] = []
    for command in commands:
        if isinstance(command, Copy):
            plan.append(command)
            continue
        if not plan or isinstance(plan[-1], Copy):
            plan.append([])
        run = plan[-1]
        assert isinstance(run, list)
        run.append(native_dispatch(command))
    if isinstance(commands, Recording):
        commands.plan = plan
    return plan
