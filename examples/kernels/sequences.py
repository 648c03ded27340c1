"""Sequences: transforms, texts, and how far texts are from each other."""

from __future__ import annotations

import math
from typing import Any

from gpucore import Array, Array2, Buffer, atomic_add, f32, global_id, gpu_kernel, i32, u32, vec2f

__all__ = ["fft", "find_text", "levenshtein"]


@gpu_kernel
def butterflies(half: u32, x: Array[vec2f], y: Array[vec2f]) -> None:
    """Join transforms of ``half`` numbers to ones of twice as many (Stockham's order)."""
    i, n = global_id.x, u32(len(x)) // 2
    if i >= n:
        return
    k = i % half
    angle = -math.pi * f32(k) / f32(half)
    turn = vec2f(math.cos(angle), math.sin(angle))
    a, b = x[i], x[i + n]
    b = vec2f(b.x * turn.x - b.y * turn.y, b.x * turn.y + b.y * turn.x)
    first = i // half * half * 2 + k
    y[first] = a + b
    y[first + half] = a - b


def fft(x: Buffer[Any]) -> Buffer[Any]:
    """Return the Fourier transform of n complex numbers (n, 2), n a power of two."""
    half = 1
    while half < len(x):
        y: Buffer[Any] = x.device.buffer(f32, x.shape)
        butterflies(half, x, y)
        x, half = y, 2 * half
    return x


@gpu_kernel
def find_text(text: Array[u32], pattern: Array[u32], places: Array[u32], count: Array[u32]) -> None:
    """Find each place where a pattern stands in a text; ``places`` are in no order."""
    i = global_id.x
    if i >= len(text) or i + len(pattern) > len(text):
        return
    for k in range(len(pattern)):
        if text[i + k] != pattern[k]:
            return
    places[atomic_add(count[0], 1)] = i


@gpu_kernel
def edit_diagonal(diagonal: i32, a: Array[u32], b: Array[u32], costs: Array2[u32]) -> None:
    """Fill the cells of one diagonal of the table, which depend on the two before alone."""
    i = i32(global_id.x)
    j = diagonal - i
    if i >= i32(costs.shape[0]) or j < 0 or j >= i32(costs.shape[1]):
        return
    if i == 0 or j == 0:
        costs[i, j] = u32(i + j)
        return
    change = costs[i - 1, j - 1] + u32(a[i - 1] != b[j - 1])
    costs[i, j] = min(change, costs[i - 1, j] + 1, costs[i, j - 1] + 1)


def levenshtein(a: Buffer[u32], b: Buffer[u32]) -> int:
    """Return the fewest insertions, deletions and changes that turn one text into another."""
    costs = a.device.buffer(u32, (a.size + 1, b.size + 1))
    for diagonal in range(a.size + b.size + 1):
        edit_diagonal(diagonal, a, b, costs)
    return int(costs.read()[-1, -1])
