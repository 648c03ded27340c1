"""norm against NumPy float64, for every order and choice of axes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gpucore import ArgumentError, Device, DTypeError, ShapeError
from gpustd import linalg
from tests.gpustd.compare import compare

EPS = 2.0**-24
INF = np.inf


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(len(shape)).standard_normal(shape).astype(np.float32)


def check(device: Device, x: np.ndarray, arguments: tuple[Any, ...], keepdims: bool) -> None:
    result = linalg.norm(device.buffer_from_array(x), *arguments, keepdims=keepdims).read()
    exact = np.linalg.norm(x.astype(np.float64), *arguments, keepdims=keepdims)
    # Sums of sizes, and roots of sums of squares: as many roundings as terms, all of one sign.
    compare(device, "linalg.norm", result, exact, (x.size + 6) * EPS * np.abs(exact) + 1e-45)


@pytest.mark.parametrize("order", [None, 2, 1, 0, INF, -INF])
@pytest.mark.parametrize(("shape", "axis"), [((70,), None), ((3, 40, 5), 1), ((4, 6), -1)])
def test_of_vectors(device: Device, shape: Any, axis: Any, order: Any) -> None:
    check(device, normal(*shape), (order, axis), keepdims=axis == 1)


@pytest.mark.parametrize("order", [None, "fro", 1, -1, INF, -INF])
@pytest.mark.parametrize(
    ("shape", "axis"), [((5, 70), None), ((3, 4, 5), (0, 2)), ((2, 3, 4), (-1, 1))]
)
def test_of_matrices(device: Device, shape: Any, axis: Any, order: Any) -> None:
    check(device, normal(*shape), (order, axis), keepdims=axis == (0, 2))


@pytest.mark.parametrize("order", [2, -2, "nuc"])
def test_of_singular_values(device: Device, order: Any) -> None:
    """Each value is as far off as the matrix, whose error is some eps of its own 2-norm."""
    x = normal(3, 6, 4)
    result = linalg.norm(device.buffer_from_array(x), order, (0, 2)).read()
    exact = np.linalg.norm(x.astype(np.float64), order, (0, 2))
    largest = np.linalg.norm(x.astype(np.float64), 2, (0, 2))
    compare(device, "linalg.norm", result, exact, 4 * 50 * EPS * largest)


def test_of_everything(device: Device) -> None:
    check(device, normal(3, 4, 5), (), keepdims=False)
    check(device, normal(3, 4, 5), (), keepdims=True)
    check(device, np.zeros((0, 3), np.float32), (1, 0), keepdims=False)


@pytest.mark.parametrize("order", [3, 0.5, -1])
def test_of_other_powers(device: Device, order: float) -> None:
    """log2 errs by 2^-21 and exp2 by 2^-21 or so (WGSL, accuracy of built-ins): p + 1/p of them."""
    x = np.abs(normal(40)) + 0.25
    result = linalg.norm(device.buffer_from_array(x), order).read()
    exact = np.linalg.norm(x.astype(np.float64), order)
    allowed = exact * (40 * EPS + (2 + abs(order)) * (2 + 1 / abs(order)) * 2.0**-19)
    compare(device, "linalg.norm", result, exact, allowed)


def test_nan_and_infinity(device: Device) -> None:
    x = device.buffer_from_array(np.array([[1, np.nan], [1, -INF], [2, -3]], np.float32))
    np.testing.assert_array_equal(linalg.norm(x, INF, 1).read(), [np.nan, INF, 3])
    np.testing.assert_array_equal(linalg.norm(x, -INF, 1).read(), [np.nan, 1, 2])


def test_refusals(device: Device) -> None:
    x = device.buffer_from_array(np.zeros((2, 3, 4), np.float32))
    with pytest.raises(ShapeError, match="tell which"):
        linalg.norm(x, 1)
    with pytest.raises(ShapeError, match="its axes"):
        linalg.norm(x, 1, 3)
    with pytest.raises(ShapeError, match="twice"):
        linalg.norm(x, 1, (0, -3))
    with pytest.raises(ArgumentError, match="vectors"):
        linalg.norm(x, "fro", 0)
    with pytest.raises(ArgumentError, match="matrices"):
        linalg.norm(x, 3, (0, 1))
    with pytest.raises(ShapeError, match="without"):
        linalg.norm(device.buffer(x.dtype, (0,)), INF)
    with pytest.raises(DTypeError, match="norm"):
        linalg.norm(device.buffer_from_array(np.zeros(3, np.complex64)))
