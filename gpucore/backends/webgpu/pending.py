"""What a WebGPU device has still to do: pipelines that compile, buffers that are mapped."""

from __future__ import annotations

from concurrent.futures import CancelledError, Future
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from gpucore.backends.interface import Pending
from gpucore.backends.webgpu.staging import StagingBuffer
from gpucore.errors import GpuError

if TYPE_CHECKING:
    from gpucore.backends.webgpu.backend import WebGpuBackend

__all__ = ["Building", "WebGpuProgram", "WebGpuRead", "WebGpuTimes"]


class Building:
    """A pipeline of ``source`` that a thread makes: the ``future``."""

    def __init__(self, backend: WebGpuBackend, future: Future[Any], source: str) -> None:
        self._backend = backend
        self._future = future
        self._source = source

    def done(self) -> bool:
        """True once `result` no longer blocks."""
        return self._backend.compilers.done(self._future)

    def result(self) -> Any:
        """The engine's pipeline; raises `KernelCompileError`, `DeviceLostError`."""
        try:
            pipeline = self._backend.compilers.result(self._future)
        except (CancelledError, self._backend.errors) as error:
            raise self._backend.compile_failure(error, self._source) from None
        # A lost device makes pipelines of nothing, and says no word.
        self._backend.check_alive("compiling a kernel")
        return pipeline


class WebGpuProgram:
    """A compute pipeline that may still be compiling.

    ``is_warm``: a launch of it was submitted that the driver may have had to compile it for.
    """

    __slots__ = ("_building", "_native", "_pipeline", "is_warm", "label")

    def __init__(self, building: Building) -> None:
        self.label = ""
        self.is_warm = False
        self._building = building
        self._pipeline: Any = None
        self._native: Any = None

    @property
    def done(self) -> bool:
        return self._pipeline is not None or self._building.done()

    def wait(self) -> None:
        """Block until compiled; raises `KernelCompileError`."""
        if self._pipeline is None:
            self._pipeline = self._building.result()
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
        self, backend: WebGpuBackend, staging: StagingBuffer, nbytes: int, mapping: Pending
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
            raise GpuError("this read was taken already, or given up: begin another")
        self._mapping.wait()
        self._is_mapped = True
        return self._backend.mapped(self._staging, self._nbytes)

    def release(self) -> None:
        if self._staging is not None:
            self._backend.unstage(self._staging, is_mapped=self._is_mapped)
            self._staging = None

    def __del__(self) -> None:
        if self._staging is not None:
            self._backend.unstage(self._staging, is_mapped=False)


class WebGpuTimes:
    """Reads of timestamps in ticks of ``period`` nanoseconds, two for each launch."""

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
