"""norm against NumPy float64, for every order and choice of axes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpucore import ArgumentError, Device, DTypeError, ShapeError, f32
from gpustd import linalg
from tests.draws import draws
from tests.gpustd.compare import compare

EPS = 2.0**-24
INF = np.inf


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(len(shape)).standard_normal(shape).astype(np.float32)


def check(device: Device, x: np.ndarray, arguments: tuple[Any, ...], keepdims: bool) -> None:
    result = linalg.norm(device.buffer_from_array(x), *arguments, keepdims=keepdims).read()
    exact = np.linalg.norm(x.astype(np.float64), *arguments, keepdims=keepdims)
    # Sums of sizes, and roots of sums of squares: as many roundings as terms, all of one sign.
    rounded = 2.0**-11 * np.abs(exact) + 6e-8 if x.dtype == np.float16 else 0
    allowed = (x.size + 6) * EPS * np.abs(exact) + 1e-45
    compare(device, "linalg.norm", result, exact, allowed + rounded)


@settings(max_examples=draws(25), deadline=None)
@given(
    st.lists(st.sampled_from([1, 2, 3, 7, 33]), min_size=1, max_size=3).map(tuple),
    st.sampled_from([np.float32, np.float16]),
    st.booleans(),
    st.data(),
)
def test_drawn_axes(
    device: Device, shape: tuple[int, ...], dtype: Any, keepdims: bool, data: st.DataObject
) -> None:
    """Any axis, or any two of them in either order; f16 is rounded once more."""
    dtype = dtype if device.has_f16 else np.float32
    x = normal(*shape).astype(dtype)
    axes = data.draw(st.permutations(range(len(shape))))
    if len(shape) > 1 and data.draw(st.booleans()):
        axis: Any = tuple(axes[:2])
        order = data.draw(st.sampled_from([None, "fro", 1, -1, INF, -INF]))
    else:
        axis = axes[0] - data.draw(st.sampled_from([0, len(shape)]))
        order = data.draw(st.sampled_from([None, 2, 1, 0, INF, -INF]))
    check(device, x, (order, axis), keepdims)


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


def test_specials_of_sums(device: Device) -> None:
    """WGSL's pow and comparisons leave open NaN, infinities, zeros and negative orders."""
    rows = [[np.nan, 1, 0], [INF, np.nan, 1], [-INF, INF, 1], [0, 3, 4], [-0.0, 0, 0], [2, -2, 1]]
    x = np.array(rows, np.float32)
    for order in (None, 0, 1, 2, 3, 0.5, -1, -2, INF, -INF):
        result = linalg.norm(device.buffer_from_array(x), order, 1).read()
        with np.errstate(all="ignore"):
            expected = np.linalg.norm(x.astype(np.float64), order, 1)
        # pow's relative error is some 2^-18 (WGSL 15.7.4 through exp2 and log2).
        np.testing.assert_allclose(result, expected, rtol=2**-17, err_msg=f"ord {order}")


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0), (2, 0, 3)])
def test_nothing_has_norm_zero(device: Device, shape: tuple[int, ...]) -> None:
    x = device.buffer(f32, shape)
    for order in (None, "fro", "nuc", 1, 2, INF):
        result = linalg.norm(x, order, (-2, -1)).read()
        np.testing.assert_array_equal(result, np.zeros(shape[:-2]))
    np.testing.assert_array_equal(linalg.norm(device.buffer(f32, (2, 0)), -2, 1).read(), [INF, INF])


def test_refusals(device: Device) -> None:
    x = device.buffer_from_array(np.zeros((2, 3, 4), np.float32))
    with pytest.raises(ShapeError, match="choose with axis"):
        linalg.norm(x, 1)
    with pytest.raises(ShapeError, match="axes of x"):
        linalg.norm(x, 1, 3)
    with pytest.raises(ShapeError, match="twice"):
        linalg.norm(x, 1, (0, -3))
    with pytest.raises(ArgumentError, match="vectors"):
        linalg.norm(x, "fro", 0)
    with pytest.raises(ArgumentError, match="matrices"):
        linalg.norm(x, 3, (0, 1))
    with pytest.raises(ShapeError, match="must have elements"):
        linalg.norm(device.buffer(x.dtype, (0,)), -INF)
    with pytest.raises(ShapeError, match="must have elements"):
        linalg.norm(device.buffer(x.dtype, (3, 0)), -2)
    with pytest.raises(ArgumentError, match="upload an array"):
        linalg.norm(np.zeros(3, np.float32))  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="whole number"):
        linalg.norm(x, 1, 1.5)  # type: ignore[arg-type]
    with pytest.raises(DTypeError, match="norm"):
        linalg.norm(device.buffer_from_array(np.zeros(3, np.complex64)))
