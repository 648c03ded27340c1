"""CuPy as a peer on the same card: cuFFT with plans, cuSOLVER, CUB and Thrust, where it is there.

Its functions have the names of NumPy's and SciPy's, so an entry that is written for both modules
runs in either; `scipy_part` finds what stands beside the module.
"""

from __future__ import annotations

import importlib
import importlib.util
from contextlib import AbstractContextManager, suppress
from functools import partial
from typing import Any

from bench.cuda_peer import Call, CudaPeer
from gpucore import Device

__all__ = ["CupyPeer", "cupy_peer", "scipy_part"]


def cupy_peer(device: Device) -> CupyPeer | None:
    """The peer that drives the same card through CUDA; None where there is none."""
    if device.is_cpu or importlib.util.find_spec("cupy") is None:
        return None
    cupy = importlib.import_module("cupy")
    runtime = cupy.cuda.runtime
    if not cupy.is_available() or runtime.getDeviceProperties(0)["name"].decode() != device.name:
        return None
    return CupyPeer(cupy)


def scipy_part(module: Any, name: str) -> Any:
    """SciPy's part of a name, or CuPy's for CuPy: it is loaded where it is first needed."""
    of = "cupyx.scipy" if module.__name__ == "cupy" else "scipy"
    return importlib.import_module(f"{of}.{name}")


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

    def _captured(self, row: Call) -> Call | None:
        """None for cuBLAS and cuSOLVER, too, whose capture CuPy refuses."""
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

    def _elapsed(self, call: Call) -> float:
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
