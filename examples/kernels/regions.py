"""Regions of pictures: what belongs together, and how far it is."""

from __future__ import annotations

import math

import numpy as np

from gpucore import Array, Array2, Buffer, atomic_min, f32, global_id, gpu_kernel, i32, u32

__all__ = ["connected_components", "distance_transform", "flood_fill"]

NONE = 0xFFFFFFFF


@gpu_kernel
def number_cells(cells: Array2[u32], labels: Array2[u32]) -> None:
    """Give each cell of an object a number of its own."""
    row, column = global_id.y, global_id.x
    if row < cells.shape[0] and column < cells.shape[1]:
        own = row * cells.shape[1] + column
        labels[row, column] = own if cells[row, column] != 0 else NONE


@gpu_kernel
def join_labels(columns: u32, labels: Array[u32], changed: Array[u32]) -> None:
    """Take the least label around, and tell the cell that the own label names."""
    i = global_id.x
    if i >= len(labels):
        return
    own = labels[i]
    if own == NONE:
        return
    least = own
    if i >= columns:
        least = min(least, labels[i - columns])
    if i + columns < len(labels):
        least = min(least, labels[i + columns])
    if i % columns > 0:
        least = min(least, labels[i - 1])
    if i % columns + 1 < columns:
        least = min(least, labels[i + 1])
    least = min(least, labels[least])
    if least < own:
        atomic_min(labels[own], least)
        atomic_min(labels[i], least)
        changed[0] = 1


def connected_components(cells: Buffer[u32]) -> Buffer[u32]:
    """Return labels of objects that touch by sides: the number of their first cell."""
    rows, columns = cells.shape
    labels, changed = cells.device.buffer(u32, cells.shape), cells.device.buffer(u32, 1)
    number_cells(cells, labels)
    while True:
        changed.write(np.zeros(1, np.uint32))
        for _ in range(8):
            join_labels(columns, labels.view(rows * columns), changed)
        if not changed.read()[0]:
            return labels


@gpu_kernel
def spread(target: u32, picture: Array2[u32], filled: Array2[u32], changed: Array[u32]) -> None:
    """Fill cells of the target colour beside filled ones."""
    row, column = global_id.y, global_id.x
    rows, columns = picture.shape
    if row >= rows or column >= columns:
        return
    if filled[row, column] != 0 or picture[row, column] != target:
        return
    beside = row > 0 and filled[row - 1, column] != 0
    beside = beside or (row + 1 < rows and filled[row + 1, column] != 0)
    beside = beside or (column > 0 and filled[row, column - 1] != 0)
    beside = beside or (column + 1 < columns and filled[row, column + 1] != 0)
    if beside:
        filled[row, column] = 1
        changed[0] = 1


def flood_fill(picture: Buffer[u32], filled: Buffer[u32], target: int) -> None:
    """Fill what is of the target colour and touches what is filled, in place."""
    changed = picture.device.buffer(u32, 1)
    while True:
        changed.write(np.zeros(1, np.uint32))
        for _ in range(16):
            spread(target, picture, filled, changed)
        if not changed.read()[0]:
            return


@gpu_kernel
def place_seeds(cells: Array2[u32], nearest: Array2[u32]) -> None:
    """Let each seed be the nearest to itself."""
    row, column = global_id.y, global_id.x
    if row < cells.shape[0] and column < cells.shape[1]:
        own = row << 16 | column
        nearest[row, column] = own if cells[row, column] != 0 else NONE


@gpu_kernel
def jump(far: i32, before: Array2[u32], after: Array2[u32]) -> None:
    """Take the nearest of the seeds that nine cells at a distance know."""
    row, column = i32(global_id.y), i32(global_id.x)
    rows, columns = i32(before.shape[0]), i32(before.shape[1])
    if row >= rows or column >= columns:
        return
    best, least = u32(NONE), i32(0x7FFFFFFF)
    for dy in range(-1, 2):
        for dx in range(-1, 2):
            y, x = row + far * dy, column + far * dx
            if 0 <= y < rows and 0 <= x < columns and before[y, x] != NONE:
                seed = before[y, x]
                v, h = i32(seed >> 16) - row, i32(seed & 0xFFFF) - column
                if v * v + h * h < least:
                    best, least = seed, v * v + h * h
    after[row, column] = best


@gpu_kernel
def measure(nearest: Array2[u32], distances: Array2[f32]) -> None:
    """Compute the distance to the nearest seed."""
    row, column = global_id.y, global_id.x
    if row < nearest.shape[0] and column < nearest.shape[1]:
        seed = nearest[row, column]
        v, h = f32(seed >> 16) - f32(row), f32(seed & 0xFFFF) - f32(column)
        distances[row, column] = math.hypot(v, h)


def distance_transform(cells: Buffer[u32]) -> Buffer[f32]:
    """Return each cell's distance to the nearest one that is not 0, by jump flooding.

    Rong and Tan 2006; a last round of 1 mends most of what it misses.
    """
    nearest, after = (cells.device.buffer(u32, cells.shape) for _ in range(2))
    place_seeds(cells, nearest)
    far = 1 << (max(cells.shape) - 1).bit_length()
    while far > 1:
        far //= 2
        jump(far, nearest, after)
        nearest, after = after, nearest
    jump(1, nearest, after)
    distances = cells.device.buffer(f32, cells.shape)
    measure(after, distances)
    return distances
