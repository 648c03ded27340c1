"""One path of Brownian motion for a whole run, from which SDE samplers draw their noise.

The noise of an interval of levels is the path's difference between its ends, over the root of its
width. Similar lists of levels, or twice the steps, thus get the same noise, and pictures change
little. Differences of intervals that touch add up to that of their union.

The path is Lévy's and Ciesielski's: W(t) = Σ sₙ(t)·zₙ, with unit normal draws zₙ and tent functions
sₙ on halves of halves of the time axis. The sum goes over all levels of halving, down to cells of
which the ends of intervals are multiples; at these ends its distribution is exact. Only the draws
are random, and each is had by its number, so that the path is the same wherever the draws are.

Time is log₂ σ, from -16 to 16, in cells of 2⁻¹² (a ratio of 1.00017); ends are rounded to cells.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final, Generic, TypeVar

from diffusion.samplers.protocols import Algebra, NoiseSource

__all__ = ["BrownianPath", "weigh_draws"]

A = TypeVar("A")

OCTAVES: Final = 16
HALVINGS: Final = 17
"""2¹⁷ cells of 2⁻¹² octaves: 32 octaves."""
CELLS: Final = 1 << HALVINGS
MAX_TERMS: Final = 4
"""Arrays of one linear combination."""


class BrownianPath(Generic[A]):
    """A path called as ``path(high, low)``: unit normal noise of the interval of two levels > 0.

    ``noise``: the draws; number 0 is the path's end, number 2ⁿ + k the k-th tent of halving n.
    Intervals that do not overlap have independent noise. One thinner than a cell counts as a cell.
    """

    def __init__(self, algebra: Algebra[A], noise: NoiseSource[A]) -> None:
        self._algebra = algebra
        self._noise = noise
        self._last_draws: dict[int, A] = {}

    def __call__(self, high: float, low: float) -> A:
        """Return the noise of [low, high]. Only the draws of the last call are kept."""
        weights = weigh_draws(high, low)
        last = self._last_draws
        draws = {n: last[n] if n in last else self._noise(n) for n in weights}
        self._last_draws = draws
        terms = [(weight, draws[n]) for n, weight in weights.items()]
        while len(terms) > 1:
            total = self._algebra.combine(terms[:MAX_TERMS])
            terms = [(1.0, total), *terms[MAX_TERMS:]]
        factor, array = terms[0]
        return array if factor == 1.0 else self._algebra.combine([(factor, array)])


def weigh_draws(high: float, low: float) -> dict[int, float]:
    """Return the weights of an interval's draws, by number. Their squares sum to 1."""
    start, end = _nearest_cell(low), _nearest_cell(high)
    if start == end:
        start, end = (start - 1, end) if end == CELLS else (start, end + 1)
    scale = 1.0 / math.sqrt(end - start)
    weights = {0: (end - start) / math.sqrt(CELLS)}
    for cell, sign in ((start, -1.0), (end, 1.0)):
        for number, height in _tents_at(cell):
            weights[number] = weights.get(number, 0.0) + sign * height
    return {n: weight * scale for n, weight in sorted(weights.items()) if weight != 0.0}


def _nearest_cell(sigma: float) -> int:
    """Return the number of the cell boundary nearest to a level."""
    cell = round((math.log2(sigma) + OCTAVES) * (CELLS // (2 * OCTAVES)))
    return min(max(cell, 0), CELLS)


def _tents_at(cell: int) -> Iterator[tuple[int, float]]:
    """Yield the tents that are not 0 at a cell boundary: their numbers and heights there.

    Halving n has 2ⁿ tents of width w = CELLS/2ⁿ cells; at its middle a tent is √w / 2 high.
    """
    for halving in range(HALVINGS):
        width = CELLS >> halving
        tent, inside = divmod(cell, width)
        if inside:
            yield (1 << halving) + tent, min(inside, width - inside) / math.sqrt(width)
