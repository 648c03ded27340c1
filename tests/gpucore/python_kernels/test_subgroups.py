"""Functions of subgroups in kernels in Python, against NumPy, and in the sanitizer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gpucore
from gpucore import (
    Array,
    Array2,
    Device,
    FeatureError,
    KernelTypeError,
    f32,
    global_id,
    gpu_function,
    gpu_kernel,
    i32,
    local_index,
    subgroup_add,
    subgroup_all,
    subgroup_and,
    subgroup_any,
    subgroup_ballot,
    subgroup_broadcast,
    subgroup_broadcast_first,
    subgroup_elect,
    subgroup_exclusive_add,
    subgroup_exclusive_mul,
    subgroup_inclusive_add,
    subgroup_inclusive_mul,
    subgroup_lane,
    subgroup_max,
    subgroup_min,
    subgroup_mul,
    subgroup_or,
    subgroup_shuffle,
    subgroup_shuffle_down,
    subgroup_shuffle_up,
    subgroup_shuffle_xor,
    subgroup_size,
    subgroup_xor,
    u32,
    vec2f,
)
from gpustd.forms import gpu_reduce

SIZE = 256
RNG = np.random.default_rng(26)


def require_subgroups(device: Device) -> None:
    if "subgroups" not in device.features:
        pytest.skip(f"{device!r} has no subgroups")


@gpu_kernel
def numbers(x: Array[i32], out: Array2[i32]) -> None:
    i = global_id.x
    v = x[i]
    out[0, i] = subgroup_add(v)
    out[1, i] = subgroup_mul(v)
    out[2, i] = subgroup_min(v)
    out[3, i] = subgroup_max(v)
    out[4, i] = subgroup_and(v)
    out[5, i] = subgroup_or(v)
    out[6, i] = subgroup_xor(v)
    out[7, i] = subgroup_inclusive_add(v)
    out[8, i] = subgroup_exclusive_add(v)
    out[9, i] = subgroup_inclusive_mul(v)
    out[10, i] = subgroup_exclusive_mul(v)
    out[11, i] = subgroup_broadcast(v, 2)
    out[12, i] = subgroup_broadcast_first(v)
    out[13, i] = subgroup_shuffle(v, subgroup_size - 1 - subgroup_lane)
    out[14, i] = subgroup_shuffle_xor(v, 3)
    out[15, i] = i32(subgroup_any(v == 7))
    out[16, i] = i32(subgroup_all(v > -5))
    out[17, i] = i32(subgroup_elect())
    out[18, i] = bits(subgroup_ballot(v > 0).x)


@gpu_function
def bits(x: u32) -> i32:
    return i32(x)


@gpu_kernel
def lanes(out: Array2[u32]) -> None:
    i = global_id.x
    if i < out.shape[1]:
        out[0, i] = subgroup_lane
        out[1, i] = subgroup_size
        out[2, i] = local_index


def lane_count(device: Device) -> int:
    """Return the size of subgroups: lanes count from 0 in rows of it."""
    out = device.buffer(u32, (3, SIZE))
    lanes[1](out)
    lane, size, index = out.read().astype(int)
    assert (size == size[0]).all()
    np.testing.assert_array_equal(lane, index % size[0])
    return int(size[0])


def expected_numbers(x: np.ndarray, size: int) -> np.ndarray:
    with np.errstate(over="ignore"):
        rows = x.reshape(-1, size)
        each = [np.add, np.multiply, np.minimum, np.maximum]
        each += [np.bitwise_and, np.bitwise_or, np.bitwise_xor]
        found = [np.repeat(f.reduce(rows, axis=1, dtype=np.int32), size) for f in each]
        for function, neutral in ((np.add, 0), (np.multiply, 1)):
            sums = function.accumulate(rows, axis=1, dtype=np.int32)
            shifted = np.concatenate([np.full_like(sums[:, :1], neutral), sums[:, :-1]], 1)
            found += [sums.ravel(), shifted.ravel()]
    found += [np.repeat(rows[:, 2], size), np.repeat(rows[:, 0], size), rows[:, ::-1].ravel()]
    found.append(x[np.arange(len(x)) ^ 3])
    found += [np.repeat((rows == 7).any(1), size), np.repeat((rows > -5).all(1), size)]
    found.append(np.arange(len(x)) % size == 0)
    weights = 1 << np.arange(min(size, 32), dtype=np.int64)
    ballot = ((rows > 0)[:, :32] * weights).sum(1).astype(np.uint32).view(np.int32)
    return np.array([*found, np.repeat(ballot, size)], np.int32)


def run_numbers(device: Device, x: np.ndarray) -> np.ndarray:
    out = device.buffer(i32, (19, SIZE))
    numbers(device.buffer_from_array(x), out)
    return out.read()


def drawn() -> np.ndarray:
    x = RNG.integers(-9, 10, SIZE).astype(np.int32)
    x[:128] = np.abs(x[:128])  # so that a vote is unanimous somewhere
    return x


def test_integers(device: Device) -> None:
    require_subgroups(device)
    x = drawn()
    found = run_numbers(device, x)
    np.testing.assert_array_equal(found, expected_numbers(x, lane_count(device)))


@pytest.mark.parametrize("size", [4, 8, 32, 64])
def test_in_the_sanitizer(device: Device, size: int) -> None:
    require_subgroups(device)
    x = drawn()
    with gpucore.sanitize(subgroup_size=size):
        assert lane_count(device) == size
        found = run_numbers(device, x)
    np.testing.assert_array_equal(found, expected_numbers(x, size))


@gpu_kernel
def vectors(x: Array[vec2f], out: Array[vec2f], total: Array[f32]) -> None:
    i = global_id.x
    v = x[i]
    out[i] = subgroup_shuffle_up(v, 1) - 2 * subgroup_shuffle_down(v, 1)
    step = subgroup_size // 2
    own = v.x + v.y
    while step > 0:
        own += subgroup_shuffle_xor(own, step)
        step //= 2
    total[i] = own


def test_vectors_and_a_tree_of_shuffles(device: Device) -> None:
    require_subgroups(device)
    size = lane_count(device)
    x = RNG.integers(-9, 10, (SIZE, 2)).astype(np.float32)
    out: Any = device.buffer(f32, (SIZE, 2))
    total = device.buffer(f32, SIZE)
    given: Any = device.buffer_from_array(x)
    vectors(given, out, total)
    np.testing.assert_array_equal(total.read(), np.repeat(x.reshape(-1, size * 2).sum(1), size))
    rows = x.reshape(-1, size, 2)
    inner = rows[:, :-2] - 2 * rows[:, 2:]  # the ends are undefined
    np.testing.assert_array_equal(out.read().reshape(rows.shape)[:, 1:-1], inner)


def test_a_device_without_them(monkeypatch: pytest.MonkeyPatch) -> None:
    device = Device.null()
    monkeypatch.setattr(Device, "features", frozenset({"f16"}))
    out = device.buffer(u32, (3, SIZE))
    with pytest.raises(FeatureError, match=r"kernel lanes uses subgroups, which .* does not have"):
        lanes(out)


def test_an_operator_has_none() -> None:
    @gpu_reduce(identity=0.0)
    def total(a: f32, b: f32) -> f32:
        return subgroup_add(a + b)

    with pytest.raises(gpucore.KernelSyntaxError, match="no function of a subgroup"):
        total.source()


@gpu_kernel
def number_as_vote(x: Array[f32]) -> None:
    x[global_id.x] = 1.0 if subgroup_any(x[0]) else 0.0  # type: ignore[arg-type]


@gpu_kernel
def far_lane(x: Array[f32]) -> None:
    x[global_id.x] = subgroup_shuffle(x[0], 128)


@gpu_kernel
def signed_lane(x: Array[f32]) -> None:
    x[global_id.x] = subgroup_shuffle(x[0], i32(global_id.x))


@gpu_kernel
def bits_of_floats(x: Array[f32]) -> None:
    x[global_id.x] = subgroup_xor(x[0])


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        (number_as_vote, "subgroup_any takes a bool, got f32: write a comparison"),
        (far_lane, "takes a lane from 0 to 127, got 128"),
        (signed_lane, "takes u32 second, got i32"),
        (bits_of_floats, "subgroup_xor takes i32, u32, or vectors of them, got f32"),
    ],
)
def test_wrong_use(kernel: gpucore.GpuKernel, message: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(KernelTypeError, match=message):
        kernel.compile()
