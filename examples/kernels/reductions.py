"""Reductions: many numbers become one, in two launches of one kernel each."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from gpucore import (
    Array,
    Buffer,
    GpuFunction,
    atomic_min,
    barrier,
    f32,
    global_id,
    gpu_function,
    gpu_kernel,
    local_index,
    num_workgroups,
    shared,
    u32,
    workgroup_id,
)

__all__ = ["argmax", "maximum", "minimum", "norm", "scalar_product", "total", "variance"]

LANES = 256
MOST_GROUPS = 64
Step = GpuFunction[[f32, f32], f32]
"""A function of two numbers."""
Reduction = Callable[[Buffer[f32], Buffer[f32]], Buffer[f32]]
"""A function that makes one number of two arrays of one size."""


@gpu_function
def plus(a: f32, b: f32) -> f32:
    """Return the sum."""
    return a + b


@gpu_function
def times(a: f32, b: f32) -> f32:
    """Return the product."""
    return a * b


@gpu_function
def larger(a: f32, b: f32) -> f32:
    """Return the larger number."""
    return max(a, b)


@gpu_function
def smaller(a: f32, b: f32) -> f32:
    """Return the smaller number."""
    return min(a, b)


@gpu_function
def first(a: f32, b: f32) -> f32:
    """Return the first number."""
    return a


@gpu_function
def distance2(a: f32, b: f32) -> f32:
    """Return the square of the difference."""
    return (a - b) * (a - b)


def reduction(combine: Step, start: float, load: Step) -> Reduction:
    """Return a function that combines ``load(x[i], y[i])`` of all i."""

    @gpu_kernel(workgroup_size=LANES)
    def reduce(x: Array[f32], y: Array[f32], parts: Array[f32]) -> None:
        tile = shared(f32, LANES)
        own = f32(start)
        i = global_id.x
        while i < len(x):
            own = combine(own, load(x[i], y[i % len(y)]))
            i += LANES * num_workgroups.x
        tile[local_index] = own
        reach = LANES // 2
        while reach > 0:
            barrier()
            if local_index < reach:
                tile[local_index] = combine(tile[local_index], tile[local_index + reach])
            reach //= 2
        if local_index == 0:
            parts[workgroup_id.x] = tile[0]

    return lambda x, y: _reduce(reduce, x, y)


def _reduce(kernel: Any, x: Buffer[f32], y: Buffer[f32]) -> Buffer[f32]:
    """Reduce to one number for each workgroup."""
    groups = min(-(-x.size // LANES), MOST_GROUPS)
    parts = x.device.buffer(f32, groups)
    kernel[groups](x, y, parts)
    return parts


_sums = reduction(plus, 0.0, first)
_products = reduction(plus, 0.0, times)
_largest = reduction(larger, -3.4e38, first)
_smallest = reduction(smaller, 3.4e38, first)
_distances = reduction(plus, 0.0, distance2)


def total(x: Buffer[f32]) -> float:
    """Return the sum of all numbers."""
    parts = _sums(x, x)
    return float(_sums(parts, parts).read()[0])


def scalar_product(x: Buffer[f32], y: Buffer[f32]) -> float:
    """Return the sum of all products."""
    parts = _products(x, y)
    return float(_sums(parts, parts).read()[0])


def norm(x: Buffer[f32]) -> float:
    """Return the root of the sum of squares."""
    return math.sqrt(scalar_product(x, x))


def maximum(x: Buffer[f32]) -> float:
    """Return the largest number."""
    parts = _largest(x, x)
    return float(_largest(parts, parts).read()[0])


def minimum(x: Buffer[f32]) -> float:
    """Return the smallest number."""
    parts = _smallest(x, x)
    return float(_smallest(parts, parts).read()[0])


def variance(x: Buffer[f32]) -> float:
    """Return the mean square of differences from the mean, which is computed first."""
    mean = x.device.buffer_from_array([total(x) / x.size], f32)
    parts = _distances(x, mean)
    return float(_sums(parts, parts).read()[0]) / x.size


@gpu_kernel
def find(value: f32, x: Array[f32], place: Array[u32]) -> None:
    """Find the first place of a value."""
    i = global_id.x
    if i < len(x) and x[i] == value:
        atomic_min(place[0], i)


def argmax(x: Buffer[f32]) -> int:
    """Return the first place of the largest number."""
    place = x.device.buffer_from_array([0xFFFFFFFF], u32)
    find(maximum(x), x, place)
    return int(place.read()[0])
