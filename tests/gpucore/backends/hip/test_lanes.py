"""Streams of a card side by side: whatever it runs first, memory has what one stream would leave.

The host's HIP keeps what it is given, by stream, and runs it in a random order: each stream's work
in its own order, and nothing ahead of an event that it waits for.
"""

from __future__ import annotations

import ctypes as c
from collections import deque
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import numpy as np
import pytest

from gpucore import Buffer, Device, Stream, f32
from tests.gpucore.backends.hip.host_hip import (
    COMPILER,
    NOT_READY,
    HostDriver,
    HostLaunch,
    host_backend,
)
from tests.gpucore.kernels import AFFINE

pytestmark = pytest.mark.skipif(COMPILER is None, reason="g++ is not installed")

COUNT = 16


class LateDriver(HostDriver):
    """A driver that runs things as late, and in as odd an order, as it may.

    ``waits`` counts the streams' waits. With ``ignores_waits`` it takes no notice of them.
    """

    def __init__(self, seed: int, *, ignores_waits: bool = False) -> None:
        super().__init__("gfx1030")
        self.waits = 0
        self._ignores_waits = ignores_waits
        self._random = Random(seed)
        self._given: dict[int, deque[Callable[[], bool]]] = {}
        self._reached: set[int] = set()

    def _give(self, stream: Any, step: Callable[[], object]) -> None:
        number = getattr(stream, "value", stream)
        self._given.setdefault(number, deque()).append(lambda: step() is not False)

    def _step(self) -> bool:
        """Run the next thing of a random stream that can go on; False where none can."""
        streams = [number for number, given in self._given.items() if given]
        self._random.shuffle(streams)
        for stream in streams:
            if self._given[stream][0]():
                self._given[stream].popleft()
                return True
        return False

    def _record_event(self, event: Any, stream: Any) -> None:
        number = getattr(event, "value", event)
        self._give(stream, lambda: self._reached.add(number))

    def _wait_event(self, stream: Any, event: Any, flags: int) -> None:
        self.waits += 1
        if not self._ignores_waits:
            self._give(stream, lambda: event in self._reached)

    def _query_event(self, event: int) -> int:
        for _ in range(self._random.randrange(3)):
            self._step()
        if event in self._reached or self._step():
            return 0 if event in self._reached else NOT_READY
        raise AssertionError("streams wait for each other")

    def _synchronize_stream(self, stream: Any) -> None:
        while self._step():
            pass

    def _free(self, address: int, stream: Any) -> None:
        def free() -> None:
            del self.memory[address]

        self._give(stream, free)

    def _copy_in(self, target: int, source: int, nbytes: int, stream: Any) -> None:
        data = c.string_at(source, nbytes)
        self._give(stream, lambda: c.memmove(target, data, nbytes))

    def _copy(self, target: int, source: int, nbytes: int, stream: Any) -> None:
        self._take((target, source, nbytes), stream)

    _copy_out = _copy

    def _launch(self, function: int, *given: Any) -> int:
        self._stream_of_launch = given[7]
        return super()._launch(function, *given)

    def _do(self, command: Any) -> None:
        self._take(command, self._stream_of_launch)

    def _take(self, command: Any, stream: Any) -> None:
        if self._captured is not None:
            self._captured.append(command)
        elif isinstance(command, HostLaunch):
            self._give(stream, lambda: self._run(command))
        else:
            self._give(stream, lambda: c.memmove(*command))

    def _launch_graph(self, plan: int, stream: Any) -> None:
        for command in self.graphs[plan]:
            self._take(command, stream)


@pytest.fixture(autouse=True, scope="module")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GPUCORE_HIP_CACHE", str(tmp_path_factory.mktemp("hip")))
        yield


def agrees(driver: LateDriver, seed: int) -> bool:
    """Run a random program on several streams; tell whether it did what one stream would."""
    random, device = Random(seed), Device(host_backend(driver))
    affine = device.compile_kernel(AFFINE)
    names = range(5)
    truth = [np.full(COUNT, name, np.float32) for name in names]
    memory = [device.buffer_from_array(each) for each in truth]

    def launch(source: Buffer[f32], target: Buffer[f32], shift: int) -> None:
        affine(source, target, {"count": COUNT, "factor": 2, "shift": shift}, grid=1)

    with device.capture() as graph:
        for k in range(6):
            launch(memory[k % 2], memory[1 - k % 2], k)
    streams: list[Stream] = [device.stream, device.new_stream(), device.new_stream()]
    same = True
    for _ in range(60):
        a, b = random.sample(names, 2)
        action = random.choice(
            ("launch", "launch", "copy", "copy", "graph", "new", "write", "read")
        )
        with random.choice(streams) as stream:
            if action == "launch":
                launch(memory[a], memory[b], a)
                truth[b] = truth[a] * 2 + a
                launch(memory[b], scratch := device.buffer(f32, COUNT), 0)
                scratch.release()  # which others get
            elif action == "copy":
                memory[b].copy_from(memory[a])
                truth[b] = truth[a].copy()
            elif action == "graph":
                graph.replay()
                for k in range(6):
                    truth[1 - k % 2] = truth[k % 2] * 2 + k
            elif action == "write":
                truth[a] = np.full(COUNT, random.randrange(9), np.float32)
                memory[a].write(truth[a])
            elif action == "new":
                streams[random.randrange(1, 3)] = device.new_stream()
            else:
                same &= bool((memory[a].read() == truth[a]).all())
            stream.submit()
        for name in names:  # numbers stay exact
            if abs(truth[name]).max() > 1e5:
                truth[name] = np.zeros(COUNT, np.float32)
                memory[name].write(truth[name])
    same &= all(bool((m.read() == t).all()) for m, t in zip(memory, truth, strict=True))
    device.close()
    return same


@pytest.mark.parametrize("seed", range(8))
def test_memory_is_what_one_stream_would_leave(seed: int) -> None:
    driver = LateDriver(seed)
    assert agrees(driver, seed)
    assert driver.waits > 10


def test_it_would_tell_what_does_not_wait() -> None:
    """Some of these programs differ where the card takes no notice of waits."""
    assert not all(agrees(LateDriver(seed, ignores_waits=True), seed) for seed in range(8))


def test_what_shares_no_memory_does_not_wait() -> None:
    driver = LateDriver(0)
    device = Device(host_backend(driver))
    affine = device.compile_kernel(AFFINE)
    x = device.buffer_from_array(np.ones(COUNT, np.float32))
    targets = [device.buffer(f32, COUNT) for _ in range(2)]
    sides = [device.new_stream() for _ in range(2)]
    before = driver.waits
    for side, target in zip(sides, targets, strict=True):
        with side:
            affine(x, target, {"count": COUNT, "factor": 3, "shift": 1}, grid=1)
        side.submit()
    assert driver.waits == before, "both read x, and write memory of their own"
    done = device.new_event().record(sides[0])
    sides[1].wait(done)
    assert driver.waits == before + 1
    done.wait()
    assert all((target.read() == 4).all() for target in targets)
    device.close()
