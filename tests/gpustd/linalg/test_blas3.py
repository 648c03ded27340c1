"""BLAS 3 against NumPy float64, with bounds from the arithmetic."""

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
from gpustd.linalg.view_matmul import BlockTile
from tests.conftest import skip_without_f16
from tests.draws import draws
from tests.gpustd.arrays.operators import held_by
from tests.gpustd.compare import compare
from tests.gpustd.poison import poison_pool

EPS = 2.0**-24
# Small and rolled up, since a software renderer compiles it; the same text as on GPUs.
SMALL = BlockTile(16, 32, 8, 4, 4, stages=2, unroll=1)
ONE_STAGE = BlockTile(32, 32, 8, 4, 4, stages=1, unroll=1)


def normal(shape: Any, seed: int = 0, dtype: Any = np.float32) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    if np.dtype(dtype).kind == "c":
        x = x + 1j * rng.standard_normal(shape)
    return np.asarray(x, dtype)


def wide(x: np.ndarray) -> np.ndarray:
    return x.astype(np.complex128 if x.dtype.kind == "c" else np.float64)


def bound(a: np.ndarray, b: np.ndarray, rounding: float = EPS) -> np.ndarray:
    """Return K + 4 roundings of a sum, four times as many if complex, and one of the result."""
    count = (4 if a.dtype.kind == "c" else 1) * (a.shape[-1] + 4)
    sizes = np.abs(wide(a)) @ np.abs(wide(b))
    return np.asarray(count * EPS * sizes + 2 * rounding * sizes + 1e-45)


def op(x: np.ndarray, trans: Any) -> np.ndarray:
    if trans in (0, "N"):
        return x
    return np.swapaxes(x.conj() if trans in (2, "C") else x, -1, -2)


@pytest.mark.parametrize(
    ("sizes", "variant", "trans_a", "trans_b"),
    [
        ((5, 9, 7), "cells", 0, 0),
        ((40, 36, 20), "cells", 1, "N"),
        ((40, 36, 20), "cells", 0, "T"),
        ((37, 9, 11), "tiles", 0, 0),
        ((40, 36, 20), "tiles", "N", 0),
        ((40, 36, 20), "tiles", "C", 1),
        ((150, 72, 24), "tiles", 0, "T"),
    ],
)
def test_gemm(
    device: Device, sizes: tuple[int, int, int], variant: str, trans_a: Any, trans_b: Any
) -> None:
    m, n, k = sizes
    a, b, c = normal((m, k)), normal((k, n), 1), normal((m, n), 2)
    p, q = (np.ascontiguousarray(op(x, t)) for x, t in ((a, trans_a), (b, trans_b)))
    left, right, added = (device.buffer_from_array(x) for x in (p, q, c))
    poison_pool(device, c.nbytes)
    with force_variant("multiply", variant, SMALL):
        y = linalg.gemm(0.5, left, right, -2.0, added, trans_a=trans_a, trans_b=trans_b).read()
    allowed = bound(a, b) + 6 * EPS * np.abs(c)
    compare(device, "linalg.gemm", y, 0.5 * (wide(a) @ wide(b)) - 2 * wide(c), allowed)


@pytest.mark.parametrize(
    ("variant", "trans"), [("cells", 0), ("cells", 1), ("cells", 2), ("tiles", 0), ("tiles", 2)]
)
def test_complex_gemm(device: Device, variant: str, trans: Any) -> None:
    a, b = normal((2, 9, 35), 1, np.complex64), normal((35, 18), 2, np.complex64)
    c = normal((9, 18), 3, np.complex64)
    p, q = (np.ascontiguousarray(op(x, trans)) for x in (a, b))
    left, right, added = (device.buffer_from_array(x) for x in (p, q, c))
    with force_variant("multiply", variant, ONE_STAGE):
        y = linalg.gemm(1 - 2j, left, right, 0.5j, added, trans_a=trans, trans_b=trans).read()
    exact = (1 - 2j) * (wide(a) @ wide(b)) + 0.5j * wide(c)
    compare(device, "linalg.gemm", y, exact, 3 * bound(a, b) + 6 * EPS * np.abs(c))


def test_gemm_in_f16_is_summed_in_f32(device: Device) -> None:
    skip_without_f16(device, "f16")
    a, b, c = (normal(s, i, np.float16) for i, s in enumerate([(16, 24), (24, 32), (16, 32)]))
    left, right, added = (device.buffer_from_array(x) for x in (a, b, c))
    y = linalg.gemm(1.0, left, right, 1.0, added).read()
    compare(device, "linalg.gemm", y, wide(a) @ wide(b) + wide(c), bound(a, b, 2.0**-11))


@pytest.mark.parametrize("trans", [0, 1])
@pytest.mark.parametrize("added", [False, True])
def test_the_way_through_matrix_units(
    device: Device, trans: Any, added: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Transposes come first, the sum is f32, scales come last; gpustd.gemm takes its variant."""
    skip_without_f16(device, "f16")
    monkeypatch.setattr("gpustd.linalg.blas3._fits_matrix_units", lambda a, b: True)
    a, b = normal((2, 16, 24), 1, np.float16), normal((24, 32), 2, np.float16)
    c = normal((16, 32), 3, np.float16)
    p, q = (np.ascontiguousarray(op(x, trans)) for x in (a, b))
    left, right, start = (device.buffer_from_array(x) for x in (p, q, c))
    more = (0.5, start) if added else ()
    y = linalg.gemm(-2.0, left, right, *more, trans_a=trans, trans_b=trans).read()
    exact = -2 * (wide(a) @ wide(b)) + (0.5 * wide(c) if added else 0)
    compare(device, "linalg.gemm", y, exact, 2 * bound(a, b, 2.0**-11) + 2.0**-11 * np.abs(c))


@settings(max_examples=draws(20), deadline=None)
@given(
    batches=st.sampled_from([((), ()), ((3,), ()), ((), (2,)), ((2, 1), (3,)), ((0,), (1,))]),
    sizes=st.tuples(*[st.sampled_from([0, 1, 2, 5, 8, 17])] * 3),
    dtype=st.sampled_from(["f32", "f16", "c64"]),
    flips=st.tuples(*[st.sampled_from([0, 1, 2, "N", "T", "C"])] * 2),
    scales=st.tuples(*[st.complex_numbers(max_magnitude=3, width=64, allow_subnormal=False)] * 2),
)
def test_drawn_products(
    device: Device, batches: Any, sizes: tuple[int, int, int], dtype: str, flips: Any, scales: Any
) -> None:
    """Check gemm of broadcast batches; K of 0 leaves the addend."""
    m, k, n = sizes
    kind = DTYPES[held_by(device, dtype)].numpy
    alpha, beta = scales if dtype == "c64" else (s.real for s in scales)
    a, b = normal((*batches[0], m, k), 0, kind), normal((*batches[1], k, n), 1, kind)
    c = normal((m, n), 2, kind)
    p, q = (np.ascontiguousarray(op(x, t)) for x, t in ((a, flips[0]), (b, flips[1])))
    left, right, added = (device.buffer_from_array(x) for x in (p, q, c))
    poison_pool(device, c.nbytes)
    y = linalg.gemm(alpha, left, right, beta, added, trans_a=flips[0], trans_b=flips[1]).read()
    exact = alpha * (wide(a) @ wide(b)) + beta * wide(c)
    rounding = 2.0**-11 if kind == np.float16 else EPS
    tiny = 6e-8 if kind == np.float16 else 1e-37
    allowed = (abs(alpha) + EPS) * 3 * bound(a, b) + 6 * EPS * np.abs(beta * wide(c))
    allowed = allowed + rounding * np.abs(exact) + tiny
    compare(device, "linalg.gemm", y, exact, allowed, max(1.0, np.abs(exact).max(initial=0)))


@settings(max_examples=draws(20), deadline=None)
@given(
    st.sampled_from([(), (2,), (0,)]),
    st.sampled_from([0, 1, 2, 5, 17]),
    st.sampled_from([0, 1, 3, 8]),
    st.sampled_from([0, 1]),
    st.booleans(),
    st.sampled_from([0, 1, "T"]),
    st.booleans(),
)
def test_drawn_triangles(
    device: Device,
    batch: tuple[int, ...],
    n: int,
    k: int,
    side: int,
    lower: bool,
    trans: Any,
    unit: bool,
) -> None:
    """Check syrk, symm and trsm; the other triangle of an operand is NaN."""
    keep = np.tril if lower else np.triu
    a, c = normal((*batch, n, k)), normal((n, n), 1)
    x = device.buffer_from_array(np.ascontiguousarray(op(a, trans)))
    added = device.buffer_from_array(np.broadcast_to(c, (*batch, n, n)))
    full = linalg.syrk(2.0, x, 3.0, added, trans=trans, lower=lower).read()
    exact = wide(a) @ np.swapaxes(wide(a), -1, -2)
    expected = np.where(keep(np.ones((n, n), bool)), 2 * exact + 3.0 * c, c)
    sizes = bound(a, np.swapaxes(a, -1, -2))
    compare(device, "linalg.syrk", full, expected, 2 * sizes + 8 * EPS * np.abs(c))
    a = (normal((*batch, n, n), 2) / max(n, 1) + 2 * np.eye(n)).astype(np.float32)
    b = normal((*batch, k, n) if side else (*batch, n, k), 3)
    broken = np.where(keep(np.ones((n, n), bool)), a, np.float32(np.nan))
    operands = [device.buffer_from_array(v) for v in (broken, b)]
    half = keep(a)
    whole = half + np.swapaxes(half, -1, -2) - half * np.eye(n, dtype=np.float32)
    y = linalg.symm(1.0, *operands, side=side, lower=lower).read()
    left, right = (b, whole) if side else (whole, b)
    compare(device, "linalg.symm", y, wide(left) @ wide(right), bound(left, right))
    more = {"side": side, "lower": lower, "trans_a": trans, "unit_diagonal": unit}
    x = linalg.trsm(0.5, *operands, **more).read()
    half = wide(half)
    if unit:
        half[..., range(n), range(n)] = 1
    t = op(half, trans)
    turned, goal, result = (np.swapaxes(v, -1, -2) if side else v for v in (t, 0.5 * wide(b), x))
    exact = np.linalg.solve(turned, goal)
    reach = np.abs(np.linalg.inv(turned)) @ (np.abs(turned) @ np.abs(exact))
    compare(device, "linalg.trsm", result, exact, (2 * n + 12) * EPS * reach)


@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize(
    ("n", "k", "variant"), [(37, 5, "cells"), (1, 0, "cells"), (36, 8, "tiles")]
)
def test_syrk(device: Device, n: int, k: int, lower: bool, variant: str) -> None:
    a, c = normal((n, k)), normal((n, n), 1)
    x, added = device.buffer_from_array(a), device.buffer_from_array(c)
    keep = np.tril if lower else np.triu
    poison_pool(device, c.nbytes)
    with force_variant("multiply", variant, SMALL):
        plain = linalg.syrk(1.0, x, lower=lower).read()
        full = linalg.syrk(2.0, x, 3.0, added, lower=lower).read()
    exact = wide(a) @ wide(a).T
    compare(device, "linalg.syrk", plain, keep(exact), bound(a, a.T))
    mask = keep(np.ones((n, n), bool))
    expected = np.where(mask, 2 * exact + 3.0 * c, c)
    compare(device, "linalg.syrk", full, expected, 2 * bound(a, a.T) + 8 * EPS * np.abs(c))


@pytest.mark.parametrize("trans", [0, 1])
@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("lower", [False, True])
def test_trsm(device: Device, lower: bool, side: int, trans: Any) -> None:
    n = 40
    a = (normal((2, n, n)) / n + 2 * np.eye(n)).astype(np.float32)
    b = normal((2, 7, n) if side else (2, n, 7), 1)
    operands = [device.buffer_from_array(x) for x in (a, b)]
    x = linalg.trsm(0.5, *operands, side=side, lower=lower, trans_a=trans).read()
    t = op(wide(np.tril(a) if lower else np.triu(a)), trans)
    turned, goal = (np.swapaxes(v, -1, -2) if side else v for v in (t, 0.5 * wide(b)))
    exact = np.linalg.solve(turned, goal)
    reach = np.abs(np.linalg.inv(turned)) @ (np.abs(turned) @ np.abs(exact))
    result = np.swapaxes(x, -1, -2) if side else x
    compare(device, "linalg.trsm", result, exact, (2 * n + 12) * EPS * reach)


def test_refusals(device: Device) -> None:
    def zeros(*shape: int, dtype: Any = np.float32) -> Any:
        return device.buffer_from_array(np.zeros(shape, dtype))

    with pytest.raises(ShapeError, match="inner"):
        linalg.gemm(1.0, zeros(2, 3), zeros(2, 3))
    with pytest.raises(ShapeError, match="broadcast"):
        linalg.gemm(1.0, zeros(2, 3, 3), zeros(3, 3, 3))
    with pytest.raises(ShapeError, match="must have the shape"):
        linalg.gemm(1.0, zeros(2, 3), zeros(3, 2), 1.0, zeros(3, 2))
    with pytest.raises(ArgumentError, match="must be real for real operands"):
        linalg.gemm(1j, zeros(2, 3), zeros(3, 2))
    with pytest.raises(DTypeError, match="gemm"):
        linalg.gemm(1.0, zeros(2, 3), zeros(3, 2, dtype=np.complex64))
    with pytest.raises(ShapeError, match="square"):
        linalg.symm(1.0, zeros(2, 3), zeros(3, 2))
    with pytest.raises(ArgumentError, match="side"):
        linalg.trsm(1.0, zeros(3, 3), zeros(3, 2), side=2)
    with pytest.raises(ShapeError, match="trsm"):
        linalg.trsm(1.0, zeros(3, 3), zeros(2, 3))
    with pytest.raises(ShapeError, match="syrk"):
        linalg.syrk(1.0, zeros(3))
