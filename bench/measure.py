"""Timing of entries: medians of calls that a graph replays on a busy device."""

from __future__ import annotations

import itertools
import math
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from bench.cuda_peer import CudaPeer
from bench.cupy_peer import find_cupy
from bench.entry import Entry, Row
from bench.roofs import Roofs
from bench.torch_peer import TorchPeer, find_torch
from gpucore import Device, Event, Graph, Work, f16, f32

__all__ = [
    "NO_PEERS",
    "Peers",
    "host_seconds",
    "measure_entry",
    "replay_seconds",
    "seconds_of",
]

_BUSY_S = 0.1
_SAMPLE_S = 0.005
_MOST_CALLS = 200
_FIRST_CALLS = 20
# Replays in a row.
_REPLAYS = 4
_PEER_SAMPLES = 5
# Errors of other libraries, also where one lacks a function.
_PEER_FAULTS = (
    AttributeError,
    ImportError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True)
class Peers:
    """Libraries that are timed on the same card; None where one is not installed.

    ``numpy``: small entries are timed in NumPy, too.
    """

    torch: TorchPeer | None = None
    cupy: CudaPeer | None = None
    numpy: bool = True

    @classmethod
    def of(cls, device: Device) -> Peers:
        """Return the installed libraries that drive the device's card."""
        return cls(find_torch(device), find_cupy(device))


NO_PEERS = Peers()


def measure_entry(device: Device, entry: Entry, roofs: Roofs, peers: Peers = NO_PEERS) -> Row:
    """Time one entry, then its peers, one by one, since they share the card."""
    roof = roofs.of(f16 if entry.f16 else f32)
    seconds = seconds_of(device, entry.setup(device))
    device.trim()
    return Row(
        name=entry.name,
        seconds=seconds,
        flops=entry.flops,
        bytes=entry.bytes,
        roof=roof.seconds(Work(entry.flops, entry.bytes)) / seconds,
        copy_share=entry.bytes / seconds / roofs.copy_rate,
        peers=_peer_seconds(entry, peers),
        target=entry.target,
    )


def _peer_seconds(entry: Entry, peers: Peers) -> dict[str, float]:
    """Return the seconds of peers by name; print the error of a peer that fails."""
    found = {}
    candidates = ((entry.torch_name, peers.torch, entry.torch), ("CuPy", peers.cupy, entry.cupy))
    for name, peer, make in candidates:
        if peer is None or make is None:
            continue
        try:
            seconds, replayed = peer.time_calls(make)
            found[name if replayed else f"{name} eager"] = seconds
        except _PEER_FAULTS as error:
            print(f"{entry.name}: {name} failed: {error}", file=sys.stderr)
    if entry.numpy is not None and peers.numpy:
        found["NumPy"] = _numpy_seconds(entry.numpy)
    return found


def seconds_of(device: Device, call: Callable[[], object]) -> float:
    """Return the median seconds of the commands that ``call`` records.

    There are 20 samples (7 on a software renderer). A sample is a captured row of calls, so long
    that the time of waiting for the device is negligible.
    """
    call()
    device.synchronize()
    once = _shortest_of_three(device, call)
    if once < _SAMPLE_S:
        graph = _capture(device, call, _FIRST_CALLS)
        graph.replay()
        device.synchronize()
        once = _shortest_of_three(device, graph.replay) / _FIRST_CALLS
        graph.release()
    count = max(1, min(_MOST_CALLS, math.ceil(_SAMPLE_S / once)))
    graph = _capture(device, call, count)
    seconds = replay_seconds(device, graph) / count
    graph.release()
    return seconds


def _capture(device: Device, call: Callable[[], object], count: int) -> Graph:
    with device.capture() as graph:
        for _ in range(count):
            call()
    return graph


def replay_seconds(device: Device, graph: Graph) -> float:
    """Return the median seconds of a replay over 20 samples on a busy device.

    A sample is the time between the ends of two rows of replays. While one row runs, the next is
    recorded, as for the steps of an image. Software renderers take 7 samples of one replay each,
    and each is waited for.
    """
    replays, count = (1, 7) if device.is_cpu else (_REPLAYS, 20)

    def row() -> Event:
        for _ in range(replays):
            graph.replay()
        return device.new_event().record()

    if device.is_cpu:
        graph.replay()
        device.synchronize()
        return statistics.median(_time_call(device, row) for _ in range(count)) / replays
    begin = time.perf_counter() + _BUSY_S
    ends: list[float] = []
    running = row()
    while len(ends) <= count:
        following = row()
        running.wait()
        now = time.perf_counter()
        if now > begin:
            ends.append(now)
        running = following
    running.wait()
    return statistics.median(b - a for a, b in itertools.pairwise(ends)) / replays


def host_seconds(device: Device, graph: Graph) -> float:
    """Return the median seconds, over 20 samples, that the host takes to submit a replay.

    Each replay is waited for. Meanwhile the next one is encoded as far as possible.
    """
    samples = []
    for _ in range(20):
        start = time.perf_counter()
        graph.replay()
        samples.append(time.perf_counter() - start)
        device.synchronize()
    return statistics.median(samples)


def _shortest_of_three(device: Device, call: Callable[[], object]) -> float:
    """Return the shortest of three times of a call.

    One slow call would lead to samples of a single call, which time the submission.
    """
    return min(_time_call(device, call) for _ in range(3))


def _time_call(device: Device, call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    device.synchronize()
    return time.perf_counter() - start


def _numpy_seconds(call: Callable[[], object]) -> float:
    call()
    samples = []
    for _ in range(_PEER_SAMPLES):
        start = time.perf_counter()
        call()
        samples.append(time.perf_counter() - start)
    return statistics.median(samples)
