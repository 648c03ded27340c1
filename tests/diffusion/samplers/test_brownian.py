"""The Brownian path: its law, from the weights of its draws, and what it draws."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffusion.samplers import BrownianPath, NumpyAlgebra
from diffusion.samplers.brownian import CELLS, HALVINGS, weigh_draws

CELL = 2.0**-12
"""Octaves."""
levels = st.floats(2.0**-15.9, 2.0**15.9)


def dot(one: dict[int, float], other: dict[int, float]) -> float:
    """Covariance of two sums of the draws."""
    return sum(weight * other.get(number, 0.0) for number, weight in one.items())


@given(levels, levels)
def test_every_interval_has_unit_noise(one: float, other: float) -> None:
    weights = weigh_draws(max(one, other), min(one, other))
    assert dot(weights, weights) == pytest.approx(1.0, rel=1e-12)
    assert all(0 <= number < CELLS for number in weights)
    assert len(weights) <= 1 + 2 * HALVINGS


@given(st.lists(levels, min_size=4, max_size=4))
def test_intervals_apart_are_independent(found: list[float]) -> None:
    # Ends are moved by half a cell; between ends of one cell there is no interval.
    lowest, low, high, highest = sorted(found)
    if math.log2(low / lowest) > 2 * CELL and math.log2(highest / high) > 2 * CELL:
        below, above = weigh_draws(low, lowest), weigh_draws(highest, high)
        assert dot(below, above) == pytest.approx(0.0, abs=1e-9)


def test_overlapping_intervals_share_what_they_overlap() -> None:
    """From 1 to 4 and from 2 to 16: an octave of both, of 2 and of 3."""
    shared = dot(weigh_draws(4.0, 1.0), weigh_draws(16.0, 2.0))
    assert shared == pytest.approx(1.0 / math.sqrt(6.0), rel=1e-12)


def test_differences_add_up() -> None:
    ends = [14.6146, 5.3, 1.0, 0.17, 0.0292]
    cells = [round(math.log2(end) / CELL) for end in ends]
    union = weigh_draws(ends[0], ends[-1])
    total: dict[int, float] = {}
    for (high, low), (a, b) in zip(
        itertools.pairwise(ends), itertools.pairwise(cells), strict=True
    ):
        for number, weight in weigh_draws(high, low).items():
            total[number] = total.get(number, 0.0) + weight * math.sqrt(a - b)
    scale = math.sqrt(cells[0] - cells[-1])
    for number in {*total, *union}:
        expected = union.get(number, 0.0) * scale
        assert total.get(number, 0.0) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("sigma", [1.0, 2.0**-20, 2.0**20, 3.3])
def test_an_interval_thinner_than_a_cell_is_a_cell(sigma: float) -> None:
    weights = weigh_draws(sigma * (1.0 + 1e-9), sigma)
    assert dot(weights, weights) == pytest.approx(1.0, rel=1e-12)


def test_the_numbers_of_some_draws() -> None:
    """The upper half of the axis: the path's end, the first tent's peak, nothing else."""
    assert weigh_draws(2.0**16, 1.0) == pytest.approx({0: math.sqrt(0.5), 1: -math.sqrt(0.5)})


def test_noise_is_the_weighted_sum_and_draws_are_kept() -> None:
    drawn: list[int] = []

    def noise(number: int) -> np.ndarray:
        drawn.append(number)
        return np.cos(np.arange(3.0) * number)

    path = BrownianPath(NumpyAlgebra(), noise)
    for high, low in itertools.pairwise([14.6, 6.0, 2.5, 1.1, 0.4, 0.1, 0.03]):
        expected = sum(
            weight * np.cos(np.arange(3.0) * number)
            for number, weight in weigh_draws(high, low).items()
        )
        np.testing.assert_allclose(path(high, low), expected, rtol=0, atol=1e-12)
    assert len(drawn) == len(set(drawn))
    # At most 17 tents for each of 7 ends, and the path's own end.
    assert len(drawn) <= 1 + 7 * HALVINGS
