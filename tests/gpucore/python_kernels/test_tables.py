"""Tuples of known numbers are tables: a computed index takes one of them."""

from __future__ import annotations

import numpy as np
import pytest

import gpucore
from gpucore import (
    Array,
    Device,
    PythonKernelError,
    f32,
    global_id,
    gpu_function,
    gpu_kernel,
    i32,
    u32,
)

EDGES = (0, 1, 1, 2, 1, 2, 2, 3)
STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))
ACROSS = (1, 0, -1, 0)
WEIGHTS = (0.25, 0.5, 0.25)


@gpu_function
def weight(k: u32) -> f32:
    """Return a weight of the table of the module."""
    return WEIGHTS[k]


@gpu_kernel
def look_up(x: Array[u32], count: Array[u32], step: Array[i32], share: Array[f32]):
    i = global_id.x
    if i < len(x):
        count[i] = EDGES[x[i]] + EDGES[7 - x[i]]
        step[i] = ACROSS[x[i] % 4]
        share[i] = weight(x[i] % 3) * f32((1, 2, 4)[i32(x[i]) // 3])


def test_tables(device: Device) -> None:
    x = np.arange(8, dtype=np.uint32)[::-1].copy()
    out = [
        device.buffer_from_array(np.zeros(8, kind)) for kind in (np.uint32, np.int32, np.float32)
    ]
    look_up(device.buffer_from_array(x), *out)
    edges = np.array(EDGES)
    np.testing.assert_array_equal(out[0].read(), edges[x] + edges[7 - x])
    np.testing.assert_array_equal(out[1].read(), np.array(ACROSS)[x % 4])
    np.testing.assert_array_equal(
        out[2].read(), np.array(WEIGHTS)[x % 3] * np.array([1, 2, 4])[x // 3]
    )
    assert look_up.source().count("const table") == 4, "equal tables are one"


def test_the_sanitizer_sees_an_index_past_the_end() -> None:
    device = Device.null()
    out = [
        device.buffer_from_array(np.zeros(8, kind)) for kind in (np.uint32, np.int32, np.float32)
    ]
    nine = device.buffer_from_array(np.full(8, 8, np.uint32))
    with gpucore.sanitize(raises=False) as report:
        look_up(nine, *out)
    assert "value[8] is outside" in str(report), report


@gpu_kernel
def of_tuples(x: Array[i32]):
    x[0] = STEPS[x[1]][0]


@gpu_kernel
def below_zero(x: Array[u32]):
    x[0] = ACROSS[x[1]]


@pytest.mark.parametrize(
    ("kernel", "message"),
    [(of_tuples, "element of known numbers"), (below_zero, "-1 does not fit u32")],
)
def test_what_is_no_table(kernel: gpucore.GpuKernel, message: str) -> None:
    with pytest.raises(PythonKernelError, match=message):
        kernel.source()
