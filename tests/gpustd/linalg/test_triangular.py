"""solve_triangular against float64: the backward error of substitution."""

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
from gpustd.linalg.triangular import Trans
from tests.draws import draws
from tests.gpustd.compare import compare
from tests.gpustd.poison import poison_pool

EPS = 2.0**-24
VARIANTS = ("alone", "lanes")


def triangles(batch: tuple[int, ...], n: int, seed: int = 0) -> np.ndarray:
    """Draw triangles with a heavy diagonal: the solution is as good as the backward error."""
    a = np.random.default_rng(seed).uniform(-1, 1, (*batch, n, n))
    a[..., range(n), range(n)] += np.sign(a[..., range(n), range(n)]) * 2
    return (a / max(n, 1) ** 0.5).astype(np.float32)


def check(device: Device, name: str, x: np.ndarray, op: np.ndarray, b: np.ndarray) -> None:
    """Check |x - exact| <= |A^-1| (n + 6) eps |A| |x| (Higham 2002, theorem 8.5, section 8.2)."""
    exact = np.linalg.solve(op, b.astype(np.float64))
    n = op.shape[-1]
    reach = np.abs(np.linalg.inv(op)) @ (np.abs(op) @ np.abs(exact))
    compare(device, name, x, exact, (2 * n + 12) * EPS * reach + 1e-37)


def read_triangle(a: np.ndarray, lower: bool, unit: bool, flipped: bool) -> np.ndarray:
    wide = (np.tril if lower else np.triu)(a.astype(np.float64))
    if unit:
        n = wide.shape[-1]
        wide[..., range(n), range(n)] = 1
    return np.swapaxes(wide, -1, -2) if flipped else wide


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("trans", [0, "T"])
@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize(("n", "k"), [(1, 1), (5, 3), (33, 40), (100, 7)])
def test_solves(device: Device, n: int, k: int, lower: bool, trans: Trans, variant: str) -> None:
    a = triangles((), n, n)
    b = np.random.default_rng(1).standard_normal((n, k)).astype(np.float32)
    unit = n == 5
    operands = [device.buffer_from_array(x) for x in (a, b)]
    poison_pool(device, b.nbytes)
    with force_variant("substitute", variant):
        x = linalg.solve_triangular(*operands, trans, lower, unit).read()
    check(device, "linalg.solve_triangular", x, read_triangle(a, lower, unit, trans == "T"), b)


@pytest.mark.parametrize("trans", [0, "T"])
@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize(("batch", "n", "k"), [((), 100, 1), ((2,), 350, 2)])
def test_few_columns(
    device: Device, batch: tuple[int, ...], n: int, k: int, lower: bool, trans: Trans
) -> None:
    """Rows fill one launch in part, then two; where workgroup memory is small, as the others."""
    a = triangles(batch, n, n)
    a[..., range(n), range(n)] *= 2
    b = np.random.default_rng(1).standard_normal((*batch, n, k)).astype(np.float32)
    other = np.full((n, n), np.nan, np.float32)
    broken = a + (np.triu(other, 1) if lower else np.tril(other, -1))
    operands = [device.buffer_from_array(x) for x in (broken, b)]
    poison_pool(device, b.nbytes)
    with force_variant("substitute", "lanes"):
        x = linalg.solve_triangular(*operands, trans, lower, n == 100).read()
    check(device, "linalg.solve_triangular", x, read_triangle(a, lower, n == 100, trans == "T"), b)


def test_the_other_triangle_is_not_read(device: Device) -> None:
    a = triangles((), 40)
    broken = a + np.triu(np.full((40, 40), np.nan, np.float32), 1)
    b = device.buffer_from_array(np.ones((40, 2), np.float32))
    x = linalg.solve_triangular(device.buffer_from_array(broken), b, lower=True).read()
    check(
        device, "linalg.solve_triangular", x, read_triangle(a, True, False, False), np.ones((40, 2))
    )


def test_batches_broadcast_and_vectors_are_vectors(device: Device) -> None:
    a = triangles((2, 1), 9)
    b = np.random.default_rng(2).standard_normal((3, 9, 4)).astype(np.float32)
    x = linalg.solve_triangular(*(device.buffer_from_array(v) for v in (a, b)))
    check(device, "linalg.solve_triangular", x.read(), read_triangle(a, False, False, False), b)
    v = b[0, :, 0].copy()
    alone = linalg.solve_triangular(*(device.buffer_from_array(v) for v in (a[0, 0], v))).read()
    exact = scipy.linalg.solve_triangular(a[0, 0].astype(np.float64), v)
    np.testing.assert_allclose(alone, exact, rtol=1e-4)


@settings(max_examples=draws(20), deadline=None)
@given(
    st.sampled_from([((), ()), ((3,), ()), ((), (2,)), ((2, 1), (3,)), ((0,), (1,))]),
    st.sampled_from([0, 1, 2, 5, 8, 33]),
    st.sampled_from([None, 0, 1, 3, 8]),
    st.booleans(),
    st.booleans(),
    st.sampled_from([0, 1, 2, "N", "T", "C"]),
)
def test_drawn_systems(
    device: Device,
    batches: tuple[tuple[int, ...], tuple[int, ...]],
    n: int,
    k: int | None,
    lower: bool,
    unit: bool,
    trans: Trans,
) -> None:
    """Solve for a lone vector or columns; the other triangle, and an assumed diagonal, are NaN."""
    a = triangles(batches[0], n)
    b = np.random.default_rng(1).standard_normal((n,) if k is None else (*batches[1], n, k))
    b = b.astype(np.float32)
    read = (np.tril if lower else np.triu)(np.ones((n, n), bool), (-1 if lower else 1) * unit)
    broken = np.where(read, a, np.float32(np.nan))
    operands = [device.buffer_from_array(x) for x in (broken, b)]
    poison_pool(device, b.nbytes)
    x = linalg.solve_triangular(*operands, trans, lower, unit).read()
    columns = b[:, None] if k is None else b
    op = read_triangle(a, lower, unit, trans not in (0, "N"))
    op = np.broadcast_to(op, (*np.broadcast_shapes(batches[0], columns.shape[:-2]), n, n))
    check(device, "linalg.solve_triangular", x[..., None] if k is None else x, op, columns)


def test_refusals(device: Device) -> None:
    def zeros(*shape: int, dtype: Any = np.float32) -> Any:
        return device.buffer_from_array(np.zeros(shape, dtype))

    with pytest.raises(ShapeError, match="square"):
        linalg.solve_triangular(zeros(2, 3), zeros(3))
    with pytest.raises(ShapeError, match="solve_triangular"):
        linalg.solve_triangular(zeros(3, 3), zeros(2))
    with pytest.raises(ShapeError, match="broadcast"):
        linalg.solve_triangular(zeros(2, 3, 3), zeros(3, 3, 1))
    with pytest.raises(DTypeError, match="f32"):
        linalg.solve_triangular(zeros(3, 3, dtype=np.int32), zeros(3))
    with pytest.raises(ArgumentError, match="trans"):
        linalg.solve_triangular(zeros(3, 3), zeros(3), "X")  # type: ignore[arg-type]
