"""The order of launches, copies, writes and reads is the order in which they are called."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from gpucore import Device, Kernel, KernelCompileError, f32
from tests.gpucore.kernels import AFFINE, INCREMENT

COUNT = 300

# Refused when its pipeline is made, where the divisor is 0.
DIVIDES = """
override divisor: i32 = 1;
override quotient: i32 = 1 / divisor;
@group(0) @binding(0) var<storage, read_write> x: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) i: u32) {
    x[i] += f32(quotient);
}
"""


@pytest.fixture
def affine(device: Device) -> Kernel:
    return device.compile_kernel(AFFINE)


def constant(value: float) -> np.ndarray:
    return np.full(COUNT, value, np.float32)


def test_nothing_is_submitted_before_a_read() -> None:
    device = Device.null()
    kernel = device.compile_kernel(INCREMENT)
    buffer = device.buffer(f32, COUNT)
    for _ in range(5):
        kernel(buffer, grid=5)
    assert device.engine.submitted == []
    buffer.read()
    assert [len(commands) for commands in device.engine.submitted] == [5]
    buffer.read()
    device.synchronize()
    assert len(device.engine.submitted) == 1


def test_many_bytes_written_are_submitted() -> None:
    """Engines may keep what the host wrote until something is submitted."""
    device = Device.null()
    kernel = device.compile_kernel(INCREMENT)
    first, second = device.buffer(f32, COUNT), device.buffer(f32, 3 << 20)
    kernel(first, grid=5)
    second.write(np.zeros(3 << 20, np.float32))
    second.write(np.zeros(3 << 20, np.float32))
    assert device.engine.submitted == []
    second.write(np.zeros(3 << 20, np.float32))
    assert len(device.engine.submitted) == 1
    kernel(first, grid=5)
    second.write(np.zeros(3 << 20, np.float32))
    assert len(device.engine.submitted) == 1


def test_what_comes_before_a_graph_that_fails_is_not_lost(device: Device) -> None:
    if device.info.engine != "dawn":
        pytest.skip(f"{device!r} compiles at once")
    increment = device.compile_kernel(INCREMENT)
    broken = device.compile_kernel(DIVIDES, constants={"divisor": 0}, wait=False)
    x = device.buffer_from_array(constant(0))
    with device.capture() as graph:
        broken(x, grid=1)
    increment(x, grid=5)
    with pytest.raises(KernelCompileError):
        graph.replay()
    assert (x.read() == 1).all()


def test_a_write_submits_only_what_uses_the_memory() -> None:
    device = Device.null()
    kernel = device.compile_kernel(INCREMENT)
    first, second = device.buffer(f32, COUNT), device.buffer(f32, COUNT)
    kernel(first, grid=5)
    second.write(constant(1))
    second.write_slice(0, constant(1)[:4])
    assert device.engine.submitted == []
    first.write_slice(0, constant(1)[:4])
    assert len(device.engine.submitted) == 1
    first.write(constant(1))
    assert len(device.engine.submitted) == 1
    second.copy_from(first)
    second.write(constant(2))
    assert len(device.engine.submitted) == 2
    kernel(first, grid=5)
    del first
    device.buffer(f32, COUNT).write(constant(3))
    assert len(device.engine.submitted) == 3
    side = device.new_stream()
    with side:
        kernel(second, grid=5)
    device.buffer(f32, COUNT).write(constant(3))
    assert len(device.engine.submitted) == 4


def test_long_lists_are_submitted_by_themselves() -> None:
    device = Device.null()
    kernel = device.compile_kernel(INCREMENT)
    buffer = device.buffer(f32, COUNT)
    for _ in range(1300):
        kernel(buffer, grid=5)
    sizes = [len(commands) for commands in device.engine.submitted]
    assert sizes == [512, 512]
    device.synchronize()
    assert sum(len(commands) for commands in device.engine.submitted) == 1300


def test_launches_run_in_order(device: Device, affine: Kernel) -> None:
    """Each launch reads what the one before wrote: 600 in a chain cross a submission."""
    x, y = device.buffer_from_array(constant(1)), device.buffer(f32, COUNT)
    for _ in range(300):
        affine(x, y, {"count": COUNT, "factor": 1, "shift": 1}, grid=5)
        affine(y, x, {"count": COUNT, "factor": 1, "shift": 2}, grid=5)
    assert (x.read() == 901).all()


def test_a_write_comes_after_the_launches_before_it(device: Device, affine: Kernel) -> None:
    x, first = device.buffer_from_array(constant(1)), device.buffer(f32, COUNT)
    affine(x, first, {"count": COUNT, "factor": 10, "shift": 0}, grid=5)
    x.write(constant(2))
    second = device.buffer(f32, COUNT)
    affine(x, second, {"count": COUNT, "factor": 10, "shift": 0}, grid=5)
    x.write(constant(3))
    assert (first.read() == 10).all()
    assert (second.read() == 20).all()
    assert (x.read() == 3).all()


def test_a_copy_stays_between_its_launches(device: Device) -> None:
    increment = device.compile_kernel(INCREMENT)
    x, kept = device.buffer_from_array(constant(0)), device.buffer(f32, COUNT)
    increment(x, grid=5)
    kept.copy_from(x)
    increment(x, grid=5)
    assert (kept.read() == 1).all()
    assert (x.read() == 2).all()


def test_memory_given_back_is_reused_only_by_later_commands(device: Device, affine: Kernel) -> None:
    """The pool hands the input's memory out again while its launch is still only recorded."""
    device.trim()
    x, y = device.buffer_from_array(constant(5)), device.buffer(f32, COUNT)
    affine(x, y, {"count": COUNT, "factor": 1, "shift": 0}, grid=5)
    handle = x.storage.handle
    x.release()
    z = device.buffer_from_array(constant(6))
    assert z.storage.handle is handle
    assert (y.read() == 5).all()


def test_uniforms_keep_the_values_of_their_launch(device: Device, affine: Kernel) -> None:
    x = device.buffer_from_array(constant(1))
    results = [device.buffer(f32, COUNT) for _ in range(20)]
    for i, y in enumerate(results):
        affine(x, y, {"count": COUNT, "factor": i, "shift": 0.5}, grid=5)
    assert [float(y.read()[-1]) for y in results] == [i + 0.5 for i in range(20)]


def test_reads_can_be_awaited(device: Device, affine: Kernel) -> None:
    async def both() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        x, y = device.buffer_from_array(constant(1)), device.buffer(f32, COUNT)
        affine(x, y, {"count": COUNT, "factor": 4, "shift": 0}, grid=5)
        first = await y.read_async()
        x.write(constant(2))
        affine(x, y, {"count": COUNT, "factor": 4, "shift": 0}, grid=5)
        second, third = await asyncio.gather(y.read_async(), x.read_async())
        return first, second, third

    first, second, third = asyncio.run(both())
    assert (first == 4).all()
    assert (second == 8).all()
    assert (third == 2).all()
    assert asyncio.run(device.buffer(f32, (0, 2)).read_async()).shape == (0, 2)


def test_a_kernel_that_fails_to_compile_stops_its_submission_only(device: Device) -> None:
    """Compiled with wait=False, the error shows at the latest when the launch is submitted."""
    increment = device.compile_kernel(INCREMENT)
    x = device.buffer_from_array(constant(0))

    def launch_what_does_not_compile() -> None:
        source = INCREMENT.replace("+ 1.0", "+ true")
        device.compile_kernel(source, wait=False)(x, grid=5)
        device.synchronize()

    with pytest.raises(KernelCompileError):
        launch_what_does_not_compile()
    increment(x, grid=5)
    assert (x.read() == 1).all()
