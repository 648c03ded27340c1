"""Kernels in Python on every engine, against NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gpucore import (
    ArgumentError,
    Array,
    Array2,
    Device,
    DTypeError,
    ShapeError,
    atomic_add,
    atomic_max,
    barrier,
    bitcast,
    f32,
    global_id,
    gpu_kernel,
    i32,
    local_id,
    local_index,
    shared,
    u32,
    workgroup_id,
)

RNG = np.random.default_rng(26)
FACTOR = 3


def floats(*shape: int) -> np.ndarray:
    return RNG.uniform(-4, 4, shape).astype(np.float32)


@gpu_kernel
def saxpy(a: f32, x: Array[f32], y: Array[f32]) -> None:
    """Add a multiple."""
    i = global_id.x
    if i < len(y):
        y[i] = a * x[i] + y[i]


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 10007])
def test_saxpy(device: Device, size: int) -> None:
    x, y = floats(size), floats(size)
    made = device.buffer_from_array(y)
    saxpy(2.5, device.buffer_from_array(x), made)
    np.testing.assert_allclose(made.read(), np.float32(2.5) * x + y, rtol=1e-6, atol=1e-6)


def test_arguments_by_name_and_a_grid(device: Device) -> None:
    x, y = floats(700), floats(700)
    made = device.buffer_from_array(y)
    saxpy[3](y=made, a=-1, x=device.buffer_from_array(x))
    np.testing.assert_allclose(made.read(), y - x, rtol=1e-6, atol=1e-6)


@gpu_kernel
def matmul(a: Array2[f32], b: Array2[f32], c: Array2[f32]) -> None:
    column, row = global_id.x, global_id.y
    if row < c.shape[0] and column < c.shape[1]:
        total = 0.0
        for k in range(a.shape[1]):
            total += a[row, k] * b[k, column]
        c[row, column] = total


def test_two_axes(device: Device) -> None:
    a, b = floats(33, 20), floats(20, 45)
    c = device.buffer_from_array(np.full((33, 45), np.nan, np.float32))
    matmul(device.buffer_from_array(a), device.buffer_from_array(b), c)
    np.testing.assert_allclose(c.read(), a.astype(float) @ b.astype(float), rtol=1e-5, atol=1e-4)


@gpu_kernel(workgroup_size=(8, 8))
def tiled_matmul(a: Array2[f32], b: Array2[f32], c: Array2[f32]) -> None:
    left, right = shared(f32, 8, 8), shared(f32, 8, 8)
    row, column = global_id.y, global_id.x
    total = 0.0
    for tile in range((a.shape[1] + 7) // 8):
        k = tile * 8 + local_id.x
        left[local_id.y, local_id.x] = a[row, k] if row < a.shape[0] and k < a.shape[1] else 0.0
        k = tile * 8 + local_id.y
        inside = k < b.shape[0] and column < b.shape[1]
        right[local_id.y, local_id.x] = b[k, column] if inside else 0.0
        barrier()
        for i in range(8):
            total += left[local_id.y, i] * right[i, local_id.x]
        barrier()
    if row < c.shape[0] and column < c.shape[1]:
        c[row, column] = total


def test_shared_memory(device: Device) -> None:
    a, b = floats(19, 30), floats(30, 13)
    c = device.buffer_from_array(np.full((19, 13), np.nan, np.float32))
    tiled_matmul[2, 3](device.buffer_from_array(a), device.buffer_from_array(b), c)
    np.testing.assert_allclose(c.read(), a.astype(float) @ b.astype(float), rtol=1e-5, atol=1e-4)


@gpu_kernel(workgroup_size=64)
def histogram(x: Array[u32], bins: Array[u32], greatest: Array[u32]) -> None:
    own = shared(u32, 64)
    own[local_index] = 0
    i = global_id.x
    barrier()
    if i < len(x):
        atomic_add(own[x[i] % 64], 1)
        atomic_max(greatest[0], x[i])
    barrier()
    atomic_add(bins[local_index], own[local_index])


def test_atomics(device: Device) -> None:
    x = RNG.integers(0, 1000, 5000).astype(np.uint32)
    bins = device.buffer_from_array(np.zeros(64, np.uint32))
    greatest = device.buffer_from_array(np.zeros(1, np.uint32))
    histogram(device.buffer_from_array(x), bins, greatest)
    np.testing.assert_array_equal(bins.read(), np.bincount(x % 64, minlength=64))
    assert greatest.read() == [x.max()]


@gpu_kernel
def collatz(x: Array[u32], steps: Array[i32]) -> None:
    i = global_id.x
    if i >= len(x):
        return
    n = x[i]
    count = 0
    while True:
        if n <= 1:
            break
        n = n // 2 if n % 2 == 0 else n * FACTOR + 1
        count += 1
        if count > 100:
            count = -1
            break
    steps[i] = count


def collatz_steps(n: int) -> int:
    count = 0
    while n > 1:
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        count += 1
        if count > 100:
            return -1
    return count


def test_loops(device: Device) -> None:
    steps = device.buffer_from_array(np.full(300, 77, np.int32))
    collatz(device.buffer_from_array(np.arange(300, dtype=np.uint32)), steps)
    assert steps.read().tolist() == [collatz_steps(n) for n in range(300)]


@gpu_kernel
def ranges(out: Array[i32]) -> None:
    i = i32(global_id.x)
    if i >= i32(len(out)):
        return
    total = 0
    for k in range(10, i, -3):
        if k == 4:
            continue
        for j in range(k, k + 5, 2):
            if j > 9:
                break
            total += j
        k = 100  # noqa: PLW2901 - the loop goes on from its own counter, as in Python
        total += k
    out[i] = total


def test_ranges_as_in_python(device: Device) -> None:
    made = device.buffer_from_array(np.full(16, 77, np.int32))
    ranges(made)
    expected = []
    for i in range(16):
        total = 0
        for k in range(10, i, -3):
            if k == 4:
                continue
            for j in range(k, k + 5, 2):
                if j > 9:
                    break
                total += j
            total += 100
        expected.append(total)
    assert made.read().tolist() == expected


@gpu_kernel
def integers(a: Array[i32], b: Array[i32], out: Array2[i32]) -> None:
    i = global_id.x
    if i < len(a):
        out[i, 0] = a[i] // b[i]
        out[i, 1] = a[i] - a[i] // b[i] * b[i]
        out[i, 2] = a[i] << b[i]
        out[i, 3] = a[i] >> b[i]
        out[i, 4] = a[i] * b[i] + 2147483647
        out[i, 5] = -a[i] ^ ~b[i] & 12 | a[i]
        out[i, 6] = i32(u32(a[i]) // u32(max(b[i], 1)) >> 1)
        out[i, 7] = min(abs(a[i]), b[i], 7) + i32(a[i] < b[i] <= 5)


def test_integers_follow_wgsl(device: Device) -> None:
    a = np.array([7, -7, 7, -7, 0, 2**31 - 1, -(2**31), 5, -9, 1], np.int32)
    b = np.array([2, 2, -2, -2, 5, 3, 3, 31, 4, 33], np.int32)
    out = device.buffer_from_array(np.full((10, 8), 77, np.int32))
    integers(device.buffer_from_array(a), device.buffer_from_array(b), out)
    with np.errstate(over="ignore"):
        quotient = np.trunc(a.astype(float) / b).astype(np.int32)
        unsigned = a.view(np.uint32) // np.maximum(b, 1).view(np.uint32) >> 1
        expected = [
            quotient,
            a - quotient * b,
            a << (b & 31),
            a >> (b & 31),
            a * b + np.int32(2**31 - 1),
            -a ^ ~b & 12 | a,
            unsigned.view(np.int32),
            np.minimum(np.minimum(np.abs(a), b), 7) + ((a < b) & (b <= 5)),
        ]
    np.testing.assert_array_equal(out.read().T, np.array(expected, np.int32))


@gpu_kernel
def blend(a: Array[f32], b: Array[f32], amount: f32, flip: bool) -> Array[f32]:
    low, high = (b, a) if flip else (a, b)
    if low > high:
        return high
    return low + amount * (high - low)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((300,), (300,)),
        ((7, 5), (5,)),
        ((7, 1), (1, 5)),
        ((3, 4, 5), (4, 1)),
        ((6,), (1, 1)),
        ((), (4,)),
    ],
)
def test_elementwise(device: Device, one: tuple[int, ...], other: tuple[int, ...]) -> None:
    a, b = floats(*one), floats(*other)
    made = blend(device.buffer_from_array(a), device.buffer_from_array(b), 0.25, True)
    expected = np.where(b > a, a, b + np.float32(0.25) * (a - b))
    assert made.shape == expected.shape
    np.testing.assert_allclose(made.read(), expected, rtol=1e-6, atol=1e-6)


@gpu_kernel
def functions(source: Array[f32], made: Array[f32]) -> None:
    i = global_id.x
    x = source[i]
    y = math.sqrt(abs(x)) + np.sin(x) * math.pi
    y += math.floor(x) + np.clip(x, -1, 1) + np.where(x > 0, x, 2.0)
    made[i] = y + math.hypot(x, 1.0) + math.fmod(x, 0.7) + round(x) + x**3 + math.log10(2.0)


def test_functions_of_math_and_numpy(device: Device) -> None:
    x = floats(1024)
    wide = x.astype(float)
    expected = np.sqrt(np.abs(wide)) + np.sin(wide) * math.pi + np.floor(wide)
    expected += np.clip(wide, -1, 1) + np.where(wide > 0, wide, 2) + np.hypot(wide, 1)
    expected += np.fmod(wide, np.float32(0.7)) + np.round(wide) + wide**3 + math.log10(2)
    made = device.buffer_from_array(np.full(1024, np.nan, np.float32))
    functions(device.buffer_from_array(x), made)
    # WGSL's sin is within 2^-11; fmod may be off by one quotient where x is near a multiple.
    near = np.abs(np.fmod(np.abs(wide), 0.7) - 0.35) < 0.3499
    np.testing.assert_allclose(made.read()[near], expected[near], rtol=1e-4, atol=5e-3)


@gpu_kernel
def write_bits(x: Array[f32], made: Array[u32]) -> None:
    made[global_id.x] = bitcast(u32, x[global_id.x]) ^ 1


def test_bits(device: Device) -> None:
    x = floats(256)
    made = device.buffer_from_array(np.zeros(256, np.uint32))
    write_bits(device.buffer_from_array(x), made)
    np.testing.assert_array_equal(made.read(), x.view(np.uint32) ^ 1)


@gpu_kernel(workgroup_size=1)
def many(x: Array[u32]) -> None:
    i = global_id.x
    if i < len(x):
        x[i] = i


def test_more_workgroups_than_an_axis_has(device: Device) -> None:
    """They are spread over two axes."""
    x = device.buffer_from_array(np.zeros(70001, np.uint32))
    many(x)
    np.testing.assert_array_equal(x.read(), np.arange(70001))


@gpu_kernel
def no_size(x: Array[f32]) -> None:
    x[workgroup_id.x] = 1.0


@gpu_kernel
def fill(x: Array[u32], n: u32) -> None:
    i = global_id.x
    if i < len(x):
        x[i] = n


def test_calls_that_do_not_fit() -> None:
    device = Device.null()
    x = device.buffer(f32, 4)
    with pytest.raises(ArgumentError, match="no array tells the size of the grid"):
        no_size(x)
    with pytest.raises(ArgumentError, match="y is missing"):
        saxpy(1.0, x)
    with pytest.raises(ArgumentError, match="takes 3 arguments, got 4"):
        saxpy(1.0, x, x, x)
    with pytest.raises(ArgumentError, match="has no argument z"):
        saxpy(1.0, x, z=x)
    with pytest.raises(ArgumentError, match="a must be a number, got 'one'"):
        saxpy("one", x, device.buffer(f32, 4))
    with pytest.raises(ArgumentError, match=r"kernel fill: n must be from 0 to 4294967295 \(u32\)"):
        fill(device.buffer(u32, 4), -1)
    with pytest.raises(ArgumentError, match="x must be a Buffer, got ndarray"):
        saxpy(1.0, np.ones(4), x)
    with pytest.raises(DTypeError, match="x must have elements of f32"):
        saxpy(1.0, device.buffer(i32, 4), x)
    with pytest.raises(ShapeError, match="x must have 1 axes"):
        saxpy(1.0, device.buffer(f32, (4, 4)), x)
    with pytest.raises(ShapeError, match="do not broadcast"):
        blend(device.buffer(f32, 3), x, 1.0, False)
    with pytest.raises(ArgumentError, match="another array on"):
        saxpy(1.0, Device.null().buffer(f32, 4), x)
