"""Arrays of one invocation, `local(f32, 8)`, against NumPy, and in the sanitizer."""

from __future__ import annotations

import numpy as np
import pytest

import gpucore
from gpucore import (
    Array,
    Array2,
    Const,
    Device,
    KernelCompileError,
    KernelNameError,
    KernelTypeError,
    f32,
    global_id,
    gpu_function,
    gpu_kernel,
    i32,
    local,
    shared,
    static_range,
    u32,
    vec2f,
)

RNG = np.random.default_rng(8)


@gpu_kernel
def median(x: Array2[f32], out: Array[f32], count: Const[int]) -> None:
    """Sort each row by insertion, in an array of the invocation."""
    i = global_id.x
    if i >= len(out):
        return
    row = local(f32, count)
    for k in range(count):
        value = x[i, k]
        at = k
        while at > 0 and row[at - 1] > value:
            row[at] = row[at - 1]
            at -= 1
        row[at] = value
    out[i] = row[count // 2]


@pytest.mark.parametrize("count", [1, 9, 32])
def test_medians(device: Device, count: int) -> None:
    x = RNG.normal(size=(300, count)).astype(np.float32)
    out = device.buffer(f32, 300)
    median(device.buffer_from_array(x), out, count)
    np.testing.assert_array_equal(out.read(), np.sort(x, 1)[:, count // 2])
    with gpucore.sanitize():
        median(device.buffer_from_array(x), out, count)
        np.testing.assert_array_equal(out.read(), np.sort(x, 1)[:, count // 2])


@gpu_function
def count_bits(bins: Array[u32], x: u32) -> None:
    for k in range(u32(32)):
        bins[k % len(bins)] += (x >> k) & 1


@gpu_function
def digits(x: u32) -> u32:
    bins = local(u32, 10)
    rest = x
    while rest > 0:
        bins[rest % 10] += 1
        rest //= 10
    most = u32(0)
    for k in range(u32(10)):
        most = max(most, bins[k])
    return most


@gpu_kernel
def in_functions(x: Array[u32], out: Array2[u32]) -> None:
    i = global_id.x
    if i < len(x):
        bins = local(u32, 4)
        count_bits(bins, x[i])
        for k in static_range(4):
            out[i, k] = bins[k]
        out[i, 4] = digits(x[i]) * 100 + digits(x[i] // 7)


def test_arrays_of_functions(device: Device) -> None:
    x = RNG.integers(0, 2**32, 300, dtype=np.uint32)
    out = device.buffer(u32, (300, 5))
    in_functions(device.buffer_from_array(x), out)
    bits = (x[:, None] >> np.arange(32)) & 1
    expected = bits.reshape(-1, 8, 4).sum(1)

    def most(value: int) -> int:
        text = str(value) if value else ""
        return max((text.count(d) for d in "0123456789"), default=0)

    last = [most(int(v)) * 100 + most(int(v) // 7) for v in x]
    np.testing.assert_array_equal(out.read(), np.column_stack([expected, last]))


@gpu_kernel
def zeros_each_time(out: Array2[f32]) -> None:
    i = global_id.x
    if i >= out.shape[0]:
        return
    for turn in range(out.shape[1] - 2):
        seen = local(f32, 2, 3)
        seen[turn % 2, turn % 3] += f32(turn + 1)
        total = 0.0
        for a in static_range(2):
            for b in static_range(3):
                total += seen[a, b]
        out[i, turn] = total
    for turn in static_range(2):
        pair = local(vec2f, 2)
        pair[i % 2].x += f32(turn + 5)
        out[i, out.shape[1] - 2 + turn] = pair[0].x + pair[1].x + pair[0].y


def test_zeros_each_time(device: Device) -> None:
    out = device.buffer(f32, (70, 9))
    zeros_each_time(out)
    expected = [1, 2, 3, 4, 5, 6, 7, 5, 6]
    np.testing.assert_array_equal(out.read(), np.tile(expected, (70, 1)))


@gpu_function
def twice_shared(x: f32) -> f32:
    tile = shared(f32, 4)
    tile[1] = 2.0
    return tile[1] * x


@gpu_kernel(workgroup_size=1)
def same_names(x: Array[f32]) -> None:
    tile = shared(f32, 8)
    tile[1] = 3.0
    x[0] = twice_shared(x[0]) + tile[1]


def test_shared_arrays_of_one_name(device: Device) -> None:
    x = device.buffer_from_array(np.array([5], np.float32))
    same_names[1](x)
    assert x.read().tolist() == [13]


@gpu_kernel
def beyond(x: Array[f32], n: i32) -> None:
    own = local(f32, 4)
    own[n] = 1.0
    x[0] = own[n]


def test_the_sanitizer_checks_indices(device: Device) -> None:
    with gpucore.sanitize(raises=False) as session:
        beyond[1](device.buffer_from_array(np.zeros(1, np.float32)), 4)
        device.synchronize()
    found = [each for each in session.findings if each.kind == "bounds"]
    lines = {each.source.text.strip() for each in found if each.source is not None}
    assert lines == {"own[n] = 1.0", "x[0] = own[n]"}
    assert {each.message for each in found} == {"own[4] is outside: own has 4 elements"}


@gpu_kernel
def outside_own(x: Array[f32]) -> None:
    own = local(f32, 4)
    x[0] = own[4]


@gpu_kernel
def in_a_branch(x: Array[f32]) -> None:
    if x[0] > 0:
        own = local(f32, 4)
        own[0] = 1
    x[0] = own[0]


@gpu_kernel
def run_time_size(x: Array[f32]) -> None:
    own = local(f32, len(x))
    x[0] = own[0]


@pytest.mark.parametrize(
    ("kernel", "error", "message"),
    [
        (outside_own, KernelTypeError, "axis 0 of own has 4 elements, got index 4"),
        (in_a_branch, KernelNameError, r"own may have no value here.*\(line \d+\)"),
        (run_time_size, KernelTypeError, r"the sizes of local\(\.\.\.\) must be integers above 0"),
    ],
)
def test_wrong_use(
    kernel: gpucore.GpuKernel,  # type: ignore[type-arg]
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        kernel.compile()


def test_too_much_memory() -> None:
    device = Device.null()
    x = device.buffer(f32, (3, 4))
    with pytest.raises(KernelCompileError, match="8192"):
        median(x, device.buffer(f32, 3), 3000)
