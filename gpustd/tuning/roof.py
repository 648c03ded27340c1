"""The roof of a device, measured: its best copy and a large product."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from gpucore import Device, DType, Graph, Roof
from gpustd.arrays.elementwise.linear_combinations import linear_combination
from gpustd.matmul.dense import gemm

__all__ = ["copy_rate", "measured_roof", "product_rate"]

_ABOUT = """\
of roof: share of our own quickest product or copy, not of the card's limits; Winograd counts a
direct convolution's work, and caches are quicker than copies, so that over 100 % is possible"""
_SIDE = {True: 512, False: 4096}
_ELEMENTS = {True: 2**24, False: 2**27}
_CALLS = 4
# Without anything quicker: an idle card takes some tenths of a second to raise its clock.
_SETTLED_S = {True: 0.15, False: 0.5}
_QUICKER = 0.99


def measured_roof(device: Device, dtype: type[DType]) -> Roof:
    """Rates of copies beyond the caches and of a square product, each the best seen.

    Takes about two seconds, and a good deal of memory, which is given back. The product is our
    own: a share of 100 % is our quickest product, not the card's own limit. Winograd's convolutions
    count the multiplications of direct ones, and may have more.
    """
    roof = Roof(product_rate(device, dtype), copy_rate(device, dtype), _ABOUT)
    device.trim()
    return roof


def copy_rate(device: Device, dtype: type[DType]) -> float:
    """Bytes read and written a second, by the driver's copy or by our own kernel."""
    elements = _ELEMENTS[device.is_cpu]
    source, target = device.buffer(dtype, elements), device.buffer(dtype, elements)
    seconds = min(
        _best_seconds(device, lambda: target.copy_from(source)),
        _best_seconds(device, lambda: linear_combination([(1.0, source)])),
    )
    return 2 * source.nbytes / seconds


def product_rate(device: Device, dtype: type[DType]) -> float:
    """FLOP/s of a square product of random numbers."""
    side = _SIDE[device.is_cpu]
    numbers = np.random.default_rng(0).uniform(-1, 1, (side, side)).astype(dtype.numpy)
    a, b = (device.buffer_from_array(numbers, dtype) for _ in range(2))
    return 2 * side**3 / _best_seconds(device, lambda: gemm(a, b))


def _best_seconds(device: Device, call: Callable[[], object]) -> float:
    """Least seconds of what ``call`` records, once they settle; a sample is a few calls."""
    with device.capture() as graph:
        for _ in range(_CALLS):
            call()
    best = float("inf")
    graph.replay()
    device.synchronize()
    settled = now = time.perf_counter()
    while now <= settled:
        start, now = now, _replayed(device, graph)
        if now - start < _QUICKER * best:
            settled = now + _SETTLED_S[device.is_cpu]
        best = min(best, now - start)
    graph.release()
    return best / _CALLS


def _replayed(device: Device, graph: Graph) -> float:
    """The time when a replay has ended."""
    graph.replay()
    device.synchronize()
    return time.perf_counter()
