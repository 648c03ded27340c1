"""solve, inv, det and slogdet against NumPy float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

from gpucore import ArgumentError, Device, DTypeError, ShapeError
from gpustd import linalg
from tests.draws import draws
from tests.gpustd.compare import compare
from tests.gpustd.poison import poison_pool

EPS = 2.0**-24


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def growth(a: np.ndarray) -> np.ndarray:
    """Return P |L| |U| of the exact factors, in which the backward error of LU is measured."""
    p, lower, upper = scipy.linalg.lu(a.astype(np.float64))
    return np.asarray(p @ (np.abs(lower) @ np.abs(upper)))


def forward_bound(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return |A^-1| 3 (n + 2) eps |L| |U| |x| (Higham 2002, theorem 9.4), doubled."""
    n = a.shape[-1]
    return np.asarray(
        6 * (n + 4) * EPS * np.abs(np.linalg.inv(a.astype(np.float64))) @ growth(a) @ np.abs(x)
    )


@pytest.mark.parametrize("n", [1, 5, 40])
def test_solves(device: Device, n: int) -> None:
    a, b = normal(n, n), normal(n, 3, seed=1)
    operands = [device.buffer_from_array(x) for x in (a, b)]
    exact = np.linalg.solve(a.astype(np.float64), b)
    compare(device, "linalg.solve", linalg.solve(*operands).read(), exact, forward_bound(a, exact))
    vector = device.buffer_from_array(b[:, 0].copy())
    result = linalg.solve(operands[0], vector).read()
    compare(device, "linalg.solve", result, exact[:, 0], forward_bound(a, exact[:, :1])[:, 0])


@pytest.mark.parametrize("kind", ["pos", "sym"])
@pytest.mark.parametrize("lower", [False, True])
def test_solves_from_a_triangle(device: Device, kind: str, lower: bool) -> None:
    n = 37
    a = normal(n, n)
    a = a @ a.T / n + np.eye(n, dtype=np.float32) if kind == "pos" else a + a.T
    b = normal(n, 2, seed=1)
    broken = (np.tril if lower else np.triu)(a)
    broken[broken == 0] = np.nan
    operands = [device.buffer_from_array(x) for x in (broken, b)]
    x = linalg.solve(*operands, lower=lower, assume_a=kind).read()
    exact = np.linalg.solve(a.astype(np.float64), b)
    compare(device, "linalg.solve", x, exact, 2 * forward_bound(a, exact))


BATCH = st.sampled_from([(), (1,), (3,), (2, 2), (0,)])
SIDE = st.sampled_from([0, 1, 2, 3, 5, 13])


def bounds(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return `forward_bound` of each matrix of a batch."""
    allowed = np.zeros(x.shape)
    for i in np.ndindex(*a.shape[:-2]):
        if a.shape[-1]:
            allowed[i] = forward_bound(a[i], x[i])
    return allowed


@settings(max_examples=draws(20), deadline=None)
@given(BATCH, SIDE, st.sampled_from([None, 0, 1, 4]), st.sampled_from(["gen", "pos", "sym"]),
       st.booleans(), st.integers(0, 99))  # fmt: skip
def test_drawn_systems(
    device: Device,
    batch: tuple[int, ...],
    n: int,
    k: int | None,
    kind: str,
    lower: bool,
    seed: int,
) -> None:
    """Solve for a lone vector, or columns for each matrix; one triangle may be NaN."""
    a = normal(*batch, n, n, seed=seed)
    turned = np.swapaxes(a, -1, -2)
    if kind == "pos":
        a = (a @ turned / max(n, 1) + np.eye(n)).astype(np.float32)
    elif kind == "sym":
        a = a + turned
    b = normal(n, seed=1) if k is None else normal(*batch, n, k, seed=1)
    other = np.full((n, n), np.nan, np.float32)
    broken = a if kind == "gen" else a + (np.triu(other, 1) if lower else np.tril(other, -1))
    operands = [device.buffer_from_array(x) for x in (broken, b)]
    poison_pool(device, b.nbytes)
    x = linalg.solve(*operands, lower=lower, assume_a=kind).read()
    wide = np.broadcast_to(b if k is not None else b[:, None], (*batch, n, 1 if k is None else k))
    exact = np.linalg.solve(a.astype(np.float64), wide)
    allowed = 2 * bounds(a, exact)
    if k is None:
        exact, allowed = exact[..., 0], allowed[..., 0]
    compare(device, "linalg.solve", x, exact, allowed)


@settings(max_examples=draws(20), deadline=None)
@given(BATCH, SIDE, st.integers(0, 99))
def test_drawn_inverses_and_determinants(
    device: Device, batch: tuple[int, ...], n: int, seed: int
) -> None:
    a = normal(*batch, n, n, seed=seed)
    operand = device.buffer_from_array(a)
    inverse = np.linalg.inv(a.astype(np.float64))
    poison_pool(device, a.nbytes, 4)
    compare(device, "linalg.inv", linalg.inv(operand).read(), inverse, bounds(a, inverse))
    check_determinants(device, a)


def test_batches_broadcast(device: Device) -> None:
    a, b = normal(2, 1, 6, 6), normal(3, 6, 2, seed=1)
    x = linalg.solve(*(device.buffer_from_array(v) for v in (a, b))).read()
    exact = np.linalg.solve(a.astype(np.float64), b)
    allowed = np.array([[forward_bound(a[i, 0], exact[i, j]) for j in range(3)] for i in range(2)])
    compare(device, "linalg.solve", x, exact, allowed)


def test_a_singular_matrix_has_no_finite_solution(device: Device) -> None:
    a = device.buffer_from_array(np.ones((3, 3), np.float32))
    b = device.buffer_from_array(np.array([1, 2, 3], np.float32))
    assert not np.all(np.isfinite(linalg.solve(a, b).read()))


@pytest.mark.parametrize("n", [1, 6, 45])
def test_inverse(device: Device, n: int) -> None:
    a = normal(2, n, n)
    result = linalg.inv(device.buffer_from_array(a)).read()
    exact = np.linalg.inv(a.astype(np.float64))
    allowed = np.array([forward_bound(m, x) for m, x in zip(a, exact, strict=True)])
    compare(device, "linalg.inv", result, exact, allowed)


@pytest.mark.parametrize("n", [0, 1, 2, 30])
def test_determinants(device: Device, n: int) -> None:
    check_determinants(device, normal(2, n, n))


def check_determinants(device: Device, a: np.ndarray) -> None:
    """Compare determinants: log det(A + E) - log det A is trace(A^-1 E) to first order.

    Then come n roundings of the product. A sign is checked where that is below a half.
    """
    n = a.shape[-1]
    operand = device.buffer_from_array(a)
    sign, size = linalg.slogdet(operand)
    exact_sign, exact = np.linalg.slogdet(a.astype(np.float64))
    inverse = np.linalg.inv(a.astype(np.float64))
    moved = np.zeros(a.shape[:-2])
    for i in np.ndindex(*a.shape[:-2]):
        moved[i] = np.sum(np.abs(inverse[i]).T * growth(a[i])) if n else 0
    relative = np.asarray(moved) * (2 * n + 8) * EPS + 4 * n * EPS
    sure = relative < 0.5
    np.testing.assert_array_equal(sign.read()[sure], np.asarray(exact_sign)[sure])
    compare(device, "linalg.slogdet", size.read(), exact, relative + 8 * EPS * (1 + np.abs(exact)))
    whole = exact_sign * np.exp(exact)
    compare(device, "linalg.det", linalg.det(operand).read(), whole, 2 * relative * np.abs(whole))


def test_determinants_of_wide_range(device: Device) -> None:
    """Partial products overflow and vanish; the whole product does not, or does as it should."""
    diagonals = np.array([[2.0**100, 2.0**100, 2.0**-100, -(2.0**-90)], [2.0**60] * 4], np.float32)
    singular = np.zeros((1, 4, 4), np.float32)
    a = np.concatenate([np.stack([np.diag(d) for d in diagonals]), singular])
    operand = device.buffer_from_array(a)
    np.testing.assert_array_equal(linalg.det(operand).read(), [-(2.0**10), np.inf, 0])
    result = linalg.slogdet(operand)
    assert isinstance(result, linalg.SlogDet)
    sign, size = result
    np.testing.assert_array_equal(sign.read(), [-1, 1, 0])
    expected = np.log(2.0) * np.array([10, 240, -np.inf])
    compare(device, "linalg.slogdet", size.read(), expected, 1e-4)


def test_refusals(device: Device) -> None:
    def zeros(*shape: int, dtype: Any = np.float32) -> Any:
        return device.buffer_from_array(np.zeros(shape, dtype))

    for call in (linalg.inv, linalg.det, linalg.slogdet):
        with pytest.raises(ShapeError, match=call.__name__):
            call(zeros(2, 3))
        with pytest.raises(DTypeError, match=call.__name__):
            call(zeros(2, 2, dtype=np.int32))
    with pytest.raises(ArgumentError, match="assume_a"):
        linalg.solve(zeros(2, 2), zeros(2), assume_a="her")
    with pytest.raises(ShapeError, match="solve"):
        linalg.solve(zeros(2, 2), zeros(3))
