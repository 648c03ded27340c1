"""Streams of a card side by side: whatever it runs first, memory has what one stream would leave.

The driver runs what it is given in a random order: see `LateDriver`.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import numpy as np
import pytest

from gpucore import Buffer, Device, Stream, f32
from tests.gpucore.backends.hip.host_hip import COMPILER, host_backend
from tests.gpucore.backends.hip.late_driver import LateDriver
from tests.gpucore.kernels import AFFINE

pytestmark = pytest.mark.skipif(COMPILER is None, reason="g++ is not installed")

COUNT = 16


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
