"""What users of CUDA, Numba, Taichi and Warp write first, on every engine, against NumPy."""

from __future__ import annotations

import enum
import math

import numpy as np
import pytest

import gpucore
from gpucore import (
    Array,
    Array2,
    Const,
    Device,
    f16,
    f32,
    global_id,
    gpu_function,
    gpu_kernel,
    i32,
    num_workgroups,
    u32,
    vec2f,
    workgroup_size,
)
from tests.conftest import skip_without_f16

RNG = np.random.default_rng(71)
GAIN = np.float32(2.5)
MOVES = ((1, 0), (0, 1), (-1, 0), (0, -1))
WEIGHTS = (0.5, 0.25, 0.125, 0.0625)


class Mode(enum.IntEnum):
    ADD = 1
    MULTIPLY = 2


# Loops


@gpu_kernel
def double_all(x: Array[f32]) -> None:
    for i in range(global_id.x, len(x), num_workgroups.x * workgroup_size.x):
        x[i] *= 2


def test_a_loop_strides_over_the_grid(device: Device) -> None:
    x = RNG.random(2000, np.float32)
    buffer = device.buffer_from_array(x)
    double_all[3](buffer)
    np.testing.assert_array_equal(buffer.read(), 2 * x)


@gpu_kernel
def count_rounds(y: Array[i32], start: i32, stop: i32, step: i32) -> None:
    i = global_id.x
    if i < len(y):
        rounds, last = 0, 0
        for k in range(start, stop, step):
            rounds += 1
            last = k
            if rounds > 100:
                break
        y[i] = rounds * 1000 + last


@pytest.mark.parametrize(
    ("start", "stop", "step"), [(0, 10, 3), (10, 0, -3), (0, 10, -1), (10, 0, 1), (3, 3, 2)]
)
def test_a_step_may_be_computed(device: Device, start: int, stop: int, step: int) -> None:
    y = device.buffer(i32, 1)
    count_rounds(y, start, stop, step)
    rounds = list(range(start, stop, step))
    assert y.read()[0] == len(rounds) * 1000 + (rounds[-1] if rounds else 0)


@pytest.mark.parametrize("stop", [10, -10])
def test_a_computed_step_of_0_has_no_round(device: Device, stop: int) -> None:
    y = device.buffer(i32, 1)
    count_rounds(y, 0, stop, 0)
    assert y.read()[0] == 0


@gpu_kernel
def blur_wrapped(x: Array2[f32], y: Array2[f32]) -> None:
    column, row = global_id.xy
    if row < x.shape[0] and column < x.shape[1]:
        height, width = i32(x.shape[0]), i32(x.shape[1])
        total = 0.0
        for (down, right), weight in zip_of_moves:
            i = (i32(row) + down + height) % height
            total += weight * x[i, (i32(column) + right + width) % width]
        y[row, column] = total


zip_of_moves = tuple(zip(MOVES, WEIGHTS, strict=True))


def test_a_loop_goes_over_a_tuple_of_the_module(device: Device) -> None:
    x = RNG.random((9, 13), np.float32)
    y = device.buffer(f32, x.shape)
    blur_wrapped(device.buffer_from_array(x), y)
    expected = sum(w * np.roll(x, (-i, -j), (0, 1)) for (i, j), w in zip_of_moves)
    np.testing.assert_allclose(y.read(), expected, rtol=1e-6)


# Functions


@gpu_function
def mix_with(a: f32, b: f32, *, share: f32 = 0.25, gain: f32 = GAIN) -> f32:
    return gain * (a + (b - a) * share)


@gpu_kernel
def mixed(a: Array[f32], b: Array[f32]) -> Array[f32]:
    return mix_with(b=b, a=a) - mix_with(a, b, share=0.5, gain=-1)


def test_functions_take_names_and_have_defaults(device: Device) -> None:
    a, b = RNG.random((2, 30), np.float32)
    found = mixed(device.buffer_from_array(a), device.buffer_from_array(b)).read()
    expected = 2.5 * (a + (b - a) * 0.25) + (a + (b - a) * 0.5)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


# Values


@gpu_kernel
def products(x: Array[vec2f], y: Array[f32]) -> None:
    i = global_id.x
    if i < len(y):
        a, b = x[i]
        y[i] = a * b * WEIGHTS[0] * GAIN


def test_a_vector_is_unpacked(device: Device) -> None:
    x = RNG.random((50, 2), np.float32)
    y = device.buffer(f32, 50)
    products(device.buffer_from_array(x), y)
    np.testing.assert_allclose(y.read(), x[:, 0] * x[:, 1] * 1.25, rtol=1e-6)


@gpu_kernel
def ends(x: Array[f32], y: Array[f32]) -> None:
    i = global_id.x
    if i < 1:
        least, greatest = math.inf, -float("inf")
        for k in range(len(x)):
            least = min(least, x[k])
            greatest = max(greatest, x[k])
        y[i] = least
        y[i + 1] = greatest
        y[i + 2] = -np.inf
        y[i + 3] = math.nan
        y[i + 4] = math.inf if len(x) > 0 else 0.0


def test_infinities_and_nan_are_constants(device: Device) -> None:
    x = RNG.random(40, np.float32)
    y = device.buffer(f32, 5)
    ends[1](device.buffer_from_array(x), y)
    expected = [x.min(), x.max(), -math.inf, math.nan, math.inf]
    np.testing.assert_array_equal(y.read(), np.float32(expected))
    with gpucore.sanitize():
        ends[1](device.buffer_from_array(x), y)


@gpu_kernel
def fill_half(x: Array[f16]) -> None:
    i = global_id.x
    if i < len(x):
        x[i] = -math.inf


def test_infinity_is_a_half_too(device: Device) -> None:
    skip_without_f16(device, "f16")
    x = device.buffer(f16, 3)
    fill_half(x)
    assert (x.read() == -np.inf).all()


@gpu_kernel
def combine(x: Array[u32], n: u32, mode: Const[int]) -> Array[u32]:
    if mode == Mode.MULTIPLY:
        return x * n
    return x + n


def test_members_of_enumerations_are_numbers(device: Device) -> None:
    x = device.buffer_from_array(np.arange(4, dtype=np.uint32))
    assert combine(x, 3, Mode.ADD).read().tolist() == [3, 4, 5, 6]
    assert combine(x, 3, np.int32(2)).read().tolist() == [0, 3, 6, 9]


def test_a_changed_tuple_compiles_anew(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    x = device.buffer_from_array(np.ones((1, 2), np.float32))
    y = device.buffer(f32, 1)
    products(x, y)
    monkeypatch.setitem(globals(), "WEIGHTS", (2.0,))
    key = products.key()
    products(x, y)
    assert y.read()[0] == 5
    monkeypatch.setitem(globals(), "WEIGHTS", (3.0,))
    assert products.key() != key


@gpu_kernel
def of_tuples(x: Array[i32], y: Array[i32]) -> None:
    i = global_id.x
    if i < len(x):
        taps, others = (3, 5, 7), (10, 20)
        total = len(taps)
        for k, tap in enumerate(taps):
            total += (k + 1) * tap
        for tap, other in zip(taps, others):  # noqa: B905
            total += tap * other
        y[i] = total if x[i] + 1 in taps else 0
        if x[i] not in (1, 2, x[0]):
            y[i] = -1


def test_enumerate_zip_len_and_in_of_tuples(device: Device) -> None:
    y = device.buffer(i32, 5)
    of_tuples(device.buffer_from_array(np.int32([4, 2, 3, 6, 1])), y)
    total = 3 + 1 * 3 + 2 * 5 + 3 * 7 + 3 * 10 + 5 * 20
    assert y.read().tolist() == [total, total, -1, -1, 0]
