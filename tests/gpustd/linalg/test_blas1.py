"""BLAS 1 against NumPy float64, with bounds from the arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpucore import ArgumentError, Device, DTypeError, ShapeError
from gpustd import linalg
from gpustd.rungs import forced_rung
from tests.gpustd.compare import compare
from tests.gpustd.poison import poison_pool

EPS = 2.0**-24
SHAPES = [(0,), (1,), (7,), (1024,), (2049,), (20003,), (3, 5), (2, 3, 40), (0, 4), (4, 0)]
RUNGS = ("alone", "lanes")


def normal(shape: Any, seed: int = 0, dtype: Any = np.float32) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    if np.dtype(dtype).kind == "c":
        x = x + 1j * rng.standard_normal(shape)
    return np.asarray(x, dtype)


def sum_bound(terms: np.ndarray) -> Any:
    """n roundings of partial sums at most, each relative to the sum of sizes."""
    return (terms.shape[-1] + 2) * EPS * np.abs(terms).sum(-1) + 1e-45


@pytest.mark.parametrize("rung", RUNGS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_dot_and_sums(device: Device, shape: tuple[int, ...], rung: str) -> None:
    x, y = normal(shape, 1), normal(shape, 2)
    a, b = device.buffer_from_array(x), device.buffer_from_array(y)
    wide, other = x.astype(np.float64), y.astype(np.float64)
    poison_pool(device, 4, 16, 256, 4096)
    with forced_rung("reduce", rung):
        compare(
            device, "linalg.dot", linalg.dot(a, b).read(), (wide * other).sum(-1),
            sum_bound(wide * other),
        )  # fmt: skip
        compare(device, "linalg.asum", linalg.asum(a).read(), np.abs(wide).sum(-1), sum_bound(wide))
        length = np.sqrt((wide**2).sum(-1))
        allowed = (shape[-1] + 6) * EPS * length
        compare(device, "linalg.nrm2", linalg.nrm2(a).read(), length, allowed)
        if shape[-1]:
            found = linalg.iamax(a).read()
            np.testing.assert_array_equal(found, np.abs(x).argmax(-1))


@pytest.mark.parametrize("conjugate", [False, True])
@pytest.mark.parametrize("n", [0, 1, 33, 3000])
def test_complex_dot(device: Device, n: int, conjugate: bool) -> None:
    x, y = normal(n, 3, np.complex64), normal(n, 4, np.complex64)
    result = linalg.dot(
        device.buffer_from_array(x), device.buffer_from_array(y), conjugate=conjugate
    )
    terms = (x.conj() if conjugate else x).astype(np.complex128) * y
    compare(device, "linalg.dot", result.read(), terms.sum(), 2 * sum_bound(terms))


def test_f16_is_summed_in_f32(device: Device) -> None:
    if not device.has_f16:
        pytest.skip(f"{device!r} has no f16")
    x = device.buffer_from_array(np.full(4096, 0.5, np.float16))
    assert linalg.dot(x, x).read() == 1024
    assert linalg.asum(x).read() == 2048
    assert linalg.nrm2(x).read() == 32


@given(
    n=st.integers(1, 200),
    exponent=st.integers(-125, 120),
    spread=st.sampled_from([0, 8, 60]),
    seed=st.integers(0, 99),
)
@settings(max_examples=12, deadline=None)
def test_length_of_huge_and_tiny_vectors(
    device: Device, n: int, exponent: int, spread: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    x = rng.uniform(0.5, 1, n) * 2.0 ** np.clip(rng.integers(-spread, 1, n) + exponent, -125, 120)
    x = x.astype(np.float32)
    exact = np.sqrt((x.astype(np.float64) ** 2).sum())
    result = linalg.nrm2(device.buffer_from_array(x)).read()
    compare(device, "linalg.nrm2", result, exact, (n + 6) * EPS * exact)


def test_special_values(device: Device) -> None:
    x = np.array([[1, np.nan, 3], [np.inf, -np.inf, 1], [0, 0, 0], [2, -2, 1]], np.float32)
    b = device.buffer_from_array(x)
    np.testing.assert_array_equal(linalg.iamax(b).read(), [1, 0, 0, 0])
    np.testing.assert_array_equal(linalg.nrm2(b).read(), [np.nan, np.inf, 0, 3])
    np.testing.assert_array_equal(linalg.asum(b).read(), [np.nan, np.inf, 0, 5])


def test_lines(device: Device) -> None:
    x, y = normal((3, 7), 5), normal((3, 7), 6)
    a, b = device.buffer_from_array(x), device.buffer_from_array(y)
    wide, other = x.astype(np.float64), y.astype(np.float64)
    bound = 4 * EPS * (np.abs(wide) + np.abs(other))
    compare(device, "linalg.axpy", linalg.axpy(a, b, 0.75).read(), 0.75 * wide + other, bound)
    compare(device, "linalg.scal", linalg.scal(-1.5, a).read(), -1.5 * wide, bound)
    u, v = linalg.rot(a, b, 0.6, 0.8)
    compare(device, "linalg.rot", u.read(), 0.6 * wide + 0.8 * other, bound)
    compare(device, "linalg.rot", v.read(), 0.6 * other - 0.8 * wide, bound)
    np.testing.assert_array_equal(linalg.copy(a).read(), x)
    linalg.swap(a, b)
    np.testing.assert_array_equal(a.read(), y)
    np.testing.assert_array_equal(b.read(), x)


@pytest.mark.parametrize("n", [0, 1, 77])
def test_complex_lines(device: Device, n: int) -> None:
    x, y = normal(n, 7, np.complex64), normal(n, 8, np.complex64)
    a, b = device.buffer_from_array(x), device.buffer_from_array(y)
    poison_pool(device, 8 * n)
    bound = 8 * EPS * (np.abs(x) + np.abs(y)).astype(np.float64)
    expected = (0.5 - 0.25j) * x.astype(np.complex128)
    compare(device, "linalg.axpy", linalg.axpy(a, b, 0.5 - 0.25j).read(), expected + y, bound)
    compare(device, "linalg.scal", linalg.scal(0.5 - 0.25j, a).read(), expected, bound)


def test_refusals(device: Device) -> None:
    x = device.buffer_from_array(np.zeros(3, np.float32))
    y = device.buffer_from_array(np.zeros(4, np.float32))
    z = device.buffer_from_array(np.zeros(3, np.complex64))
    for call in (linalg.dot, linalg.axpy, linalg.swap):
        with pytest.raises(ShapeError, match=call.__name__):
            call(x, y)
        with pytest.raises(DTypeError, match=call.__name__):
            call(x, z)
    with pytest.raises(ArgumentError, match="complex"):
        linalg.scal(1j, x)
    with pytest.raises(DTypeError, match="nrm2"):
        linalg.nrm2(z)
    with pytest.raises(ShapeError, match="empty"):
        linalg.iamax(device.buffer(x.dtype, (0,)))
    with pytest.raises(ShapeError, match="last axis"):
        linalg.asum(device.buffer(x.dtype, ()))


def test_length_where_sums_meet(device: Device) -> None:
    """Rows with elements on both sides of 2^52 and of 2^-63, where nrm2 changes its scale."""
    for middle in (52, -63):
        for apart in range(14):
            row = 2.0 ** (middle + np.array([1, 0, -1, -1, -2, -apart])) * 0.99
            x = np.tile(row.astype(np.float32), (2, 3))
            expected = np.linalg.norm(x.astype(np.float64), axis=-1)
            result = linalg.nrm2(device.buffer_from_array(x)).read()
            compare(device, "linalg.nrm2", result, expected, 32 * 2.0**-24 * expected)
