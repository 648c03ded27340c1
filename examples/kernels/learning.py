"""What networks and statistics are made of."""

from __future__ import annotations

import math

import numpy as np

from gpucore import (
    Array,
    Array2,
    Array3,
    Array4,
    Buffer,
    atomic_add,
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

__all__ = [
    "black_scholes",
    "convolve",
    "convolve_2d",
    "k_means",
    "layer_norm",
    "nearest_neighbours",
    "softmax",
]

LANES = 64
UNIT = 65536


@gpu_function
def normal_share(x: float) -> float:
    """Return the share of normal numbers below x (Abramowitz and Stegun 26.2.17)."""
    t = 1 / (1 + 0.2316419 * abs(x))
    series = t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))
    tail = t * (0.319381530 + t * (-0.356563782 + series))
    tail *= math.exp(-0.5 * x * x) * 0.3989422804
    return 1 - tail if x > 0 else tail


@gpu_kernel
def black_scholes(
    share: Array[f32], strike: Array[f32], years: Array[f32], rate: f32, volatility: f32
) -> Array[f32]:
    """Price European calls by the formula of Black and Scholes."""
    spread = volatility * math.sqrt(years)
    d = (math.log(share / strike) + (rate + 0.5 * volatility**2) * years) / spread
    later = strike * math.exp(-rate * years)
    return share * normal_share(f32(d)) - later * normal_share(f32(d - spread))


@gpu_function
def sum_lanes(tile: Array[f32], value: float) -> float:
    """Return the sum of all values of a workgroup."""
    barrier()
    tile[local_index] = value
    reach = LANES // 2
    while reach > 0:
        barrier()
        if local_index < reach:
            tile[local_index] += tile[local_index + reach]
        reach //= 2
    barrier()
    return tile[0]


@gpu_function
def max_lanes(tile: Array[f32], value: float) -> float:
    """Return the largest value of a workgroup."""
    barrier()
    tile[local_index] = value
    reach = LANES // 2
    while reach > 0:
        barrier()
        if local_index < reach:
            tile[local_index] = max(tile[local_index], tile[local_index + reach])
        reach //= 2
    barrier()
    return tile[0]


@gpu_kernel(workgroup_size=LANES)
def softmax(x: Array2[f32], y: Array2[f32]) -> None:
    """Compute exp(x) over its sum in each row, one a workgroup; launch it with [rows]."""
    tile = shared(f32, LANES)
    row, columns = workgroup_id.x, x.shape[1]
    own = -3.4e38
    for k in range(local_index, columns, LANES):
        own = max(own, x[row, k])
    most = max_lanes(tile, own)
    own = 0.0
    for k in range(local_index, columns, LANES):
        own += math.exp(x[row, k] - most)
    total = sum_lanes(tile, own)
    for k in range(local_index, columns, LANES):
        y[row, k] = math.exp(x[row, k] - most) / total


@gpu_kernel(workgroup_size=LANES)
def layer_norm(
    x: Array2[f32], scale: Array[f32], shift: Array[f32], y: Array2[f32], eps: f32
) -> None:
    """Normalise rows, one a workgroup, then scale and shift them; launch it with [rows]."""
    tile = shared(f32, LANES)
    row, columns = workgroup_id.x, x.shape[1]
    own = 0.0
    for k in range(local_index, columns, LANES):
        own += x[row, k]
    mean = sum_lanes(tile, own) / f32(columns)
    own = 0.0
    for k in range(local_index, columns, LANES):
        own += (x[row, k] - mean) * (x[row, k] - mean)
    inverse = 1 / math.sqrt(sum_lanes(tile, own) / f32(columns) + eps)
    for k in range(local_index, columns, LANES):
        y[row, k] = (x[row, k] - mean) * inverse * scale[k] + shift[k]


@gpu_kernel
def convolve(x: Array[f32], weights: Array[f32], y: Array[f32]) -> None:
    """Convolve two sequences, as NumPy's "full" mode does."""
    i = i32(global_id.x)
    if i < i32(len(y)):
        total = 0.0
        for k in range(i32(len(weights))):
            if 0 <= i - k < i32(len(x)):
                total += weights[k] * x[i - k]
        y[i] = total


@gpu_kernel(workgroup_size=(8, 8, 4))
def convolve_2d(x: Array3[f32], weights: Array4[f32], y: Array3[f32]) -> None:
    """Correlate channels (in, rows, columns) with windows (out, in, h, w), without a border."""
    column, row, out = global_id.x, global_id.y, global_id.z
    if out >= y.shape[0] or row >= y.shape[1] or column >= y.shape[2]:
        return
    total = 0.0
    for c in range(x.shape[0]):
        for i in range(weights.shape[2]):
            for j in range(weights.shape[3]):
                total += weights[out, c, i, j] * x[c, row + i, column + j]
    y[out, row, column] = total


@gpu_kernel
def nearest_neighbours(points: Array2[f32], queries: Array2[f32], found: Array2[u32]) -> None:
    """Find the nearest points of each query, nearest first; ``found`` has a column for each."""
    i = global_id.x
    if i >= queries.shape[0]:
        return
    last, last_place = -1.0, 0
    for k in range(found.shape[1]):
        best, place = 3.4e38, 0
        for j in range(points.shape[0]):
            square = 0.0
            for axis in range(points.shape[1]):
                difference = points[j, axis] - queries[i, axis]
                square += difference * difference
            behind = square > last or (square == last and j > last_place)
            if behind and square < best:
                best, place = square, j
        found[i, k] = place
        last, last_place = best, place


@gpu_kernel
def assign(
    points: Array2[f32], centres: Array2[f32], labels: Array[u32], sums: Array2[i32]
) -> None:
    """Find each point's nearest centre, and add the point to its sums: x, y, and how many.

    Sums are integers of 1/65536, so that their order does not matter.
    """
    i = global_id.x
    if i >= len(labels):
        return
    best, place = 3.4e38, 0
    for k in range(centres.shape[0]):
        x, y = points[i, 0] - centres[k, 0], points[i, 1] - centres[k, 1]
        if x * x + y * y < best:
            best, place = x * x + y * y, k
    labels[i] = place
    atomic_add(sums[place, 0], i32(points[i, 0] * UNIT))
    atomic_add(sums[place, 1], i32(points[i, 1] * UNIT))
    atomic_add(sums[place, 2], 1)


@gpu_kernel
def recentre(sums: Array2[i32], centres: Array2[f32]) -> None:
    """Move each centre to the mean of its points, and clear the sums."""
    k = global_id.x
    if k < centres.shape[0]:
        count = sums[k, 2]
        if count > 0:
            centres[k, 0] = f32(sums[k, 0]) / UNIT / f32(count)
            centres[k, 1] = f32(sums[k, 1]) / UNIT / f32(count)
        for j in range(3):
            sums[k, j] = 0


def k_means(points: Buffer[f32], centres: Buffer[f32], rounds: int) -> Buffer[u32]:
    """Return the labels of points (n, 2) after rounds of Lloyd's method; centres move in place.

    Points are within -1 and 1, at most 32767 of them.
    """
    device = points.device
    labels = device.buffer(u32, len(points))
    sums = device.buffer_from_array(np.zeros((len(centres), 3)), i32)
    for _ in range(rounds):
        assign(points, centres, labels, sums)
        recentre(sums, centres)
    return labels
