"""The measured roof of a device: the rates of its best copy and of a large matrix product."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from gpucore import Device, DType, Graph, Roof
from gpustd.arrays.elementwise.linear_combinations import linear_combination
from gpustd.matmul.dense import gemm

__all__ = ["copy_rate", "matmul_rate", "measured_roof"]

_ABOUT = """\
of roof: share of our own quickest product or copy, not of the card's limits; Winograd counts a
direct convolution's work, and caches are quicker than copies, so that over 100 % is possible"""
_SIDE = {True: 512, False: 4096}
_ELEMENTS = {True: 2**24, False: 2**27}
_CALLS = 4
# Sampling ends so long after the last quicker sample: an idle card takes some tenths of a second to
# raise its clock.
_QUIET_S = {True: 0.15, False: 0.5}
_QUICKER = 0.99


def measured_roof(device: Device, dtype: type[DType]) -> Roof:
    """Measure the best rates of copies beyond the caches, and of a square matrix product.

    It takes about two seconds, and some GB of memory on a GPU, which are freed. The product is our
    own: a share of 100 % is our quickest product, not the card's own limit. Winograd's convolutions
    count the multiplications of direct ones, and may have more.
    """
    roof = Roof(matmul_rate(device, dtype), copy_rate(device, dtype), _ABOUT)
    device.trim()
    return roof


def copy_rate(device: Device, dtype: type[DType]) -> float:
    """Return the bytes read and written a second, by the driver's copy or by our own kernel."""
    elements = _ELEMENTS[device.is_cpu]
    source, target = device.buffer(dtype, elements), device.buffer(dtype, elements)
    seconds = min(
        _best_seconds(device, lambda: target.copy_from(source)),
        _best_seconds(device, lambda: linear_combination([(1.0, source)])),
    )
    return 2 * source.nbytes / seconds


def matmul_rate(device: Device, dtype: type[DType]) -> float:
    """Return the FLOP/s of a square matrix product of random numbers."""
    side = _SIDE[device.is_cpu]
    numbers = np.random.default_rng(0).uniform(-1, 1, (side, side)).astype(dtype.numpy)
    a, b = (device.buffer_from_array(numbers, dtype) for _ in range(2))
    return 2 * side**3 / _best_seconds(device, lambda: gemm(a, b))


def _best_seconds(device: Device, call: Callable[[], object]) -> float:
    """Return the least seconds of one ``call``, once they no longer fall."""
    with device.capture() as graph:
        for _ in range(_CALLS):
            call()
    best = float("inf")
    end = now = _replay(device, graph)
    while now <= end:
        start, now = now, _replay(device, graph)
        if now - start < _QUICKER * best:
            end = now + _QUIET_S[device.is_cpu]
        best = min(best, now - start)
    graph.release()
    return best / _CALLS


def _replay(device: Device, graph: Graph) -> float:
    """Replay a graph, and return the time at its end."""
    graph.replay()
    device.synchronize()
    return time.perf_counter()
