"""The compiler's passes change no result: what they fold, drop, copy and place."""

from __future__ import annotations

import numpy as np

from gpucore import Array, Device, atomic_add, f32, global_id, gpu_kernel, i32, u32

LEAST = -(2**31)


@gpu_kernel
def compare_constants(y: Array[u32]):
    three, same, four = u32(3), u32(3), u32(4)
    if global_id.x == 0:
        y[0] = 1 if three < same else 0
        y[1] = 1 if three <= same else 0
        y[2] = 1 if three > same else 0
        y[3] = 1 if three >= same else 0
        y[4] = 1 if three == same else 0
        y[5] = 1 if three != same else 0
        y[6] = 1 if three < four else 0
        y[7] = 1 if three <= four else 0
        y[8] = 1 if four <= three else 0
        y[9] = 1 if three >= four else 0


def test_comparisons_of_constants(device: Device) -> None:
    y = device.buffer_from_array(np.full(10, 9, np.uint32))
    compare_constants[1](y)
    assert y.read().tolist() == [0, 1, 0, 1, 1, 0, 1, 1, 0, 0]
    assert "select" not in compare_constants.source("wgsl"), "they are not folded"


@gpu_kernel
def count_without_a_look(x: Array[f32], counts: Array[u32]):
    i = global_id.x
    if i < len(x):
        before = atomic_add(counts[0], 2)  # noqa: F841


def test_an_atomic_whose_value_nobody_reads_still_acts(device: Device) -> None:
    counts = device.buffer_from_array(np.zeros(1, np.uint32))
    count_without_a_look(device.buffer_from_array(np.zeros(1000, np.float32)), counts)
    assert counts.read().tolist() == [2000]


@gpu_kernel
def negate_by_division(x: Array[i32]) -> Array[i32]:
    return x // -1


def test_the_least_integer_over_minus_one(device: Device) -> None:
    """Engines differ for it, so that no division by -1 may be left in the WGSL."""
    x = np.array([LEAST, LEAST + 1, -1, 0, 7], np.int32)
    found = negate_by_division(device.buffer_from_array(x)).read()
    np.testing.assert_array_equal(found, [LEAST, 2**31 - 1, 1, 0, -7])
    assert "/ -" not in negate_by_division.source("wgsl")
    assert "/ (-" not in negate_by_division.source("wgsl")


@gpu_kernel
def leave_or_go_on(x: Array[f32], y: Array[f32]):
    i = global_id.x
    if i < len(y):
        if x[i] >= 0:
            root = x[i] + 1
        else:
            return
        y[i] = root * 2


@gpu_kernel
def search(x: Array[u32], y: Array[u32]):
    i = global_id.x
    if i < len(y):
        k = i
        while True:
            found = x[k % len(x)]
            if found > 10:
                break
            k += 1
        y[i] = found


def test_a_value_of_an_inner_block_is_read_behind_it(device: Device) -> None:
    x = np.array([1, -1, 4, -4, 0], np.float32)
    y = device.buffer_from_array(np.full(5, 7, np.float32))
    leave_or_go_on(device.buffer_from_array(x), y)
    np.testing.assert_array_equal(y.read(), np.where(x >= 0, (x + 1) * 2, 7))


def test_a_value_of_a_loop_is_read_behind_it(device: Device) -> None:
    x = np.array([1, 20, 3, 4, 50], np.uint32)
    y = device.buffer_from_array(np.zeros(5, np.uint32))
    search(device.buffer_from_array(x), y)
    assert y.read().tolist() == [20, 20, 50, 50, 50]
