"""cholesky and cho_solve: the residual against float64, within Higham's bounds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpucore import ArgumentError, Device, DTypeError, ShapeError
from gpustd import linalg
from gpustd.launch.variants import force_variant
from gpustd.linalg.view_matmul import BlockTile
from tests.draws import draws
from tests.gpustd.compare import compare
from tests.gpustd.poison import poison_pool

EPS = 2.0**-24
SMALL = BlockTile(16, 32, 8, 4, 4, stages=2, unroll=1)


def definite(batch: tuple[int, ...], n: int, seed: int = 0) -> np.ndarray:
    x = np.random.default_rng(seed).standard_normal((*batch, n, n + 3))
    return (x @ np.swapaxes(x, -1, -2) / max(n, 1) + 0.5 * np.eye(n)).astype(np.float32)


def check(device: Device, factor: np.ndarray, a: np.ndarray) -> None:
    """Check |L L^T - A| <= (n + 6) eps |L| |L|^T (Higham 2002, theorem 10.3)."""
    wide = factor.astype(np.float64)
    size = np.abs(wide) @ np.swapaxes(np.abs(wide), -1, -2)
    product = wide @ np.swapaxes(wide, -1, -2)
    n = a.shape[-1]
    compare(device, "linalg.cholesky", product, a.astype(np.float64), (2 * n + 12) * EPS * size)
    assert np.all(factor == np.tril(factor))
    assert factor.dtype == np.float32


@pytest.mark.parametrize("variant", ["alone", "panel"])
@pytest.mark.parametrize("n", [1, 2, 31, 33, 100])
def test_factors(device: Device, n: int, variant: str) -> None:
    a = definite((), n)
    broken = a + np.triu(np.full((n, n), np.nan, np.float32), 1)
    operand = device.buffer_from_array(broken)
    poison_pool(device, a.nbytes)
    with force_variant("cholesky", variant):
        check(device, linalg.cholesky(operand).read(), a)
        upper = linalg.cholesky(device.buffer_from_array(broken.T.copy()), upper=True).read()
    check(device, upper.T, a)


def test_with_the_kernels_of_gpus(device: Device) -> None:
    a = definite((2,), 140)
    with (
        force_variant("cholesky", "panel"),
        force_variant("multiply", "tiles", SMALL),
    ):
        check(device, linalg.cholesky(device.buffer_from_array(a)).read(), a)


@settings(max_examples=draws(20), deadline=None)
@given(
    st.sampled_from([(), (1,), (3,), (2, 2), (0,)]),
    st.sampled_from([0, 1, 2, 3, 8, 13, 33]),
    st.sampled_from([None, 0, 1, 3]),
    st.booleans(),
    st.integers(0, 99),
)
def test_drawn_systems(
    device: Device, batch: tuple[int, ...], n: int, k: int | None, upper: bool, seed: int
) -> None:
    """The factorisation reads one triangle; cho_solve takes a lone vector or columns."""
    a = definite(batch, n, seed)
    other = np.full((n, n), np.nan, np.float32)
    operand = device.buffer_from_array(a + (np.tril(other, -1) if upper else np.triu(other, 1)))
    poison_pool(device, a.nbytes)
    factor = linalg.cholesky(operand, upper=upper)
    found = factor.read()
    check(device, np.swapaxes(found, -1, -2) if upper else found, a)
    b = np.random.default_rng(1).standard_normal((n,) if k is None else (n, k)).astype(np.float32)
    x = linalg.cho_solve((factor, not upper), device.buffer_from_array(b)).read()
    wide = a.astype(np.float64)
    columns = np.broadcast_to(b[:, None] if k is None else b, (*batch, n, 1 if k is None else k))
    exact = np.linalg.solve(wide, columns.astype(np.float64))
    triangle = np.abs(np.linalg.cholesky(wide))
    reach = triangle @ (np.swapaxes(triangle, -1, -2) @ np.abs(exact))
    allowed = (6 * n + 24) * EPS * np.abs(np.linalg.inv(wide)) @ reach
    result = x[..., None] if k is None else x
    compare(device, "linalg.cho_solve", result, exact, allowed)


@pytest.mark.parametrize("variant", ["alone", "panel"])
@pytest.mark.parametrize("bad", [0, 3, 50])
def test_not_positive_definite_is_nan_from_there(device: Device, bad: int, variant: str) -> None:
    a = definite((), 60)
    a[bad, bad] = -1
    with force_variant("cholesky", variant):
        factor = linalg.cholesky(device.buffer_from_array(a)).read()
    check(device, factor[:bad, :bad], a[:bad, :bad])
    below = np.tril(np.ones((60, 60), bool))
    below[:, :bad] = False
    assert np.all(np.isnan(factor[below]))
    assert np.all(np.isfinite(factor[~below]))


@pytest.mark.parametrize("upper", [False, True])
def test_solves(device: Device, upper: bool) -> None:
    a = definite((2,), 40)
    b = np.random.default_rng(1).standard_normal((40, 3)).astype(np.float32)
    operands = [device.buffer_from_array(x) for x in (a, b)]
    factor = linalg.cholesky(operands[0], upper=upper)
    x = linalg.cho_solve((factor, not upper), operands[1]).read()
    wide = a.astype(np.float64)
    exact = np.linalg.solve(wide, np.broadcast_to(b, (2, 40, 3)))
    triangle = np.abs(np.linalg.cholesky(wide))
    reach = triangle @ (np.swapaxes(triangle, -1, -2) @ np.abs(exact))
    allowed = (6 * 40 + 24) * EPS * np.abs(np.linalg.inv(wide)) @ reach
    compare(device, "linalg.cho_solve", x, exact, allowed)
    vector = device.buffer_from_array(b[:, 0].copy())
    assert linalg.cho_solve((factor, not upper), vector).shape == (2, 40)


def test_refusals(device: Device) -> None:
    def zeros(*shape: int, dtype: Any = np.float32) -> Any:
        return device.buffer_from_array(np.zeros(shape, dtype))

    with pytest.raises(ShapeError, match="cholesky"):
        linalg.cholesky(zeros(2, 3))
    with pytest.raises(DTypeError, match="f32"):
        linalg.cholesky(zeros(2, 2, dtype=np.complex64))
    with pytest.raises(ArgumentError, match="must be a pair"):
        linalg.cho_solve(zeros(2, 2), zeros(2))  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="cho_solve"):
        linalg.cho_solve((zeros(2, 2), True), zeros(3))
