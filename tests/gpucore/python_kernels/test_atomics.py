"""Atomic functions that WGSL lacks, on every engine and in the sanitizer."""

from __future__ import annotations

import math

import numpy as np
import pytest

import gpucore
from gpucore import (
    Array,
    Array2,
    Device,
    atomic_add,
    atomic_compare_exchange,
    atomic_exchange,
    atomic_max,
    atomic_min,
    atomic_sub,
    barrier,
    f32,
    global_id,
    gpu_function,
    gpu_kernel,
    i32,
    local_index,
    shared,
    u32,
    workgroup_id,
)
from gpucore.interpreter import EndlessLoopError, statements

RNG = np.random.default_rng(72)


def whole_floats(count: int) -> np.ndarray:
    """Return floats whose sums are exact in any order."""
    return RNG.integers(-50, 50, count).astype(np.float32)


@gpu_function
def least(x: Array[f32], value: f32) -> f32:
    return atomic_min(x[3], value)


# The names are those of the functions that are written for them.
@gpu_kernel
def gather(value: Array[f32], index: Array[f32]) -> None:
    i = global_id.x
    if i < len(value):
        old = value[i]
        atomic_add(index[0], old)
        atomic_sub(index[1], old)
        atomic_max(index[2], old)
        if least(index, old) < math.inf:
            index[4] = index[4] + 0 * old
        if atomic_exchange(index[5], old) == 0.25:
            index[6] = 1


@pytest.mark.parametrize("sanitized", [False, True])
def test_floats_are_gathered(device: Device, sanitized: bool) -> None:
    x = whole_floats(600)
    start = np.float32([0, 0, -np.inf, np.inf, 3, 0.25, 0])
    values, found = device.buffer_from_array(x), device.buffer_from_array(start)
    if sanitized:
        with gpucore.sanitize(raises=False):
            gather(values, found)
    else:
        gather(values, found)
    expected = [x.sum(), -x.sum(), x.max(), x.min(), 3]
    assert found.read()[:5].tolist() == expected
    assert found.read()[5] in x
    assert found.read()[6] == 1


@gpu_kernel(workgroup_size=64)
def alternate(x: Array[f32], y: Array[f32]) -> None:
    part = shared(f32, 1, 2)
    if local_index < 2:
        part[0, local_index] = 0.0
    barrier()
    atomic_add(part[0, local_index % 2], x[global_id.x])
    barrier()
    if local_index == 0:
        y[workgroup_id.x] = part[0, 0] - part[0, 1]


def test_floats_in_shared_memory(device: Device) -> None:
    x = whole_floats(256)
    y = device.buffer(f32, 4)
    alternate[4](device.buffer_from_array(x), y)
    np.testing.assert_array_equal(y.read(), x.reshape(4, 32, 2).sum(1) @ [1, -1])


@gpu_kernel
def scatter(table: Array2[f32], count: i32) -> None:
    i = i32(global_id.x)
    if i < count:
        atomic_add(table[i % 2, i % 3], 1)


def test_floats_of_two_axes(device: Device) -> None:
    table = device.buffer_from_array(np.zeros((2, 3), np.float32))
    scatter[1](table, 60)
    assert (table.read() == 10).all()


@gpu_kernel
def claim(owners: Array[u32], wins: Array[u32], level: Array[f32], seen: Array[f32]) -> None:
    i = global_id.x
    if i < len(seen):
        if atomic_compare_exchange(owners[i % 3], 0, i + 1) == 0:
            atomic_add(wins[0], 1)
        seen[i] = atomic_compare_exchange(level[0], 1.5, f32(i))


def test_one_invocation_alone_exchanges(device: Device) -> None:
    owners, wins = (device.buffer_from_array(np.zeros(n, np.uint32)) for n in (3, 1))
    level, seen = device.buffer_from_array(np.float32([1.5])), device.buffer(f32, 500)
    claim(owners, wins, level, seen)
    assert wins.read()[0] == 3
    assert ((owners.read() - 1) % 3).tolist() == [0, 1, 2]
    assert (seen.read() == 1.5).sum() == 1
    assert seen.read()[int(level.read()[0])] == 1.5


@gpu_kernel
def beyond(x: Array[f32], n: u32) -> None:
    i = global_id.x
    if i < n:
        atomic_max(x[i], f32(i))


def test_an_element_outside_is_found_and_ends(device: Device) -> None:
    x = device.buffer_from_array(np.zeros(4, np.float32))
    beyond[1](x, 9)
    assert x.read()[:3].tolist() == [0, 1, 2]
    with gpucore.sanitize(raises=False) as session:
        beyond[1](x, 9)
    (finding,) = session.findings
    assert (finding.kind, finding.source.text.strip()) == ("bounds", "atomic_max(x[i], f32(i))")


@gpu_kernel
def wait(x: Array[u32]) -> None:
    while x[0] == 0:
        x[1] = 1


def test_a_loop_without_end_is_shown_in_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statements, "_MOST_ROUNDS", 100)
    x = Device.null().buffer_from_array(np.zeros(2, np.uint32))
    with (
        gpucore.sanitize(raises=False),
        pytest.raises(EndlessLoopError, match=r"test_atomics.py:\d+:5 does not end"),
    ):
        wait[1](x)
