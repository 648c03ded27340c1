"""PyTorch as a peer on the same card: cuBLAS, cuDNN and its attention, if it is installed."""

from __future__ import annotations

import functools
import importlib
import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bench.cuda_peer import Call, CudaPeer
from gpucore import Device, DType, f16

__all__ = ["TorchPeer", "find_torch", "random"]

_COPIED = 2**27
_SIDE = 8192


def find_torch(device: Device) -> TorchPeer | None:
    """Return PyTorch as a peer on the device's card; None where it is not available."""
    if device.is_cpu or importlib.util.find_spec("torch") is None:
        return None
    torch = importlib.import_module("torch")
    if not torch.cuda.is_available() or torch.cuda.get_device_name() != device.name:
        return None
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    return TorchPeer(torch)


def random(torch: Any, shape: tuple[int, ...], dtype: type[DType]) -> Any:
    """Return normal numbers in f16 or f32."""
    return torch.randn(shape, dtype=torch.float16 if dtype is f16 else torch.float32)


class TorchPeer(CudaPeer):
    """PyTorch with a CUDA device; TF32 is off, cuDNN searches for its fastest convolution."""

    def __init__(self, torch: Any) -> None:
        self._torch = torch

    @property
    def _module(self) -> Any:
        return self._torch

    @contextmanager
    def _scope(self) -> Iterator[None]:
        with self._torch.no_grad(), self._torch.device("cuda"):
            yield

    def _capture(self, row: Call) -> Call | None:
        torch = self._torch
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph):
                row()
        except RuntimeError:
            torch.cuda.synchronize()
            return None
        replay: Call = graph.replay
        return replay

    def _warm_up(self, call: Call) -> float:
        """Make the first calls on another stream, which a capture in PyTorch needs."""
        torch = self._torch
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                call()
        torch.cuda.current_stream().wait_stream(side)
        return super()._warm_up(call)

    def _time_call(self, call: Call) -> float:
        begin, end = (self._torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        call()
        end.record()
        self._torch.cuda.synchronize()
        return float(begin.elapsed_time(end)) / 1e3

    def _free(self) -> None:
        self._torch.cuda.empty_cache()

    def copy_rate(self) -> float:
        """Return the bytes read and written a second by copies of 256 MiB."""

        def make(torch: Any) -> Call:
            source = random(torch, (_COPIED,), f16)
            return functools.partial(torch.empty_like(source).copy_, source)

        return 4 * _COPIED / self.seconds(make)

    def product_rate(self, dtype: type[DType]) -> float:
        """Return the FLOP/s of a matrix product of 8192 cubed, in f16 or f32."""

        def make(torch: Any) -> Call:
            a, b = (random(torch, (_SIDE, _SIDE), dtype) for _ in range(2))
            return lambda: a @ b

        return 2 * _SIDE**3 / self.seconds(make)
