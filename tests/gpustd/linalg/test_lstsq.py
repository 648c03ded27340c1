"""lstsq, pinv, matrix_rank and cond against SciPy float64, on every engine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gpucore import ArgumentError, Device, DTypeError, ShapeError, f16
from gpustd.linalg.least_squares import cond, lstsq, matrix_rank, pinv
from tests.draws import draws
from tests.gpustd.compare import compare
from tests.gpustd.linalg.matrices import EPS, normal, with_values
from tests.gpustd.poison import poison_pool

Array = NDArray[Any]


def check(device: Device, a: Array, b: Array) -> None:
    """Fail unless the solution is SciPy's to the accuracy that the condition number allows.

    x moves by kappa (1 + kappa |r| / (|a| |x|)) times the backward error (Higham 2002, theorem
    20.1), and that of `svd` is (4 (m + n) + 32) EPS.
    """
    m, n = a.shape[-2:]
    poison_pool(device, 4 * n, b.nbytes)
    x, residues, rank, s = (y.read() for y in lstsq(*(device.buffer_from_array(y) for y in (a, b))))
    expected = scipy.linalg.lstsq(a.astype(np.float64), b.astype(np.float64))
    want = expected[0]
    left = b - a.astype(np.float64) @ want
    values = expected[3]
    kappa = values[0] / values[-1]
    backward = (4 * (m + n) + 32) * EPS
    size = np.linalg.norm(want) + kappa * np.linalg.norm(left) / values[0]
    compare(device, "linalg.lstsq", x, want, backward * kappa * size)
    moved = backward * (values[0] * np.linalg.norm(want) + np.linalg.norm(b))
    squares = np.sum(left**2, axis=0)
    limit = moved * (2 * np.sqrt(squares) + moved)
    compare(device, "linalg.lstsq", residues, squares, limit, unit=float(np.linalg.norm(b) ** 2))
    compare(device, "linalg.lstsq", s, values, backward * values[0])
    assert int(rank) == min(m, n)


@settings(max_examples=draws(8), deadline=None)
@given(
    m=st.sampled_from([1, 2, 7, 31, 40]),
    n=st.sampled_from([1, 3, 13, 20]),
    ends=st.sampled_from([(), (1,), (5,)]),
)
def test_any_shape(device: Device, m: int, n: int, ends: tuple[int, ...]) -> None:
    check(device, normal(m, n), normal(m, *ends, seed=1))


def test_many_rows(device: Device) -> None:
    check(device, normal(700, 20), normal(700, 18, seed=1))


def test_nothing_to_solve(device: Device) -> None:
    for m, n in ((0, 3), (3, 0)):
        a, b = np.zeros((m, n), np.float32), np.ones((m, 2), np.float32)
        poison_pool(device, 8 * n, 8)
        found = lstsq(*(device.buffer_from_array(y) for y in (a, b)))
        x, residues, rank, s = (y.read() for y in found)
        np.testing.assert_array_equal(x, np.zeros((n, 2)))
        np.testing.assert_array_equal(residues, np.full(2, m))
        assert int(rank) == 0
        assert s.shape == (0,)


def test_deficient_rank_takes_the_shortest(device: Device) -> None:
    a = with_values(12, np.array([2.0, 1.0, 0.5, 0, 0]))
    b = normal(12, seed=3)
    x, _, rank, _ = lstsq(*(device.buffer_from_array(y) for y in (a, b)), cond=1e-5)
    assert int(rank.read()) == 3
    expected = scipy.linalg.lstsq(a.astype(np.float64), b.astype(np.float64), cond=1e-5)[0]
    # The condition number of what is kept is 4; that of the subspaces as well.
    compare(device, "linalg.lstsq", x.read(), expected, 4**2 * 100 * EPS * np.linalg.norm(b))


def test_batches(device: Device) -> None:
    a, b = normal(2, 3, 9, 4), normal(2, 3, 9, seed=1)
    x, residues, rank, s = lstsq(*(device.buffer_from_array(y) for y in (a, b)))
    assert (x.shape, residues.shape, rank.shape, s.shape) == ((2, 3, 4), (2, 3), (2, 3), (2, 3, 4))
    for i, j in np.ndindex(2, 3):
        alone = lstsq(*(device.buffer_from_array(y[i, j]) for y in (a, b)))
        np.testing.assert_array_equal(x.read()[i, j], alone[0].read())


@settings(max_examples=draws(15), deadline=None)
@given(
    m=st.sampled_from([1, 2, 5, 13]),
    n=st.sampled_from([1, 3, 8]),
    ahead=st.sampled_from([(), (3,), (2, 2), (0,)]),
    seed=st.integers(0, 99),
)
def test_drawn_matrices(device: Device, m: int, n: int, ahead: tuple[int, ...], seed: int) -> None:
    """Check pinv, matrix_rank and cond of a batch whose condition numbers are at most 30.

    An inverse is off by its squared size times the error of svd (Wedin 1973), 2-norms by the
    latter.
    """
    k = min(m, n)
    values = np.linspace(1, 1 / 30, k)
    tall = np.zeros((*ahead, max(m, n), k), np.float32)
    for i in np.ndindex(*ahead):
        tall[i] = with_values(max(m, n), values, seed)
    a = np.ascontiguousarray(tall if m >= n else np.swapaxes(tall, -1, -2))
    operand, wide = device.buffer_from_array(a), a.astype(np.float64)
    slack = (4 * (m + n) + 32) * EPS
    poison_pool(device, a.nbytes, 4)
    y = pinv(operand).read()
    worst = 1 / values[-1]
    compare(device, "linalg.pinv", y, np.linalg.pinv(wide), 3 * slack * worst**2)
    ranks = matrix_rank(operand).read()
    compare(device, "linalg.matrix_rank", ranks, np.full(ahead, k), 0)
    expected = np.asarray(np.linalg.cond(wide))
    allowed = 2 * slack * expected * (1 + expected)
    compare(device, "linalg.cond", cond(operand).read(), expected, allowed)
    if m == n:
        for p in (1, -1, np.inf, -np.inf, "fro"):
            expected = np.asarray(np.linalg.cond(wide, p))
            # Of an inverse off by 3 worst^2 slack in each of its k elements of a column or row.
            allowed = 6 * slack * k**1.5 * worst**2 * (1 + expected)
            compare(device, "linalg.cond", cond(operand, p).read(), expected, allowed)


def test_rank(device: Device) -> None:
    a = np.stack([with_values(9, np.arange(9.0) >= k) for k in range(10)])
    ranks = matrix_rank(device.buffer_from_array(a)).read()
    np.testing.assert_array_equal(ranks, 9 - np.arange(10))


def test_cond(device: Device) -> None:
    a = np.stack([with_values(6, np.linspace(1, 1 / k, 6)) for k in (1, 3, 100)])
    y = cond(device.buffer_from_array(a)).read()
    expected = np.linalg.cond(a.astype(np.float64))
    # Both values are off by some units of the largest.
    compare(device, "linalg.cond", y, expected, 80 * EPS * expected * (1 + expected))
    for p in (-2, 1, -1, np.inf, -np.inf, "fro", "nuc"):
        y = cond(device.buffer_from_array(a), p).read()
        expected = np.linalg.cond(a.astype(np.float64), p)
        # An inverse is off by its share of the condition number, 100 at most, of its largest size.
        compare(device, "linalg.cond", y, expected, 200 * EPS * 100 * expected.max())
    assert cond(device.buffer_from_array(np.zeros((3, 2), np.float32))).read() == np.inf
    x = np.array([[[1, 2], [2, 4]], [[0, 0], [0, 0]], [[np.nan, 1], [1, 1]]], np.float32)
    for p in (1, -1, np.inf, -np.inf, "fro"):
        y = cond(device.buffer_from_array(x), p).read()
        np.testing.assert_array_equal(y, [np.inf, np.inf, np.nan])
    y = cond(device.buffer_from_array(x[:2]), -2).read()
    np.testing.assert_allclose(y, [0, np.inf], atol=EPS)
    with pytest.raises(ShapeError, match="must be square"):
        cond(device.buffer_from_array(np.zeros((3, 2), np.float32)), 1)
    with pytest.raises(ArgumentError, match=r"ord .*3"):
        cond(device.buffer_from_array(a), 3)
    with pytest.raises(ShapeError, match="cond"):
        cond(device.buffer_from_array(np.zeros((0, 2), np.float32)))


def test_wrong_operands(device: Device) -> None:
    a = device.buffer_from_array(normal(4, 3))
    with pytest.raises(ShapeError, match="lstsq"):
        lstsq(a, device.buffer_from_array(normal(3)))
    with pytest.raises(DTypeError, match="lstsq"):
        lstsq(a, device.buffer(f16, (4,)))  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="lstsq"):
        lstsq(a, device.buffer_from_array(normal(4)), cond=-1)
    with pytest.raises(ArgumentError, match="pinv"):
        pinv(a, rtol=float("nan"))
