"""Timing of entries: the device kept busy before, calls replayed from a graph, medians."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from bench.entry import Entry
from gpucore import Device, u32

__all__ = ["Row", "copy_bandwidth", "measure"]

_BUSY_S = 0.3
_SAMPLE_S = 0.005
_MOST_CALLS = 200
_PEER_SAMPLES = 5


@dataclass(frozen=True)
class Row:
    """Result of an entry: seconds of a call, rates, and the peer's seconds (None: no peer).

    ``roof`` is the time in which the device copies the entry's bytes, over the time it took.
    """

    name: str
    seconds: float
    gflops: float | None
    gbytes: float
    roof: float
    peer_seconds: float | None


def measure(device: Device, entry: Entry, bandwidth: float) -> Row:
    """Time one entry; ``bandwidth`` in bytes a second is the roof."""
    seconds = seconds_of(device, entry.setup(device))
    return Row(
        name=entry.name,
        seconds=seconds,
        gflops=entry.flops / seconds / 1e9 if entry.flops else None,
        gbytes=entry.bytes / seconds / 1e9,
        roof=entry.bytes / bandwidth / seconds,
        peer_seconds=None if entry.peer is None else _host_seconds(entry.peer),
    )


def seconds_of(device: Device, call: Callable[[], object]) -> float:
    """Median seconds of what ``call`` records, over 20 samples (7 on a software renderer).

    A sample is a captured run of calls, long enough that waiting for the device does not count.
    """
    call()
    device.synchronize()
    once = _elapsed(device, call)
    count = max(1, min(_MOST_CALLS, math.ceil(_SAMPLE_S / once)))
    with device.capture() as graph:
        for _ in range(count):
            call()
    end = time.perf_counter() + _BUSY_S
    while time.perf_counter() < end:
        graph.replay()
        device.synchronize()
    samples = [_elapsed(device, graph.replay) for _ in range(7 if device.is_cpu else 20)]
    graph.release()
    return statistics.median(samples) / count


def copy_bandwidth(device: Device) -> float:
    """Bytes read and written a second by copies between two buffers beyond the caches."""
    words = (16 if device.is_cpu else 64) * 2**20
    source, target = device.buffer(u32, words), device.buffer(u32, words)
    seconds = seconds_of(device, lambda: target.copy_from(source))
    return 2 * source.nbytes / seconds


def _elapsed(device: Device, call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    device.synchronize()
    return time.perf_counter() - start


def _host_seconds(call: Callable[[], object]) -> float:
    call()
    samples = []
    for _ in range(_PEER_SAMPLES):
        start = time.perf_counter()
        call()
        samples.append(time.perf_counter() - start)
    return statistics.median(samples)
