"""A barrier orders buffers where the kernel touches one that it writes before it."""

from __future__ import annotations

from typing import Any

import pytest

from gpucore import (
    Array,
    atomic_add,
    barrier,
    f32,
    gpu_function,
    gpu_kernel,
    local_index,
    shared,
    u32,
)


@gpu_kernel
def writes_after(x: Array[f32], y: Array[f32]) -> None:
    """Turn a workgroup's numbers round."""
    tile = shared(f32, 256)
    tile[local_index] = x[local_index]
    barrier()
    y[local_index] = tile[255 - local_index]


@gpu_kernel
def writes_before(y: Array[f32]) -> None:
    """Read what a neighbour wrote."""
    y[local_index] = f32(local_index)
    barrier()
    if y[255 - local_index] > 9:
        y[local_index + 256] = 1


@gpu_kernel
def reads_before(y: Array[f32]) -> None:
    """Turn a buffer's numbers round in place."""
    own = y[255 - local_index]
    barrier()
    y[local_index] = own


@gpu_kernel
def writes_in_a_loop(y: Array[f32], rounds: u32) -> None:
    """Hand numbers on, again and again."""
    tile = shared(f32, 256)
    for _ in range(rounds):
        tile[local_index] = f32(local_index)
        barrier()
        y[local_index] = tile[255 - local_index]


@gpu_kernel
def counts_before(y: Array[u32]) -> None:
    """Read a count after all have counted."""
    atomic_add(y[0], 1)
    barrier()
    if local_index == 0:
        y[1] = y[0]


@gpu_function
def halted(x: Array[f32]) -> f32:
    """Wait, then read."""
    barrier()
    return x[0]


@gpu_kernel
def halts_in_a_function(x: Array[f32], y: Array[f32]) -> None:
    """Read after a barrier that a function has."""
    y[local_index] = halted(x)


@gpu_function
def handed_on(tile: Array[f32], value: f32) -> f32:
    """Return the value of the neighbour across the workgroup."""
    tile[local_index] = value
    barrier()
    return tile[255 - local_index]


@gpu_kernel
def calls_before_writing(x: Array[f32], y: Array[f32]) -> None:
    """Write after all barriers that functions have."""
    tile = shared(f32, 256)
    value = handed_on(tile, x[local_index])
    y[local_index] = value


@gpu_kernel
def calls_after_writing(x: Array[f32], y: Array[f32]) -> None:
    """Call the same function once before a buffer is written, and once after."""
    tile = shared(f32, 256)
    value = handed_on(tile, x[local_index])
    y[local_index] = value
    again = handed_on(tile, y[255 - local_index])
    y[local_index + 256] = again


@gpu_kernel
def calls_in_a_loop(y: Array[f32], rounds: u32) -> None:
    """Call a function that waits, and write what another round reads."""
    tile = shared(f32, 256)
    for _ in range(rounds):
        value = handed_on(tile, f32(local_index))
        y[local_index] = value


@gpu_function
def written(y: Array[f32], value: f32) -> f32:
    """Write a number and return it."""
    y[local_index] = value
    return value


@gpu_kernel
def writes_in_a_function(y: Array[f32]) -> None:
    """Wait after what a function wrote."""
    value = written(y, 2.0)
    barrier()
    y[local_index + 256] = value + y[255 - local_index]


@pytest.mark.parametrize(
    ("kernel", "orders"),
    [
        (writes_after, False),
        (writes_before, True),
        (reads_before, True),
        (writes_in_a_loop, True),
        (counts_before, True),
        (halts_in_a_function, True),
        (calls_before_writing, False),
        (calls_after_writing, True),
        (calls_in_a_loop, True),
        (writes_in_a_function, True),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_a_barrier_orders_buffers_where_it_must(kernel: Any, orders: bool) -> None:
    text = kernel.source()
    assert "workgroupBarrier();" in text
    assert ("storageBarrier();" in text) == orders
