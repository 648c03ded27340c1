"""Sorting and counting: histograms, prefix sums, and what is built of them."""

from __future__ import annotations

import numpy as np

from gpucore import (
    Array,
    Buffer,
    atomic_add,
    barrier,
    global_id,
    gpu_function,
    gpu_kernel,
    local_index,
    shared,
    u32,
    workgroup_id,
)

__all__ = ["bitonic_sort", "compact", "histogram", "prefix_sum", "radix_sort", "run_lengths"]

LANES = 256
DIGITS = 16


@gpu_kernel(workgroup_size=LANES)
def histogram(x: Array[u32], bins: Array[u32]) -> None:
    """Count the lowest bytes, first in the workgroup's own bins."""
    own = shared(u32, LANES)
    own[local_index] = 0
    barrier()
    i = global_id.x
    if i < len(x):
        atomic_add(own[x[i] & 255], 1)
    barrier()
    atomic_add(bins[local_index], own[local_index])


@gpu_function
def scan_tile(tile: Array[u32], value: u32) -> u32:
    """Return the sum of the values of this invocation and those before (Hillis and Steele 1986)."""
    total = value
    tile[local_index] = total
    barrier()
    reach = 1
    while reach < LANES:
        if local_index >= reach:
            total += tile[local_index - reach]
        barrier()
        tile[local_index] = total
        barrier()
        reach *= 2
    return total


@gpu_kernel(workgroup_size=LANES)
def scan_tiles(x: Array[u32], sums: Array[u32], totals: Array[u32]) -> None:
    """Add up each tile of the array from its start."""
    tile = shared(u32, LANES)
    i = global_id.x
    total = scan_tile(tile, x[i] if i < len(x) else u32(0))
    if i < len(sums):
        sums[i] = total
    if local_index == LANES - 1:
        totals[workgroup_id.x] = total


@gpu_kernel(workgroup_size=LANES)
def add_before(totals: Array[u32], sums: Array[u32]) -> None:
    """Add what the tiles before hold together."""
    i = global_id.x
    if i < len(sums) and workgroup_id.x > 0:
        sums[i] += totals[workgroup_id.x - 1]


def prefix_sum(x: Buffer[u32]) -> Buffer[u32]:
    """Return the sums of all values up to each, itself included."""
    tiles = -(-x.size // LANES)
    sums, totals = x.device.buffer(u32, x.size), x.device.buffer(u32, tiles)
    scan_tiles(x, sums, totals)
    if tiles > 1:
        add_before(prefix_sum(totals), sums)
    return sums


@gpu_kernel(workgroup_size=LANES)
def count_digits(shift: u32, x: Array[u32], counts: Array[u32]) -> None:
    """Count each tile's digits; the counts of one digit stand together."""
    own = shared(u32, DIGITS)
    if local_index < DIGITS:
        own[local_index] = 0
    barrier()
    i = global_id.x
    if i < len(x):
        atomic_add(own[x[i] >> shift & (DIGITS - 1)], 1)
    barrier()
    if local_index < DIGITS:
        tiles = u32(len(counts)) // DIGITS
        counts[local_index * tiles + workgroup_id.x] = own[local_index]


@gpu_kernel(workgroup_size=LANES)
def scatter(shift: u32, x: Array[u32], ends: Array[u32], y: Array[u32]) -> None:
    """Move each value behind those with smaller digits, and equal ones before it."""
    digits = shared(u32, LANES)
    own = shared(u32, DIGITS)
    if local_index < DIGITS:
        own[local_index] = 0
    barrier()
    i = global_id.x
    digit = DIGITS
    if i < len(x):
        digit = x[i] >> shift & (DIGITS - 1)
        atomic_add(own[digit], 1)
    digits[local_index] = digit
    barrier()
    if i < len(x):
        before = 0
        for k in range(local_index):
            before += u32(digits[k] == digit)
        tiles = u32(len(ends)) // DIGITS
        y[ends[digit * tiles + workgroup_id.x] - own[digit] + before] = x[i]


def radix_sort(x: Buffer[u32]) -> Buffer[u32]:
    """Return values in order: a stable sort by each digit of four bits."""
    counts = x.device.buffer(u32, DIGITS * -(-x.size // LANES))
    for shift in range(0, 32, 4):
        y = x.device.buffer(u32, x.size)
        count_digits(shift, x, counts)
        scatter(shift, x, prefix_sum(counts), y)
        x = y
    return x


@gpu_kernel
def pad(x: Array[u32], y: Array[u32]) -> None:
    """Copy values, then the greatest number."""
    i = global_id.x
    if i < len(y):
        y[i] = x[i] if i < len(x) else 0xFFFFFFFF


@gpu_kernel
def exchange(block: u32, far: u32, x: Array[u32]) -> None:
    """Put pairs at a distance in order; the order turns with each block."""
    i = global_id.x
    j = i ^ far
    if i < len(x) and j > i:
        a, b = x[i], x[j]
        if (a > b) == (i & block == 0):
            x[i] = b
            x[j] = a


def bitonic_sort(x: Buffer[u32]) -> Buffer[u32]:
    """Return values in order by Batcher's network (1968); it takes a power of two of them."""
    y = x.device.buffer(u32, 1 << max(x.size - 1, 0).bit_length())
    pad(x, y)
    block = 2
    while block <= y.size:
        far = block // 2
        while far:
            exchange(block, far, y)
            far //= 2
        block *= 2
    return y


@gpu_kernel
def mark(least: u32, x: Array[u32], marks: Array[u32]) -> None:
    """Mark the values that stay."""
    i = global_id.x
    if i < len(x):
        marks[i] = u32(x[i] >= least)


@gpu_kernel
def move_marked(x: Array[u32], marks: Array[u32], sums: Array[u32], y: Array[u32]) -> None:
    """Move each marked value to its place among them."""
    i = global_id.x
    if i < len(x) and marks[i] != 0:
        y[sums[i] - 1] = x[i]


def compact(x: Buffer[u32], least: int) -> tuple[Buffer[u32], int]:
    """Return the values of at least ``least`` in their order, and how many there are."""
    marks, y = x.device.buffer(u32, x.size), x.device.buffer(u32, x.size)
    mark(least, x, marks)
    sums = prefix_sum(marks)
    move_marked(x, marks, sums, y)
    return y, int(sums.read()[-1])


@gpu_kernel
def mark_starts(x: Array[u32], starts: Array[u32]) -> None:
    """Mark where a value differs from the one before."""
    i = global_id.x
    if i < len(x):
        starts[i] = 1
        if i > 0:
            starts[i] = u32(x[i] != x[i - 1])


@gpu_kernel
def write_runs(
    x: Array[u32], starts: Array[u32], sums: Array[u32], values: Array[u32], lengths: Array[u32]
) -> None:
    """Write each run's value, and count its elements."""
    i = global_id.x
    if i < len(x):
        run = sums[i] - 1
        atomic_add(lengths[run], 1)
        if starts[i] != 0:
            values[run] = x[i]


def run_lengths(x: Buffer[u32]) -> tuple[Buffer[u32], Buffer[u32], int]:
    """Return the values of runs of equal ones, their lengths, and how many runs there are."""
    device, n = x.device, x.size
    starts, values = device.buffer(u32, n), device.buffer(u32, n)
    lengths = device.buffer_from_array(np.zeros(n), u32)
    mark_starts(x, starts)
    sums = prefix_sum(starts)
    write_runs(x, starts, sums, values, lengths)
    return values, lengths, int(sums.read()[-1])
