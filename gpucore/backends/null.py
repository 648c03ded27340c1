"""A backend that computes nothing: it stores bytes and records commands, to test host logic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Self

from gpucore.backends.interface import (
    AdapterInfo,
    BindingSpec,
    Command,
    Copy,
    Launch,
    Sharing,
    StagingStats,
)
from gpucore.backends.native import NativeCode

__all__ = ["NullBackend", "adapters"]

_LIMITS = {
    "max_buffer_size": 1 << 32,
    "max_storage_buffer_binding_size": 1 << 31,
    "max_compute_workgroups_per_dimension": 65535,
    "max_compute_invocations_per_workgroup": 1024,
    "max_compute_workgroup_size_x": 1024,
    "max_compute_workgroup_size_y": 1024,
    "max_compute_workgroup_size_z": 64,
    "max_compute_workgroup_storage_size": 49152,
    "max_storage_buffers_per_shader_stage": 16,
}


class NullBuffer:
    """Host memory in the place of device memory."""

    def __init__(self, nbytes: int) -> None:
        self.nbytes = nbytes
        self.data = bytearray(nbytes)


class NullPending:
    """Work that is done already."""

    done = True

    def wait(self) -> None:
        """Return at once."""


class NullProgram(NullPending):
    """A program that is its own text."""

    label = ""
    listing: Any = None

    def __init__(self, source: str, entry: str, constants: Mapping[str, float]) -> None:
        self.source, self.entry, self.constants = source, entry, dict(constants)


class NullRead:
    """A read that is done already."""

    done = True

    def __init__(self, data: bytes) -> None:
        self._data = data

    def wait(self) -> memoryview:
        return memoryview(self._data)

    def release(self) -> None:
        """Do nothing: the bytes are a copy."""


class NullTimes:
    """Timestamps of zero: nothing ran, so nothing took time."""

    def __init__(self, launches: int) -> None:
        self._launches = launches

    def wait(self) -> list[tuple[int, int]]:
        return [(0, 0)] * self._launches


class NullBackend:
    """Records the submitted commands in ``submitted``, a list for each submission."""

    under_way = 0
    is_ready = True

    def __init__(self, info: AdapterInfo) -> None:
        self.info = info
        self.sharing: Sharing | None = None
        self.submitted: list[list[Command]] = []
        self.freed = 0

    def allocate(self, nbytes: int) -> NullBuffer:
        return NullBuffer(nbytes)

    def free(self, handle: NullBuffer) -> None:
        self.freed += 1

    def keep_on_host(self, source: NullBuffer, nbytes: int) -> NullBuffer:
        buffer = NullBuffer(nbytes)
        buffer.data[:] = source.data[:nbytes]
        return buffer

    def write(self, handle: NullBuffer, data: memoryview, offset: int = 0) -> None:
        handle.data[offset : offset + data.nbytes] = data.cast("B")

    def read(self, handle: NullBuffer, nbytes: int, offset: int = 0) -> NullRead:
        return NullRead(bytes(handle.data[offset : offset + nbytes]))

    def compile(
        self,
        source: str,
        entry: str,
        constants: Mapping[str, float],
        bindings: tuple[BindingSpec, ...],
    ) -> NullProgram:
        return NullProgram(source, entry, constants)

    def compile_native(self, code: NativeCode) -> NullProgram:
        return NullProgram(code.text, "", {})

    def bind(
        self, bindings: tuple[BindingSpec, ...], buffers: Sequence[tuple[NullBuffer, int]]
    ) -> tuple[tuple[NullBuffer, int], ...]:
        return tuple(buffers)

    def submit(self, *lists: Sequence[Command]) -> None:
        commands = [command for each in lists for command in each]
        for command in commands:
            if isinstance(command, Copy):
                command.target.data[: command.nbytes] = command.source.data[: command.nbytes]
        self.submitted.append(commands)

    def submit_timed(self, commands: Sequence[Command]) -> NullTimes:
        self.submit(commands)
        return NullTimes(sum(isinstance(command, Launch) for command in commands))

    def timestamp(self) -> NullTimes:
        return NullTimes(1)

    def one_submission(self) -> AbstractContextManager[None]:
        return nullcontext()

    def encode_ahead(self) -> None:
        """Do nothing: there is no wait."""

    @property
    def queue(self) -> Self:
        return self

    def new_queue(self) -> Self:
        return self

    def wait(self, fence: object) -> None:
        """Do nothing: one queue keeps the order."""

    def fence(self) -> NullPending:
        return NullPending()

    def synchronize(self) -> None:
        """Do nothing, since nothing runs."""

    @property
    def staging(self) -> StagingStats:
        return StagingStats()

    def trim(self) -> None:
        """Do nothing: there is no staging memory."""

    def close(self) -> None:
        self.submitted.clear()


def adapters() -> list[AdapterInfo]:
    """Return the one null adapter."""
    return [
        AdapterInfo(
            engine="null",
            api="null",
            name="null device",
            vendor="",
            driver="",
            kind="null",
            features=frozenset({"f16", "subgroups", "matrix-units", "timestamps"}),
            limits=_LIMITS,
            subgroup_size=(32, 32),
            matrix_shapes=(("f16", "f32", 16, 16, 16),),
        )
    ]
