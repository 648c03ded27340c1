"""BLAS 2 against NumPy float64, with bounds from the arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpucore import ArgumentError, Device, DTypeError, ShapeError
from gpustd import linalg
from gpustd.launch.variants import force_variant
from tests.conftest import skip_without_f16
from tests.draws import draws
from tests.gpustd.compare import compare
from tests.gpustd.poison import poison_pool

EPS = 2.0**-24
VARIANTS = ("alone", "lanes")


def normal(*shape: int, seed: int = 0, dtype: Any = np.float32) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def product(a: np.ndarray, x: np.ndarray, rounding: float = EPS) -> tuple[np.ndarray, np.ndarray]:
    """Return the exact product, and the change that n + 4 roundings of its terms may make."""
    wide, other = a.astype(np.float64), x.astype(np.float64)
    exact = (wide @ other[..., None])[..., 0]
    size = (np.abs(wide) @ np.abs(other)[..., None])[..., 0]
    return exact, (a.shape[-1] + 4) * EPS * size + rounding * np.abs(exact) + 1e-45


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(("m", "n"), [(1, 1), (3, 200), (300, 5), (37, 64), (0, 3), (3, 0)])
def test_gemv(device: Device, m: int, n: int, variant: str) -> None:
    a, x, z = normal(m, n), normal(n, seed=1), normal(m, seed=2)
    buffers = [device.buffer_from_array(v) for v in (a, x, z)]
    poison_pool(device, z.nbytes, x.nbytes)
    with force_variant("gemv", variant):
        plain = linalg.gemv(1.0, buffers[0], buffers[1]).read()
        scaled = linalg.gemv(0.5, buffers[0], buffers[1], -2.0, buffers[2]).read()
        flipped = linalg.gemv(2.0, buffers[0], buffers[2], trans=1).read()
    exact, bound = product(a, x)
    compare(device, "linalg.gemv", plain, exact, bound)
    compare(device, "linalg.gemv", scaled, 0.5 * exact - 2.0 * z, bound + 8 * EPS * np.abs(z))
    exact, bound = product(a.T, z)
    compare(device, "linalg.gemv", flipped, 2 * exact, 2 * bound)


def test_gemv_broadcasts_and_ignores_y_at_beta_0(device: Device) -> None:
    a, x = normal(2, 1, 6, 8), normal(3, 8)
    y = device.buffer_from_array(np.full((2, 3, 6), np.nan, np.float32))
    result = linalg.gemv(1.0, *(device.buffer_from_array(v) for v in (a, x)), 0.0, y)
    compare(device, "linalg.gemv", result.read(), *product(a, x))


@settings(max_examples=draws(20), deadline=None)
@given(
    st.sampled_from([((), ()), ((3,), ()), ((), (2,)), ((2, 1), (3,)), ((0,), ())]),
    st.tuples(*[st.sampled_from([0, 1, 2, 5, 8, 37, 67])] * 2),
    st.sampled_from(["f32", "f16"]),
    st.sampled_from([0, 1, 2, "N", "T", "C"]),
    st.tuples(*[st.floats(-4, 4, width=32, allow_subnormal=False)] * 2),
    st.integers(0, 99),
)
def test_drawn_products(
    device: Device,
    batches: tuple[tuple[int, ...], tuple[int, ...]],
    sizes: tuple[int, int],
    dtype: str,
    trans: Any,
    scales: tuple[float, float],
    seed: int,
) -> None:
    """Check gemv and ger, with an addend and without."""
    kind = np.float16 if dtype == "f16" and device.has_f16 else np.float32
    rounding = 2.0**-11 if kind is np.float16 else EPS
    rows, columns = sizes
    a = normal(*batches[0], rows, columns, seed=seed, dtype=kind)
    op = a if trans in (0, "N") else np.swapaxes(a, -1, -2)
    x = normal(*batches[1], op.shape[-1], seed=seed + 1, dtype=kind)
    whole = np.broadcast_shapes(*batches)
    y = normal(*whole, op.shape[-2], seed=seed + 2, dtype=kind)
    buffers = [device.buffer_from_array(v) for v in (a, x, y)]
    alpha, beta = scales
    exact, bound = product(op, x)
    poison_pool(device, y.nbytes)
    plain = linalg.gemv(alpha, buffers[0], buffers[1], trans=trans).read()
    tiny = 6e-8 if kind is np.float16 else 1e-37
    allowed = (abs(alpha) + EPS) * bound + rounding * np.abs(alpha * exact) + tiny
    unit = max(1.0, np.abs(exact).max(initial=0))
    compare(device, "linalg.gemv", plain, alpha * exact, allowed, unit)
    full = linalg.gemv(alpha, buffers[0], buffers[1], beta, buffers[2], trans=trans).read()
    expected = alpha * exact + beta * y.astype(np.float64)
    allowed = allowed + 8 * EPS * np.abs(beta * y) + rounding * np.abs(expected)
    compare(device, "linalg.gemv", full, expected, allowed, unit)
    left, right = normal(rows, seed=seed, dtype=kind), normal(columns, seed=seed + 1, dtype=kind)
    added = normal(rows, columns, seed=seed + 2, dtype=kind)
    p, q, r = (device.buffer_from_array(v) for v in (left, right, added))
    exact = alpha * np.outer(left.astype(np.float64), right)
    allowed = (3 * EPS + rounding) * np.abs(exact) + tiny
    unit = max(1.0, np.abs(exact).max(initial=0))
    compare(device, "linalg.ger", linalg.ger(alpha, p, q).read(), exact, allowed, unit)
    full = linalg.ger(alpha, p, q, r).read()
    allowed = allowed + (2 * EPS + rounding) * np.abs(exact + added)
    compare(device, "linalg.ger", full, exact + added, allowed, unit)


@settings(max_examples=draws(15), deadline=None)
@given(
    st.sampled_from([(), (2,), (2, 3), (0,)]),
    st.sampled_from([0, 1, 2, 5, 8, 33]),
    st.booleans(),
    st.sampled_from([0, 1, "T"]),
    st.booleans(),
    st.floats(-4, 4, width=32, allow_subnormal=False),
)
def test_drawn_triangles(
    device: Device, batch: tuple[int, ...], n: int, lower: bool, trans: Any, unit: bool, beta: float
) -> None:
    """Check symv and trsv; the other triangle is NaN."""
    a = normal(*batch, n, n) / max(n, 1) + np.eye(n, dtype=np.float32)
    x, y = normal(*batch, n, seed=1), normal(*batch, n, seed=2)
    other = np.full((n, n), np.nan, np.float32)
    half = np.tril(a) if lower else np.triu(a)
    broken = half + (np.triu(other, 1) if lower else np.tril(other, -1))
    buffers = [device.buffer_from_array(v) for v in (broken, x, y)]
    full = half + np.swapaxes(half, -1, -2) - half * np.eye(n, dtype=np.float32)
    result = linalg.symv(2.0, buffers[0], buffers[1], beta, buffers[2], lower=lower).read()
    exact, bound = product(full, x)
    allowed = 4 * bound + 8 * EPS * (np.abs(beta * y) + np.abs(2 * exact)) + 1e-37
    compare(device, "linalg.symv", result, 2 * exact + beta * y, allowed)
    result = linalg.trsv(*buffers[:2], lower=lower, trans=trans, unit_diagonal=unit).read()
    wide = half.astype(np.float64)
    if unit:
        wide[..., range(n), range(n)] = 1
    wide = np.swapaxes(wide, -1, -2) if trans else wide
    exact = np.linalg.solve(wide, x[..., None].astype(np.float64))
    reach = np.abs(np.linalg.inv(wide)) @ (np.abs(wide) @ np.abs(exact))
    compare(device, "linalg.trsv", result, exact[..., 0], (2 * n + 12) * EPS * reach[..., 0])


def test_gemv_in_f16(device: Device) -> None:
    skip_without_f16(device, "f16")
    a, x, z = normal(40, 64, dtype=np.float16), normal(64, dtype=np.float16), normal(40)
    p, q = device.buffer_from_array(a), device.buffer_from_array(x)
    compare(device, "linalg.gemv", linalg.gemv(1.0, p, q).read(), *product(a, x, 2.0**-11))
    z = z.astype(np.float16)
    flipped = linalg.gemv(1.0, p, device.buffer_from_array(z), trans="T")
    compare(device, "linalg.gemv", flipped.read(), *product(a.T, z, 2.0**-11))


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("n", [0, 1, 70, 200])
def test_symv(device: Device, n: int, lower: bool, variant: str) -> None:
    a, x, y = normal(n, n), normal(n, seed=1), normal(n, seed=2)
    half = np.tril(a) if lower else np.triu(a)
    full = half + half.T - np.diag(np.diag(a))
    other = np.triu(np.full_like(a, np.nan), 1) if lower else np.tril(np.full_like(a, np.nan), -1)
    buffers = [device.buffer_from_array(v) for v in (half + other, x, y)]
    with force_variant("gemv", variant):
        result = linalg.symv(1.0, buffers[0], buffers[1], 3.0, buffers[2], lower=lower).read()
    exact, bound = product(full, x)
    compare(device, "linalg.symv", result, exact + 3.0 * y, 2 * bound + 8 * EPS * np.abs(y))


def test_refusals(device: Device) -> None:
    def zeros(*shape: int, dtype: Any = np.float32) -> Any:
        return device.buffer_from_array(np.zeros(shape, dtype))

    with pytest.raises(ShapeError, match="gemv"):
        linalg.gemv(1.0, zeros(2, 3), zeros(2))
    with pytest.raises(ShapeError, match="must have the shape"):
        linalg.gemv(1.0, zeros(2, 3), zeros(3), 1.0, zeros(3))
    with pytest.raises(DTypeError, match="gemv"):
        linalg.gemv(1.0, zeros(2, 3, dtype=np.int32), zeros(3, dtype=np.int32))
    with pytest.raises(ShapeError, match="ger"):
        linalg.ger(1.0, zeros(2), zeros(2, 3))
    with pytest.raises(ShapeError, match="symv"):
        linalg.symv(1.0, zeros(2, 3), zeros(3))
    with pytest.raises(ShapeError, match="trsv"):
        linalg.trsv(zeros(2, 2), zeros())


def test_scales_are_numbers_that_f32_holds(device: Device) -> None:
    a, x = (device.buffer_from_array(np.ones(s, np.float32)) for s in ((3, 3), (3,)))
    calls: tuple[Callable[[Any], Any], ...] = (
        lambda s: linalg.scal(s, x),
        lambda s: linalg.axpy(x, x, s),
        lambda s: linalg.rot(x, x, s, 0),
        lambda s: linalg.gemv(s, a, x),
        lambda s: linalg.ger(s, x, x),
        lambda s: linalg.symv(s, a, x),
        lambda s: linalg.gemm(s, a, a),
    )
    for call in calls:
        for scale, words in (
            ("a", "must be one real number"),
            (1e39, "within the range"),
            (1j, "must be real"),
        ):
            with pytest.raises(ArgumentError, match=words):
                call(scale)


def test_pivots_are_i32(device: Device) -> None:
    a, x = (device.buffer_from_array(np.ones(s, np.float32)) for s in ((3, 3), (3,)))
    with pytest.raises(DTypeError, match="lu_solve: piv"):
        linalg.lu_solve((a, x), x)  # type: ignore[arg-type]
