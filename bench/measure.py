"""Timing of entries: the device kept busy before, calls replayed from a graph, medians."""

from __future__ import annotations

import itertools
import math
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from bench.cuda_peer import CudaPeer
from bench.cupy_peer import cupy_peer
from bench.entry import Entry, Row
from bench.roofs import Roofs
from bench.torch_peer import TorchPeer, torch_peer
from gpucore import Device, Event, Graph, Work, f16, f32

__all__ = [
    "NO_PEERS",
    "Peers",
    "host_seconds",
    "measure",
    "open_device",
    "replay_seconds",
    "seconds_of",
]

_BUSY_S = 0.1
_SAMPLE_S = 0.005
_MOST_CALLS = 200
_FIRST_CALLS = 20
# Of a row.
_REPLAYS = 4
_PEER_SAMPLES = 5
# Of a library that is not ours: one that lacks a function, too.
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
    """Who else is timed on the same card; None where it is not there."""

    torch: TorchPeer | None = None
    cupy: CudaPeer | None = None

    @classmethod
    def of(cls, device: Device) -> Peers:
        """Those that are installed and drive the device's card."""
        return cls(torch_peer(device), cupy_peer(device))


NO_PEERS = Peers()


def open_device(name: str) -> Device:
    """The device of a name, the best for an empty one; its kernels are trusted, as in pipelines."""
    return Device.by_name(name, checks=False) if name else Device.auto(checks=False)


def measure(device: Device, entry: Entry, roofs: Roofs, peers: Peers = NO_PEERS) -> Row:
    """Time one entry, then its peers: one after the other, since they share the card."""
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
    """By name; a peer that fails is told of, and does not cost our own time."""
    found = {}
    asked = ((entry.torch_name, peers.torch, entry.torch), ("CuPy", peers.cupy, entry.cupy))
    for name, peer, make in asked:
        if peer is None or make is None:
            continue
        try:
            seconds, replayed = peer.timed(make)
            found[name if replayed else f"{name} eager"] = seconds
        except _PEER_FAULTS as error:
            print(f"{entry.name}: {name} failed: {error}", file=sys.stderr)
    if entry.numpy is not None:
        found["NumPy"] = _numpy_seconds(entry.numpy)
    return found


def seconds_of(device: Device, call: Callable[[], object]) -> float:
    """Median seconds of what ``call`` records, over 20 samples (7 on a software renderer).

    A sample is a captured run of calls, long enough that waiting for the device does not count.
    """
    call()
    device.synchronize()
    once = _least(device, call)
    if once < _SAMPLE_S:
        graph = _captured(device, call, _FIRST_CALLS)
        graph.replay()
        device.synchronize()
        once = _least(device, graph.replay) / _FIRST_CALLS
        graph.release()
    count = max(1, min(_MOST_CALLS, math.ceil(_SAMPLE_S / once)))
    graph = _captured(device, call, count)
    seconds = replay_seconds(device, graph) / count
    graph.release()
    return seconds


def _captured(device: Device, call: Callable[[], object], count: int) -> Graph:
    with device.capture() as graph:
        for _ in range(count):
            call()
    return graph


def replay_seconds(device: Device, graph: Graph) -> float:
    """Median seconds of a replay over 20 samples of some in a row, the device busy throughout.

    A sample is the time between the ends of two rows; while one runs the next is recorded, as the
    steps of an image are. On software renderers (7 samples of one replay each) rows are waited for
    one by one.
    """
    replays, count = (1, 7) if device.is_cpu else (_REPLAYS, 20)

    def row() -> Event:
        for _ in range(replays):
            graph.replay()
        return device.new_event().record()

    if device.is_cpu:
        graph.replay()
        device.synchronize()
        return statistics.median(_elapsed(device, row) for _ in range(count)) / replays
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
    """Median seconds, over 20, that a replay takes of the host before it is submitted.

    Each is waited for, and the next one encoded meanwhile, as far as that can be done ahead.
    """
    samples = []
    for _ in range(20):
        start = time.perf_counter()
        graph.replay()
        samples.append(time.perf_counter() - start)
        device.synchronize()
    return statistics.median(samples)


def _least(device: Device, call: Callable[[], object]) -> float:
    """Of three: a late one would make samples of single calls, and those time submissions."""
    return min(_elapsed(device, call) for _ in range(3))


def _elapsed(device: Device, call: Callable[[], object]) -> float:
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
