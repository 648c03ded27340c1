"""Quantiles of the beta distribution: exact ones, identities, and SciPy's."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffusion.schedules.beta_distribution import beta_quantiles


def quantile(share: float, shape: float) -> float:
    return float(beta_quantiles(np.array([share]), shape)[0])


@settings(deadline=None)
@given(st.floats(0.0, 1.0))
def test_the_arcsine_distribution(share: float) -> None:
    """Beta(1/2, 1/2) has the distribution function (2/π) arcsin √x."""
    expected = math.sin(math.pi / 2 * share) ** 2
    assert quantile(share, 0.5) == pytest.approx(expected, rel=1e-12, abs=1e-300)


@settings(deadline=None)
@given(st.floats(0.0, 1.0))
def test_the_uniform_distribution(share: float) -> None:
    assert quantile(share, 1.0) == pytest.approx(share, rel=1e-12, abs=1e-300)


@settings(deadline=None)
@given(st.floats(0.0, 0.5))
def test_the_halves_mirror_each_other(share: float) -> None:
    mirrored = 1.0 - quantile(1.0 - share, 0.6)
    # 1 - share and 1 - quantile are rounded to 2⁻⁵³; the quantile's slope is below 1.5 there.
    assert quantile(share, 0.6) == pytest.approx(mirrored, abs=4e-16)


@pytest.mark.parametrize("share", [1e-6, 0.1, 0.37, 0.5])
def test_the_share_below_by_quadrature(share: float) -> None:
    """∫₀ˣ t^(-0.4) (1 - t)^(-0.4) dt with t = s^(5/3), which leaves (5/3)(1 - t)^(-0.4) ds."""
    nodes, weights = np.polynomial.legendre.leggauss(80)

    def integral(x: float) -> float:
        end = x**0.6
        t = ((nodes + 1.0) * end / 2.0) ** (5.0 / 3.0)
        return float(np.sum(weights * (1.0 - t) ** -0.4)) * end / 2.0 * 5.0 / 3.0

    assert integral(quantile(share, 0.6)) / integral(0.5) / 2.0 == pytest.approx(share, rel=1e-9)


def test_the_ends() -> None:
    np.testing.assert_array_equal(beta_quantiles(np.array([0.0, 0.5, 1.0]), 0.6)[[0, 2]], [0, 1])
