"""BLAS 1 against NumPy float64, with bounds from the arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpucore import ArgumentError, Device, DTypeError, ShapeError
from gpucore.dtypes import DTYPES
from gpustd import linalg
from gpustd.launch.variants import force_variant
from tests.conftest import skip_without_f16
from tests.draws import draws
from tests.gpustd.arrays.operators import held_by, laid_out
from tests.gpustd.compare import compare
from tests.gpustd.poison import poison_pool

EPS = 2.0**-24
SHAPES = [(1,), (1024,), (2049,), (20003,), (2, 3, 40)]
VARIANTS = ("alone", "lanes")


def normal(shape: Any, seed: int = 0, dtype: Any = np.float32) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    if np.dtype(dtype).kind == "c":
        x = x + 1j * rng.standard_normal(shape)
    return np.asarray(x, dtype)


def sum_bound(terms: np.ndarray) -> Any:
    """Return n roundings of partial sums at most, each relative to the sum of sizes."""
    return (terms.shape[-1] + 2) * EPS * np.abs(terms).sum(-1) + 1e-45


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_dot_and_sums(device: Device, shape: tuple[int, ...], variant: str) -> None:
    x, y = normal(shape, 1), normal(shape, 2)
    a, b = device.buffer_from_array(x), device.buffer_from_array(y)
    wide, other = x.astype(np.float64), y.astype(np.float64)
    poison_pool(device, 4, 16, 256, 4096)
    with force_variant("reduce", variant):
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


@settings(max_examples=draws(20), deadline=None)
@given(
    st.lists(st.sampled_from([0, 1, 2, 7, 33, 130]), min_size=1, max_size=3).map(tuple),
    st.sampled_from(["f32", "f16", "c64"]),
    st.integers(0, 99),
    st.complex_numbers(max_magnitude=4, allow_subnormal=False, width=64),
    st.sampled_from(["plain", "steps", "turned", "back"]),
)
def test_drawn_vectors(
    device: Device, shape: tuple[int, ...], dtype: str, seed: int, scale: complex, layout: str
) -> None:
    """Check every function; f16 is rounded once more. Tiny products may count as 0."""
    dtype = held_by(device, dtype)
    kind = DTYPES[dtype].numpy
    x, y = (laid_out(normal(shape, seed + k, kind), layout) for k in range(2))
    a, b = device.buffer_from_array(x), device.buffer_from_array(y)
    exact = np.complex128 if dtype == "c64" else np.float64
    wide, other = x.astype(exact), y.astype(exact)
    number = scale if dtype == "c64" else scale.real

    def check(name: str, call: Any, expected: Any, allowed: Any) -> None:
        poison_pool(device, 4, x.nbytes)
        rounded = 2.0**-11 * np.abs(expected) + 6e-8 if dtype == "f16" else 0
        unit = float(max(np.abs(wide).max(initial=0), np.abs(expected).max(initial=0)))
        compare(device, f"linalg.{name}", call().read(), expected, allowed + rounded, unit)

    sums = 2 if dtype == "c64" else 1
    check("dot", lambda: linalg.dot(a, b), (wide * other).sum(-1), sums * sum_bound(wide * other))
    terms = wide.conj() * other
    check("dot", lambda: linalg.dot(a, b, conjugate=True), terms.sum(-1), sums * sum_bound(terms))
    lines = 8 * EPS * (1 + abs(number)) * (np.abs(wide) + np.abs(other)) + 1e-37
    check("axpy", lambda: linalg.axpy(a, b, number), number * wide + other, lines)
    check("scal", lambda: linalg.scal(number, a), number * wide, lines)
    if dtype != "c64":
        check("asum", lambda: linalg.asum(a), np.abs(wide).sum(-1), sum_bound(wide))
        length = np.sqrt((wide**2).sum(-1))
        check("nrm2", lambda: linalg.nrm2(a), length, (shape[-1] + 6) * EPS * length)
        c, s = np.cos(number), np.sin(number)
        check("rot", lambda: linalg.rot(a, b, c, s)[0], c * wide + s * other, lines)
        check("rot", lambda: linalg.rot(a, b, c, s)[1], c * other - s * wide, lines)
        if shape[-1]:
            check("iamax", lambda: linalg.iamax(a), np.abs(x).argmax(-1), 0)
    check("copy", lambda: linalg.copy(a), wide, 0)
    check("swap", lambda: linalg.swap(a, b)[0], other, 0)
    compare(device, "linalg.swap", b.read(), wide, 0)


def test_f16_is_summed_in_f32(device: Device) -> None:
    skip_without_f16(device, "f16")
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
@settings(max_examples=draws(12), deadline=None)
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


def test_refusals(device: Device) -> None:
    x = device.buffer_from_array(np.zeros(3, np.float32))
    y = device.buffer_from_array(np.zeros(4, np.float32))
    z = device.buffer_from_array(np.zeros(3, np.complex64))
    for call in (linalg.dot, linalg.axpy, linalg.swap):
        with pytest.raises(ShapeError, match=call.__name__):
            call(x, y)
        with pytest.raises(DTypeError, match=call.__name__):
            call(x, z)
    with pytest.raises(ArgumentError, match="must be real for real operands"):
        linalg.scal(1j, x)
    with pytest.raises(DTypeError, match="nrm2"):
        linalg.nrm2(z)
    with pytest.raises(ShapeError, match="empty"):
        linalg.iamax(device.buffer(x.dtype, (0,)))
    with pytest.raises(ShapeError, match="last axis"):
        linalg.asum(device.buffer(x.dtype, ()))


def test_length_where_sums_meet(device: Device) -> None:
    """Rows have elements on both sides of 2^52 and of 2^-63, where nrm2 changes its scale."""
    for middle in (52, -63):
        for apart in range(14):
            row = 2.0 ** (middle + np.array([1, 0, -1, -1, -2, -apart])) * 0.99
            x = np.tile(row.astype(np.float32), (2, 3))
            expected = np.linalg.norm(x.astype(np.float64), axis=-1)
            result = linalg.nrm2(device.buffer_from_array(x)).read()
            compare(device, "linalg.nrm2", result, expected, 32 * 2.0**-24 * expected)
