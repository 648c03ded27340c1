"""PyTorch as a peer on the same card: cuBLAS, cuDNN and its attention, where it is installed."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gpucore import Device, DType, f16

__all__ = ["TorchPeer", "random", "torch_peer"]

_BUSY_S = 0.1
_SAMPLE_S = 0.005
_MOST_CALLS = 200
_SAMPLES = 20
_COPIED = 2**27
_SIDE = 8192

Call = Callable[[], object]


def torch_peer(device: Device) -> TorchPeer | None:
    """The peer that drives the same card through CUDA; None where there is none."""
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
    """Normal numbers, f16 or f32."""
    return torch.randn(shape, dtype=torch.float16 if dtype is f16 else torch.float32)


@dataclass(frozen=True)
class TorchPeer:
    """PyTorch with a CUDA device; TF32 is off, cuDNN looks for its quickest convolution."""

    torch: Any

    @property
    def version(self) -> str:
        """With its CUDA version."""
        return str(self.torch.__version__)

    def seconds(self, make: Callable[[Any], Call]) -> float:
        """Median seconds of a call over 20 samples, on CUDA's own clock; tensors lie on the card.

        A sample is a CUDA graph of calls, as our own calls are replayed from a graph: neither
        counts its host's time. What cannot be captured is called as it is. The card is kept busy
        for a while before. Nothing of it runs or holds memory afterwards, so that it is alone on
        the card as we are.
        """
        torch = self.torch
        with torch.no_grad(), torch.device("cuda"):
            call = make(torch)
            once = self._warmed(call)
            count = max(1, min(_MOST_CALLS, math.ceil(_SAMPLE_S / once)))
            run = self._captured(call, count)
            if run is None:
                run, count = call, 1
            end = time.perf_counter() + _BUSY_S
            while time.perf_counter() < end:
                self._elapsed(run)
            samples = [self._elapsed(run) for _ in range(_SAMPLES)]
            del run, call
            torch.cuda.empty_cache()
        return statistics.median(samples) / count

    def _captured(self, call: Call, count: int) -> Call | None:
        """A graph of calls; None for what reads back (a solver's status) and cannot be captured."""
        torch = self.torch
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph):
                for _ in range(count):
                    call()
        except RuntimeError:
            torch.cuda.synchronize()
            return None
        replay: Call = graph.replay
        return replay

    def _warmed(self, call: Call) -> float:
        """Seconds of a call once it has been made on a side stream, as capturing wants it."""
        torch = self.torch
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                call()
        torch.cuda.current_stream().wait_stream(side)
        return min(self._elapsed(call) for _ in range(3))

    def _elapsed(self, call: Call) -> float:
        begin, end = (self.torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        call()
        end.record()
        self.torch.cuda.synchronize()
        return float(begin.elapsed_time(end)) / 1e3

    def copy_rate(self) -> float:
        """Bytes read and written a second by copies of 256 MiB."""

        def make(torch: Any) -> Call:
            source = random(torch, (_COPIED,), f16)
            return functools.partial(torch.empty_like(source).copy_, source)

        return 4 * _COPIED / self.seconds(make)

    def product_rate(self, dtype: type[DType]) -> float:
        """FLOP/s of a product of 8192 cubed, in f16 or f32."""

        def make(torch: Any) -> Call:
            a, b = (random(torch, (_SIDE, _SIDE), dtype) for _ in range(2))
            return lambda: a @ b

        return 2 * _SIDE**3 / self.seconds(make)
