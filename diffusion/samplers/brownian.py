"""One path of Brownian motion for a whole run: what SDE samplers draw their noise from.

Noise of an interval of levels is the path's difference between its ends, over the root of its
width. Nearby lists of levels, or twice the steps, thus meet the same noise, and pictures change
little; differences of intervals that touch add up to that of their union.

The path is Lévy's and Ciesielski's: W(t) = Σ sₙ(t)·zₙ, with unit normal draws zₙ and tent functions
sₙ on halves of halves of the time axis, summed over all levels of halving down to cells of which
the ends of intervals are multiples. There its law is exact. Nothing is random but the draws, which
are had by number, so that the path is the same wherever the draws are.

Time is log₂ σ, from -16 to 16, in cells of 2⁻¹² (a ratio of 1.00017); ends are rounded to cells.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final, Generic, TypeVar

from diffusion.samplers.protocols import Algebra, NoiseSource

__all__ = ["BrownianPath"]

A = TypeVar("A")

OCTAVES: Final = 16
HALVINGS: Final = 17
"""2¹⁷ cells of 2⁻¹² octaves: 32 octaves."""
CELLS: Final = 1 << HALVINGS
MOST_TERMS: Final = 4
"""Arrays of one linear combination."""


class BrownianPath(Generic[A]):
    """Calls as ``path(high, low)``: unit normal noise of the interval between two levels above 0.

    ``noise``: the draws; number 0 is the path's end, number 2ⁿ + k the k-th tent of halving n.
    Intervals apart have independent noise. An interval thinner than a cell counts as one.
    """

    def __init__(self, algebra: Algebra[A], noise: NoiseSource[A]) -> None:
        self._algebra = algebra
        self._noise = noise
        self._drawn: dict[int, A] = {}

    def __call__(self, high: float, low: float) -> A:
        """Noise of [low, high]. Draws of the interval before are kept, no others."""
        weights = increments(high, low)
        drawn = {n: self._drawn[n] if n in self._drawn else self._noise(n) for n in weights}
        self._drawn = drawn
        terms = [(weight, drawn[n]) for n, weight in weights.items()]
        while len(terms) > 1:
            total = self._algebra.combine(terms[:MOST_TERMS])
            terms = [(1.0, total), *terms[MOST_TERMS:]]
        factor, array = terms[0]
        return array if factor == 1.0 else self._algebra.combine([(factor, array)])


def increments(high: float, low: float) -> dict[int, float]:
    """Weights of the draws in the noise of an interval, by number. Their squares sum to 1."""
    start, end = _cell(low), _cell(high)
    if start == end:
        start, end = (start - 1, end) if end == CELLS else (start, end + 1)
    scale = 1.0 / math.sqrt(end - start)
    weights = {0: (end - start) / math.sqrt(CELLS)}
    for at, sign in ((start, -1.0), (end, 1.0)):
        for number, tent in _tents(at):
            weights[number] = weights.get(number, 0.0) + sign * tent
    return {n: weight * scale for n, weight in sorted(weights.items()) if weight != 0.0}


def _cell(sigma: float) -> int:
    """The end of a cell nearest to a level."""
    at = round((math.log2(sigma) + OCTAVES) * (CELLS // (2 * OCTAVES)))
    return min(max(at, 0), CELLS)


def _tents(at: int) -> Iterator[tuple[int, float]]:
    """The tents that are not 0 at one cell's end, by number, and their values there.

    Halving n has 2ⁿ tents of width w = CELLS/2ⁿ cells; at its middle a tent is √w / 2 high.
    """
    for halving in range(HALVINGS):
        width = CELLS >> halving
        which, inside = divmod(at, width)
        if inside:
            yield (1 << halving) + which, min(inside, width - inside) / math.sqrt(width)
