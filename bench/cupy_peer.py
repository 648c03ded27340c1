"""CuPy as a peer on the same card: cuFFT with plans, cuSOLVER, CUB and Thrust, if it is installed.

Its functions have the names of NumPy and SciPy, so that one function of an entry serves both.
`scipy_part` returns the matching part of SciPy.
"""

from __future__ import annotations

import importlib
import importlib.util
from contextlib import AbstractContextManager, suppress
from functools import partial
from typing import Any

from bench.cuda_peer import Call, CudaPeer
from gpucore import Device

__all__ = ["CupyPeer", "find_cupy", "scipy_part"]


def find_cupy(device: Device) -> CupyPeer | None:
    """Return CuPy as a peer on the device's card; None where it is not available."""
    if device.is_cpu or importlib.util.find_spec("cupy") is None:
        return None
    cupy = importlib.import_module("cupy")
    runtime = cupy.cuda.runtime
    if not cupy.is_available() or runtime.getDeviceProperties(0)["name"].decode() != device.name:
        return None
    return CupyPeer(cupy)


def scipy_part(module: Any, name: str) -> Any:
    """Import ``scipy.NAME``, or ``cupyx.scipy.NAME`` where the module is CuPy."""
    package = "cupyx.scipy" if module.__name__ == "cupy" else "scipy"
    return importlib.import_module(f"{package}.{name}")


class CupyPeer(CudaPeer):
    """CuPy on a stream of its own: the default one cannot be captured."""

    def __init__(self, cupy: Any) -> None:
        self._cupy = cupy
        self._stream = cupy.cuda.Stream(non_blocking=True)

    @property
    def _module(self) -> Any:
        return self._cupy

    def _scope(self) -> AbstractContextManager[object]:
        scope: AbstractContextManager[object] = self._stream
        return scope

    def _capture(self, row: Call) -> Call | None:
        """Return None for cuBLAS and cuSOLVER, too, since CuPy cannot capture them."""
        stream = self._stream
        stream.begin_capture()
        try:
            row()
            graph = stream.end_capture()
        except RuntimeError:
            with suppress(RuntimeError):
                stream.end_capture()
            return None
        return partial(graph.launch, stream)

    def _time_call(self, call: Call) -> float:
        cuda, stream = self._cupy.cuda, self._stream
        begin, end = cuda.Event(), cuda.Event()
        begin.record(stream)
        call()
        end.record(stream)
        end.synchronize()
        return float(cuda.get_elapsed_time(begin, end)) / 1e3

    def _free(self) -> None:
        cupy = self._cupy
        cupy.fft.config.get_plan_cache().clear()
        cupy.get_default_memory_pool().free_all_blocks()
        cupy.get_default_pinned_memory_pool().free_all_blocks()
