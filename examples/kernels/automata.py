"""Cellular automata: cells that follow from their neighbours."""

from __future__ import annotations

import numpy as np

from gpucore import Array, Array2, Buffer, global_id, gpu_kernel, u32

__all__ = ["elementary_automaton", "life", "sandpile"]


@gpu_kernel
def life_step(now: Array2[u32], after: Array2[u32]) -> None:
    """Let cells with three neighbours, or that live with two, live."""
    rows, columns = now.shape
    row, column = global_id.y, global_id.x
    if row >= rows or column >= columns:
        return
    living = 0
    for dy in range(rows - 1, rows + 2):
        for dx in range(columns - 1, columns + 2):
            living += now[(row + dy) % rows, (column + dx) % columns]
    own = now[row, column]
    after[row, column] = u32(living == 3 or (living == 4 and own == 1))


def life(cells: Buffer[u32], generations: int) -> Buffer[u32]:
    """Return cells (rows, columns) on a torus after generations of Conway's Game of Life."""
    for _ in range(generations):
        after = cells.device.buffer(u32, cells.shape)
        life_step(cells, after)
        cells = after
    return cells


@gpu_kernel
def automaton_step(rule: u32, generation: u32, cells: Array2[u32]) -> None:
    """Write one row from the row above it."""
    i, n = global_id.x, cells.shape[1]
    if i < cells.shape[1]:
        above = generation - 1
        left, right = cells[above, (i + n - 1) % n], cells[above, (i + 1) % n]
        cells[generation, i] = rule >> (4 * left + 2 * cells[above, i] + right) & 1


def elementary_automaton(cells: Buffer[u32], rule: int) -> None:
    """Fill rows of cells from the first one by a rule of Wolfram's, such as 30 or 110."""
    for generation in range(1, len(cells)):
        automaton_step(rule, generation, cells)


@gpu_kernel
def topple(before: Array2[u32], after: Array2[u32], moved: Array[u32]) -> None:
    """Let piles of four grains or more give one to each neighbour; those at the edge lose some."""
    rows, columns = before.shape
    row, column = global_id.y, global_id.x
    if row >= rows or column >= columns:
        return
    own = before[row, column]
    got = before[row - 1, column] // 4 if row > 0 else 0
    got += before[row + 1, column] // 4 if row + 1 < rows else 0
    got += before[row, column - 1] // 4 if column > 0 else 0
    got += before[row, column + 1] // 4 if column + 1 < columns else 0
    after[row, column] = own % 4 + got
    if own >= 4:
        moved[0] = 1


def sandpile(grains: Buffer[u32]) -> Buffer[u32]:
    """Return the piles when none topples any more (Bak, Tang and Wiesenfeld 1987)."""
    moved = grains.device.buffer(u32, 1)
    while True:
        moved.write(np.zeros(1, np.uint32))
        for _ in range(32):
            after = grains.device.buffer(u32, grains.shape)
            topple(grains, after, moved)
            grains = after
        if not moved.read()[0]:
            return grains
