"""What is the same in each round of a loop is computed before it, where that changes nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest

import gpucore
from gpucore import Array, Device, barrier, f32, global_id, gpu_function, gpu_kernel, i32, u32
from gpucore.compiler import ir
from gpucore.compiler.passes import invariants
from tests.gpucore.python_kernels.drawing import differences


@gpu_function
def weight(x: Array[f32], i: u32) -> f32:
    """Return a value of an array that nobody writes."""
    return math.exp(-x[i])


@gpu_kernel
def moved(x: Array[f32], y: Array[f32], n: u32):
    i = global_id.x
    if i < len(y):
        total = 0.0
        for k in range(n):
            total += math.sqrt(x[i]) * f32(k) + weight(x, i)
        y[i] = total


def test_what_is_fixed_is_computed_before(device: Device) -> None:
    text = moved.source()
    before, _, loop = text.partition("for (")
    assert "sqrt(" in before
    assert "sqrt(" not in loop
    assert "weight(" not in loop
    assert "if 0u < n {" in before
    x = np.linspace(0, 4, 70, dtype=np.float32)
    for n in (0, 1, 5):
        y = device.buffer_from_array(np.full(70, np.nan, np.float32))
        moved(device.buffer_from_array(x), y, n)
        rounds = np.arange(n)[:, None]
        expected = (np.sqrt(x) * rounds + np.exp(-x)).sum(0) if n else 0 * x
        np.testing.assert_allclose(y.read(), expected, rtol=1e-5)


def test_no_round_computes_nothing() -> None:
    """Else the sanitizer would report the root of a number below 0, and what is out of bounds."""
    device = Device.null()
    minus = device.buffer_from_array(np.full(4, -1, np.float32))
    with gpucore.sanitize():
        moved(minus, device.buffer_from_array(np.zeros(4, np.float32)), 0)
        moved(minus, device.buffer_from_array(np.zeros(9, np.float32)), 0)


@gpu_kernel
def sometimes(x: Array[f32], y: Array[f32], n: u32):
    i = global_id.x
    if i < len(y):
        for k in range(n):
            if x[i] > 0:
                y[i] += math.log(x[i])
            if k > 3 and 1 / x[i] > 2:
                break
            y[i] += math.exp(x[i])


@gpu_kernel
def written(x: Array[f32], y: Array[f32]):
    i = global_id.x
    for k in range(9):
        y[i] = math.sqrt(y[i]) + x[i]
        if k == 3:
            x[i] = 7.0


@gpu_kernel
def together(x: Array[f32], y: Array[f32], n: u32):
    i = global_id.x
    for _ in range(n):
        y[i] = math.sqrt(x[i])
        barrier()


@pytest.mark.parametrize("kernel", [sometimes, written, together])
def test_what_may_change_or_not_run_stays(kernel: gpucore.GpuKernel) -> None:
    assert "fixed" not in kernel.source()


@gpu_kernel
def nested(x: Array[f32], y: Array[f32]):
    i = global_id.x
    if i < len(y):
        for j in range(3):
            for k in range(4):
                y[i] += math.sqrt(x[i]) * f32(j) / f32(j + 1) + f32(k)


def test_loops_in_loops(device: Device) -> None:
    """Loops that surely have a round need no test: the root leaves both, the quotient one."""
    before, _, loops = nested.source().partition("for (")
    assert "sqrt(" in before
    assert loops.index("/") < loops.index("for (")
    x = np.linspace(0, 4, 70, dtype=np.float32)
    y = device.buffer_from_array(np.zeros(70, np.float32))
    nested(device.buffer_from_array(x), y)
    factor = 4 * (1 / 2 + 2 / 3)
    np.testing.assert_allclose(y.read(), np.sqrt(x) * factor + 18, rtol=1e-5)


@gpu_kernel
def backwards(y: Array[i32], n: i32, d: i32):
    i = global_id.x
    if i < len(y):
        for k in range(5, n, -2):
            y[i] += n // d + k


def test_a_loop_that_counts_down(device: Device) -> None:
    assert "5i > n" in backwards.source()
    for n in (-3, 5, 9):
        y = device.buffer_from_array(np.zeros(3, np.int32))
        backwards(y, n, 2)
        assert y.read().tolist() == [sum(int(n / 2) + k for k in range(5, n, -2))] * 3


def _is_no_leaf(node: ir.Expression) -> bool:
    return isinstance(node, ir.Binary | ir.Call | ir.Unary | ir.Convert)


@pytest.mark.parametrize("first", range(20000, 20040, 20))
def test_random_programs_where_all_is_moved(
    device: Device, first: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also what is cheap; integers wrap and divisions by 0 have a value, so results stay."""
    monkeypatch.setattr(invariants, "_is_costly", _is_no_leaf)
    monkeypatch.setenv("GPUCORE_KERNEL_CACHE", "")
    assert differences(device, list(range(first, first + 20))) == []
