"""Threads that share a device, or that each open one of their own, in separate processes."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from gpucore import Buffer, Device, Kernel, f32
from gpucore.waiting import under_lock
from gpustd import gemm
from tests.gpucore.kernels import AFFINE, INCREMENT

THREADS, ROUNDS, SIZE = 8, 12, 640

OPEN_AND_READ = """
import sys, threading
import numpy as np
from gpucore import Device

found = []

def work():
    device = Device.by_name(sys.argv[1])
    buffer = device.buffer_from_array(np.arange(5, dtype=np.float32))
    found.append([buffer.read().tolist() for _ in range(20)])

threads = [threading.Thread(target=work) for _ in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert found == 3 * [20 * [[0.0, 1.0, 2.0, 3.0, 4.0]]], found
"""


def test_devices_of_three_threads(device: Device) -> None:
    if device.info.api == "gl":
        pytest.skip("wgpu-native ends the process where threads use OpenGL at once")
    command = [sys.executable, "-c", OPEN_AND_READ, device.info.backend]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def launch_and_read(device: Device, seed: int) -> None:
    """Upload, launch many times, read; the kernels are shared by all threads."""
    increment, affine = device.compile_kernel(INCREMENT), device.compile_kernel(AFFINE)
    start = np.full(SIZE, seed, np.float32)
    for i in range(ROUNDS):
        x, y = device.buffer_from_array(start), device.buffer(f32, SIZE)
        for _ in range(7):
            increment(x, grid=10)
        affine(x, y, {"count": SIZE, "factor": 2, "shift": i}, grid=10)
        assert (y.read() == 2 * (seed + 7) + i).all()
        x.write(start)
        assert (x.read() == seed).all()


def capture_and_replay(device: Device, seed: int) -> None:
    """Capture a graph whose buffers share memory with other threads' graphs, and replay it."""
    increment, x = device.compile_kernel(INCREMENT), device.buffer(f32, SIZE)
    for _ in range(ROUNDS // 3):
        with device.capture() as graph:
            middle, y = device.buffer(f32, SIZE), device.buffer(f32, SIZE)
            middle.copy_from(x)
            increment(middle, grid=10)
            y.copy_from(middle)
            increment(y, grid=10)
            del middle
        for i in range(4):
            x.write(np.full(SIZE, seed + 100 * i, np.float32))
            graph.replay()
            assert (y.read() == seed + 100 * i + 2).all()


def enter_streams_and_regions(device: Device, seed: int) -> None:
    """Record into streams and regions, which are each thread's own."""
    increment, x = device.compile_kernel(INCREMENT), device.buffer(f32, SIZE)
    for i in range(ROUNDS):
        x.write(np.full(SIZE, seed + i, np.float32))
        with device.new_stream(f"of {seed}") as stream, device.region(f"region {seed}"):
            assert device.stream is stream
            increment(x, grid=10)
            assert stream.region == f"region {seed}"
        assert device.stream.region == ""
        device.new_event().record(stream).wait()
        assert (x.read_slice(3, 9) == seed + i + 1).all()


def multiply(device: Device, seed: int) -> None:
    """Call operations whose kernels compile and are kept for the device."""
    rng = np.random.default_rng(seed)
    a, b = rng.integers(-4, 5, (2, 24, 24)).astype(np.float32)
    for _ in range(ROUNDS):
        result = gemm(device.buffer_from_array(a), device.buffer_from_array(b))
        np.testing.assert_array_equal(result.read(), a @ b)
    device.trim()


TASKS: list[Callable[[Device, int], None]] = [
    launch_and_read,
    capture_and_replay,
    enter_streams_and_regions,
    multiply,
]


def run_together(device: Device, rounds: int) -> None:
    """Do all tasks in eight threads at once, each thread in another order."""
    begun = threading.Barrier(THREADS)

    def work(number: int) -> None:
        begun.wait(60)
        for i in range(rounds * len(TASKS)):
            TASKS[(number + i) % len(TASKS)](device, 1000 * number + i)

    with ThreadPoolExecutor(THREADS) as pool:
        for each in [pool.submit(work, number) for number in range(THREADS)]:
            each.result(300)


def test_eight_threads_share_a_device(device: Device) -> None:
    run_together(device, 1)
    x = device.buffer_from_array(np.zeros(64, np.float32))
    device.compile_kernel(INCREMENT)(x, grid=1)
    assert (x.read() == 1).all()


@pytest.mark.slow
def test_eight_threads_share_a_device_for_long(device: Device) -> None:
    run_together(device, 6)


def test_eight_threads_record_into_one_list() -> None:
    """No launch is lost or submitted twice, also where threads submit what others recorded."""
    device = Device.null()
    kernel: Kernel = device.compile_kernel(INCREMENT)
    buffers: list[Buffer[f32]] = [device.buffer(f32, 64) for _ in range(THREADS)]
    calls = 3000

    def work(number: int) -> None:
        for i in range(calls):
            kernel(buffers[number], grid=number + 1)
            if i % 50 == number:
                device.submit()

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(work, range(THREADS)))
    finally:
        sys.setswitchinterval(before)
    device.submit()
    grids = [c.grid[0] for each in device.engine.submitted for c in each]  # type: ignore[attr-defined]
    assert [grids.count(number + 1) for number in range(THREADS)] == [calls] * THREADS


def test_a_capture_is_its_threads_own() -> None:
    """Other threads wait until it ends, and launch nothing into the graph."""
    device = Device.null()
    kernel, x = device.compile_kernel(INCREMENT), device.buffer(f32, 64)
    begun = threading.Event()

    def launch() -> None:
        begun.set()
        kernel(x, grid=7)

    other = threading.Thread(target=launch)
    with device.capture() as graph:
        kernel(x, grid=1)
        other.start()
        assert begun.wait(10)
        other.join(0.05)
        assert other.is_alive()
        kernel(x, grid=2)
    other.join(10)
    assert [c.grid[0] for c in graph._list.commands] == [1, 2]  # type: ignore[union-attr]
    device.submit()
    (after,) = device.engine.submitted  # type: ignore[attr-defined]
    assert [c.grid[0] for c in after] == [7]


def test_the_lock_makes_calls_one_unit() -> None:
    device = Device.null()
    kernel, x = device.compile_kernel(INCREMENT), device.buffer(f32, 64)

    def work(number: int) -> None:
        for _ in range(300):
            with device.lock:
                for _ in range(3):
                    kernel(x, grid=number + 1)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    device.submit()
    grids = [c.grid[0] for each in device.engine.submitted for c in each]  # type: ignore[attr-defined]
    assert len(grids) == 3600
    assert all(len(set(grids[i : i + 3])) == 1 for i in range(0, 3600, 3))


def test_locked_methods_keep_their_names() -> None:
    assert Device.trim.__name__ == "trim"
    assert under_lock(Device.trim).__doc__ == Device.trim.__doc__
