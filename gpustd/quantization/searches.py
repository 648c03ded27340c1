"""Searches for the scale of a group of weights, as ggml's reference code makes them.

A group's weights stand in a column: arrays are (group, groups). Each sum runs down the rows in
order, in float32, so that it has the bits of the loop in C. A division by zero gives infinities or
NaN, which no comparison takes. Source: ggml, ``src/ggml-quants.c``.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpustd.quantization.expanding import IQ4_VALUES
from gpustd.quantization.packing import Floats, Integers

__all__ = [
    "Affine",
    "AffineSearch",
    "affine_scales",
    "nearest",
    "nearest_iq4",
    "refined_scales",
    "sum_rows",
    "symmetric_scales",
    "value_scales",
]

_TINY: Final = np.float32(1e-15)
"""A group whose weights are all smaller counts as zeros."""
_ROUNDER: Final = np.float32(3 * 2**22)


def nearest(values: Floats) -> Integers:
    """Return the nearest integers, ties to even, of numbers below 2**22."""
    bits: Integers = (values + _ROUNDER).view(np.int32)
    return (bits & 0x7FFFFF) - 0x400000


def sum_rows(rows: Floats) -> Floats:
    """Return the sums of columns, the rows added one after the other."""
    total: Floats = rows[0].copy()
    for row in rows[1:]:
        total += row
    return total


def symmetric_scales(weights: Floats, most: int) -> tuple[Floats, Integers]:
    """Return scales for levels from -``most`` to ``most`` - 1, and the levels (from 0 on).

    The best of 19 scales by the square error that is weighted with the squares of weights.
    """
    largest = _largest(weights)
    empty = np.abs(largest) < _TINY
    squares = weights * weights
    inverse = np.float32(-most) / largest
    along, level_squares = _fit(weights, squares, _clip(inverse * weights, most).astype(np.float32))
    scale = np.where(level_squares != 0, along / level_squares, np.float32(0))
    best = scale * along
    for step in [*range(-9, 0), *range(1, 10)]:
        tried = -(np.float32(most) + np.float32(0.1) * np.float32(step)) / largest
        along, level_squares = _fit(
            weights, squares, _clip(tried * weights, most).astype(np.float32)
        )
        better = (level_squares > 0) & (along * along > best * level_squares)
        scale = np.where(better, along / level_squares, scale)
        best = np.where(better, scale * along, best)
        inverse = np.where(better, tried, inverse)
    levels = _clip(inverse * weights, most) + most
    levels[:, empty] = 0
    return np.where(empty, np.float32(0), scale), levels


def refined_scales(weights: Floats, most: int) -> tuple[Floats, Integers]:
    """Return scales for levels from -``most`` to ``most`` - 1, and the levels (from 0 on).

    One level after the other is changed where that lessens the weighted square error.
    """
    largest = _largest(weights)
    empty = np.abs(largest) < _TINY
    squares = weights * weights
    levels = _clip((np.float32(-most) / largest) * weights, most).astype(np.float32)
    along, level_squares = _fit(weights, squares, levels)
    for _ in range(5):
        before = levels.copy()
        for row, value, square in zip(levels, weights, squares, strict=True):
            part = square * value
            rest = along - part * row
            rest_squares = level_squares - (square * row) * row
            new = _clip(value * rest_squares / rest, most).astype(np.float32)
            new_along = rest + part * new
            new_squares = rest_squares + (square * new) * new
            better = (rest > 0) & (new != row) & (new_squares > 0)
            better &= new_along * new_along * level_squares > along * along * new_squares
            row[better] = new[better]
            along = np.where(better, new_along, along)
            level_squares = np.where(better, new_squares, level_squares)
        if np.array_equal(before, levels):
            break
    scale = np.where(level_squares > 0, along / level_squares, np.float32(0))
    levels = np.where(empty, np.float32(0), levels + np.float32(most))
    return np.where(empty, np.float32(0), scale), levels.astype(np.int32)


def _largest(weights: Floats) -> Floats:
    """Return each column's first weight of the largest magnitude."""
    place = np.abs(weights).argmax(axis=0)[None]
    largest: Floats = np.take_along_axis(weights, place, axis=0)[0]
    return largest


def _clip(quotients: Floats, most: int) -> Integers:
    return np.clip(nearest(quotients), -most, most - 1)


def _fit(weights: Floats, squares: Floats, levels: Floats) -> tuple[Floats, Floats]:
    """Return the weighted sums of weight times level, and of squared levels."""
    return sum_rows((squares * weights) * levels), sum_rows((squares * levels) * levels)


class AffineSearch(NamedTuple):
    """A search for scale and minimum: ``most`` is the highest level, ``steps`` how many are tried.

    The tries begin at ``most + start`` levels and differ by 0.1. ``absolute``: errors are summed as
    they are, not their squares.
    """

    most: int
    start: float
    steps: int
    absolute: bool


class Affine(NamedTuple):
    """The result of a search: ``minimum`` is how far the lowest level lies below zero."""

    scale: Floats
    minimum: Floats
    levels: Integers


def affine_scales(weights: Floats, importance: Floats, search: AffineSearch) -> Affine:
    """Return scales and minima of weights for levels from 0 to ``search.most``, and the levels.

    Each try begins at the least weight that the best one before it gave.
    """
    least = np.minimum(weights.min(axis=0), np.float32(0))
    most, top = weights.max(axis=0), np.float32(search.most)
    sums = _Sums(sum_rows(importance), sum_rows(importance * weights))
    inverse, base = top / (most - least), least
    found = _Line(np.float32(1) / inverse, least)
    best = _error(weights, importance, _levels(weights, inverse, base, top), found, search)
    for step in range(search.steps + 1):
        levels_tried = np.float32(search.start) + np.float32(0.1) * np.float32(step) + top
        tried = levels_tried / (most - found.lowest)
        levels = _levels(weights, tried, found.lowest, top)
        line, valid = _fit_line(weights, importance, levels, sums)
        error = _error(weights, importance, levels, line, search)
        better = valid & (error < best)
        best = np.where(better, error, best)
        inverse, base = np.where(better, tried, inverse), np.where(better, found.lowest, base)
        found = _Line(
            np.where(better, line.scale, found.scale), np.where(better, line.lowest, found.lowest)
        )
    flat = most == least
    levels = np.where(flat, np.float32(0), _levels(weights, inverse, base, top))
    scale = np.where(flat, np.float32(0), found.scale)
    return Affine(scale, -np.where(flat, least, found.lowest), levels.astype(np.int32))


class _Sums(NamedTuple):
    """The sums of importance, and of importance times weight."""

    importance: Floats
    weights: Floats


class _Line(NamedTuple):
    """The weights of levels: ``scale * level + lowest``."""

    scale: Floats
    lowest: Floats


def _fit_line(
    weights: Floats, importance: Floats, levels: Floats, sums: _Sums
) -> tuple[_Line, NDArray[np.bool_]]:
    """Return the line of the least weighted square error, and tell where there is one."""
    weighted = importance * levels
    level_sum = sum_rows(weighted)
    squares, along = sum_rows(weighted * levels), sum_rows(weighted * weights)
    divisor = sums.importance * squares - level_sum * level_sum
    scale = (sums.importance * along - sums.weights * level_sum) / divisor
    lowest = (squares * sums.weights - level_sum * along) / divisor
    above = lowest > 0
    line = _Line(np.where(above, along / squares, scale), np.where(above, np.float32(0), lowest))
    return line, divisor > 0


def _levels(weights: Floats, inverse: Floats, least: Floats, top: np.float32) -> Floats:
    return np.clip(nearest(inverse * (weights - least)), 0, int(top)).astype(np.float32)


def _error(
    weights: Floats, importance: Floats, levels: Floats, line: _Line, search: AffineSearch
) -> Floats:
    """Return the sums of the weighted errors, or of their squares."""
    difference = line.scale * levels + line.lowest - weights
    size = np.abs(difference) if search.absolute else difference * difference
    return sum_rows(importance * size)


_HIGHER: Final = np.searchsorted(IQ4_VALUES[1:-1], np.arange(-128, 128), side="right") + 1
_LEVELS: Final = IQ4_VALUES.astype(np.float32)


def nearest_iq4(values: Floats) -> Integers:
    """Return the indices of the nearest of iq4's levels, the upper one of two that are as near."""
    bounded = np.clip(values, _LEVELS[0], _LEVELS[-1])
    upper = _HIGHER[np.floor(bounded).astype(np.int16) + 128]
    nearer = bounded - _LEVELS[upper - 1] < _LEVELS[upper] - bounded
    return (upper - nearer).astype(np.int32)


def value_scales(weights: Floats) -> Floats:
    """Return scales for iq4's levels: the best of 16 by the weighted square error."""
    largest = _largest(weights)
    squares = weights * weights
    scale = -largest / _LEVELS[0]
    along, level_squares = _fit_values(weights, squares, np.float32(1) / scale)
    scale = np.where(level_squares > 0, along / level_squares, np.float32(0))
    best = scale * along
    for step in range(-7, 8):
        tried = (np.float32(step) + _LEVELS[0]) / largest
        along, level_squares = _fit_values(weights, squares, tried)
        better = (level_squares > 0) & (along * along > best * level_squares)
        scale = np.where(better, along / level_squares, scale)
        best = np.where(better, scale * along, best)
    return np.where(np.abs(largest) < _TINY, np.float32(0), scale)


def _fit_values(weights: Floats, squares: Floats, inverse: Floats) -> tuple[Floats, Floats]:
    """Return the weighted sums of weight times level, and of squared levels."""
    levels = _LEVELS[nearest_iq4(inverse * weights)]
    weighted = squares * levels
    return sum_rows(weighted * weights), sum_rows(weighted * levels)
