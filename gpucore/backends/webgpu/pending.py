"""Unfinished work of a WebGPU device: pipelines that compile, reads that are being mapped."""

from __future__ import annotations

from concurrent.futures import CancelledError, Future
from fractions import Fraction
from typing import Any, Protocol

import numpy as np

from gpucore.backends.compilers import Compilers
from gpucore.backends.interface import Pending
from gpucore.backends.staging import StagingBuffer
from gpucore.errors import GpuError

__all__ = ["PendingOwner", "PendingPipeline", "WebGpuProgram", "WebGpuRead", "WebGpuTimes"]


class PendingOwner(Protocol):
    """The part of a `WebGpuBackend` that its unfinished work uses."""

    compilers: Compilers
    errors: type[Exception]

    def compile_failure(self, error: Exception, source: str) -> GpuError:
        """Return the error to raise where the engine refuses a pipeline."""

    def require_alive(self, action: str) -> None:
        """Raise `DeviceLostError` where the device was closed or lost."""

    def mapped_bytes(self, staging: StagingBuffer, nbytes: int) -> memoryview:
        """Return the bytes of a mapped staging buffer."""

    def return_staging(self, staging: StagingBuffer, *, is_mapped: bool) -> None:
        """Take a read's staging buffer back."""

    def abandon_staging(self, staging: StagingBuffer) -> None:
        """Note that a read was dropped."""


class PendingPipeline:
    """A pipeline of ``source`` that a thread makes; ``future`` is its result."""

    def __init__(self, backend: PendingOwner, future: Future[Any], source: str) -> None:
        self._backend = backend
        self._future = future
        self._source = source

    def is_done(self) -> bool:
        """Tell whether `result` no longer blocks."""
        return self._backend.compilers.is_done(self._future)

    def result(self) -> Any:
        """Wait for the engine's pipeline. Raises `KernelCompileError`, `DeviceLostError`."""
        try:
            pipeline = self._backend.compilers.result(self._future)
        except (CancelledError, self._backend.errors) as error:
            raise self._backend.compile_failure(error, self._source) from None
        # A lost device makes pipelines that do nothing, and reports no error.
        self._backend.require_alive("compiling a kernel")
        return pipeline


class WebGpuProgram:
    """A compute pipeline that may still be compiling.

    ``is_warm`` is true once a launch of it was submitted: a driver may compile at the first one.
    """

    __slots__ = ("_native", "_pending", "_pipeline", "is_warm", "label", "listing")

    def __init__(self, pending: PendingPipeline) -> None:
        self.label = ""
        self.listing: Any = None
        self.is_warm = False
        self._pending = pending
        self._pipeline: Any = None
        self._native: Any = None

    @property
    def done(self) -> bool:
        return self._pipeline is not None or self._pending.is_done()

    def wait(self) -> None:
        """Block until it is compiled. Raises `KernelCompileError`."""
        if self._pipeline is None:
            self._pipeline = self._pending.result()
            self._native = self._pipeline._internal

    @property
    def native(self) -> Any:
        """The engine's handle of the finished pipeline."""
        if self._native is None:
            self.wait()
        return self._native


class WebGpuRead:
    """A staging buffer being mapped."""

    def __init__(
        self, backend: PendingOwner, staging: StagingBuffer, nbytes: int, mapping: Pending
    ) -> None:
        self._backend = backend
        self._staging: StagingBuffer | None = staging
        self._nbytes = nbytes
        self._mapping = mapping
        self._is_mapped = False

    @property
    def done(self) -> bool:
        return self._mapping.done

    def wait(self) -> memoryview:
        if self._staging is None:
            raise GpuError("this read was finished or abandoned already: begin another")
        self._mapping.wait()
        self._is_mapped = True
        return self._backend.mapped_bytes(self._staging, self._nbytes)

    def release(self) -> None:
        if self._staging is not None:
            self._backend.return_staging(self._staging, is_mapped=self._is_mapped)
            self._staging = None

    def __del__(self) -> None:
        if self._staging is not None:
            self._backend.abandon_staging(self._staging)


class WebGpuTimes:
    """Reads of timestamps, two for each launch, in ticks of ``period`` nanoseconds."""

    def __init__(self, reads: list[WebGpuRead], period: float) -> None:
        self._reads = reads
        self._period = Fraction(period)  # exact: ticks may fill all of 64 bits

    def wait(self) -> list[tuple[int, int]]:
        times: list[tuple[int, int]] = []
        for read in self._reads:
            ticks: list[int] = np.frombuffer(read.wait(), np.uint64).tolist()
            read.release()
            at = [int(tick * self._period) for tick in ticks]
            times += zip(at[::2], at[1::2], strict=True)
        return times
