"""lu_factor, lu_solve and lu: residuals against float64, and SciPy's own pivots."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

from gpucore import ArgumentError, Device, DTypeError, ShapeError
from gpustd import linalg
from gpustd.launch.variants import force_variant
from tests.draws import draws
from tests.gpustd.compare import compare
from tests.gpustd.poison import poison_pool

EPS = 2.0**-24
# Variant; invocations, columns of a panel, columns factored before those right of it: small, as
# a software renderer compiles it.
VARIANTS = [("alone", None), ("panel", (32, 8, 24)), ("panel_registers", (32, 44, 44))]


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def rows_in_order(piv: np.ndarray) -> np.ndarray:
    order = np.arange(len(piv))
    for k, p in enumerate(piv):
        order[[k, p]] = order[[p, k]]
    return order


def check(device: Device, factor: np.ndarray, piv: np.ndarray, a: np.ndarray) -> None:
    """Check |L U - P A| <= (n + 2) eps |L| |U| (Higham 2002, theorem 9.3), and |L| <= 1."""
    n = len(a)
    lower = np.tril(factor.astype(np.float64), -1) + np.eye(n)
    upper = np.triu(factor.astype(np.float64))
    wide = a[rows_in_order(piv)].astype(np.float64)
    allowed = (2 * n + 8) * EPS * np.abs(lower) @ np.abs(upper)
    compare(device, "linalg.lu_factor", (lower @ upper), wide, allowed)
    assert np.all(np.abs(lower) <= 1 + 4 * EPS)
    assert np.all(piv >= np.arange(n))


@pytest.mark.parametrize(("variant", "tile"), VARIANTS)
@pytest.mark.parametrize("n", [1, 2, 9, 44])
def test_factors(device: Device, n: int, variant: str, tile: Any) -> None:
    a = normal(n, n, seed=n)
    operand = device.buffer_from_array(a)
    poison_pool(device, a.nbytes, 4 * n)
    with force_variant("panel", variant, tile):
        factors = linalg.lu_factor(operand)
        assert isinstance(factors, linalg.LU)
        factor, piv = factors
        check(device, factor.read(), piv.read(), a)
    np.testing.assert_array_equal(piv.read(), scipy.linalg.lu_factor(a.astype(np.float64))[1])


def test_panels_by_halves(device: Device) -> None:
    a = normal(60, 60)
    with force_variant("panel", "panel_registers", (32, 16, 44)):
        factor, piv = linalg.lu_factor(device.buffer_from_array(a))
        check(device, factor.read(), piv.read(), a)


def test_more_rows_than_a_block(device: Device) -> None:
    a = normal(130, 130)
    factor, piv = linalg.lu_factor(device.buffer_from_array(a))
    check(device, factor.read(), piv.read(), a)


@pytest.mark.parametrize(("variant", "tile"), VARIANTS)
def test_batches_are_their_matrices(device: Device, variant: str, tile: Any) -> None:
    a = normal(2, 3, 13, 13)
    with force_variant("panel", variant, tile):
        factor, piv = (x.read() for x in linalg.lu_factor(device.buffer_from_array(a)))
        alone = linalg.lu_factor(device.buffer_from_array(a[1, 2])).lu.read()
    for i in np.ndindex(2, 3):
        check(device, factor[i], piv[i], a[i])
    np.testing.assert_array_equal(factor[1, 2], alone)


@pytest.mark.parametrize(("variant", "tile"), VARIANTS)
def test_singular_matrices(device: Device, variant: str, tile: Any) -> None:
    """Elements are integers, so that the zeros are exact; ties take the first row."""
    a = np.array([[[1, 2, 3], [1, 2, 3], [-1, -2, 5]], np.zeros((3, 3))], np.float32)
    with force_variant("panel", variant, tile):
        factor, piv = (x.read() for x in linalg.lu_factor(device.buffer_from_array(a)))
    np.testing.assert_array_equal(factor[0], [[1, 2, 3], [1, 0, 0], [-1, 0, 8]])
    np.testing.assert_array_equal(factor[1], 0)
    np.testing.assert_array_equal(piv, [[0, 1, 2], [0, 1, 2]])


@pytest.mark.parametrize("trans", [0, 1])
def test_solves(device: Device, trans: Any) -> None:
    n = 40
    a, b = normal(2, 1, n, n), normal(3, n, 5, seed=1)
    operands = [device.buffer_from_array(x) for x in (a, b)]
    factors = linalg.lu_factor(operands[0])
    x = linalg.lu_solve(factors, operands[1], trans).read()
    wide = a.astype(np.float64)
    wide = np.swapaxes(wide, -1, -2) if trans else wide
    exact = np.linalg.solve(*np.broadcast_arrays(wide, np.zeros((2, 3, n, n)))[:1], b)
    # |x - exact| <= |A^-1| 3 (n + 2) eps |L| |U| |x| (Higham, theorem 9.4), |L| |U| <= n^1.5 |A|.
    reach = np.abs(np.linalg.inv(wide)) @ (np.abs(wide) @ np.abs(exact))
    compare(device, "linalg.lu_solve", x, exact, 3 * (n + 2) * 8 * EPS * reach)
    vector = device.buffer_from_array(b[0, :, 0].copy())
    assert linalg.lu_solve(factors, vector).shape == (2, 1, n)


@settings(max_examples=draws(20), deadline=None)
@given(
    st.sampled_from([(), (1,), (3,), (2, 2), (0,)]),
    st.sampled_from([0, 1, 2, 3, 8, 13, 33]),
    st.sampled_from([None, 0, 1, 3]),
    st.sampled_from([0, 1, "T"]),
    st.integers(0, 99),
)
def test_drawn_systems(
    device: Device, batch: tuple[int, ...], n: int, k: int | None, trans: Any, seed: int
) -> None:
    """Check lu_factor, lu and lu_solve, with a lone vector, or columns for each matrix."""
    a = normal(*batch, n, n, seed=seed)
    operand = device.buffer_from_array(a)
    poison_pool(device, a.nbytes, 4 * n)
    factors = linalg.lu_factor(operand)
    factor, piv = (x.read() for x in factors)
    for i in np.ndindex(*batch):
        check(device, factor[i], piv[i], a[i])
    p, lower, upper = (x.read().astype(np.float64) for x in linalg.lu(operand))
    allowed = (2 * n + 8) * EPS * np.abs(lower) @ np.abs(upper)
    compare(device, "linalg.lu", p @ lower @ upper, a.astype(np.float64), p @ allowed)
    assert np.all(p.sum(-1) == 1)
    assert np.all(p.sum(-2) == 1)
    b = normal(n, seed=1) if k is None else normal(*batch, n, k, seed=1)
    x = linalg.lu_solve(factors, device.buffer_from_array(b), trans).read()
    columns = np.broadcast_to(b[:, None] if k is None else b, (*batch, n, 1 if k is None else k))
    wide = np.swapaxes(a, -1, -2) if trans else a
    exact = np.linalg.solve(wide.astype(np.float64), columns)
    # |x - exact| <= |A^-1| 3 (n + 2) eps |L| |U| |x| (Higham, theorem 9.4), for both orders.
    size = p @ (np.abs(lower) @ np.abs(upper))
    reach = (np.swapaxes(size, -1, -2) if trans else size) @ np.abs(exact)
    allowed = 6 * (n + 4) * EPS * np.abs(np.linalg.inv(wide.astype(np.float64))) @ reach
    result = x[..., None] if k is None else x
    compare(device, "linalg.lu_solve", result, exact, allowed)


def test_three_factors(device: Device) -> None:
    a = normal(2, 20, 20)
    p, lower, upper = (x.read().astype(np.float64) for x in linalg.lu(device.buffer_from_array(a)))
    expected = scipy.linalg.lu(a.astype(np.float64))
    np.testing.assert_array_equal(p, expected[0])
    np.testing.assert_array_equal(np.triu(lower), np.broadcast_to(np.eye(20), lower.shape))
    np.testing.assert_array_equal(np.tril(upper, -1), 0)
    allowed = 48 * EPS * np.abs(lower) @ np.abs(upper)
    compare(device, "linalg.lu", p @ lower @ upper, a.astype(np.float64), p @ allowed)


def test_refusals(device: Device) -> None:
    def zeros(*shape: int, dtype: Any = np.float32) -> Any:
        return device.buffer_from_array(np.zeros(shape, dtype))

    with pytest.raises(ArgumentError, match="must be the pair"):
        linalg.lu_solve(zeros(2, 2), zeros(2))  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="lu_factor"):
        linalg.lu_factor(zeros(2, 3))
    with pytest.raises(DTypeError, match="f32"):
        linalg.lu_factor(zeros(2, 2, dtype=np.int32))
    with pytest.raises(ShapeError, match="piv"):
        linalg.lu_solve((zeros(2, 2), zeros(3, dtype=np.int32)), zeros(2))
