"""qr against its definition and SciPy float64, on every engine."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gpucore import ArgumentError, Device, DTypeError, ShapeError, f16
from gpustd.linalg.decompositions.qr_factors import qr
from tests.draws import draws
from tests.gpustd.compare import compare
from tests.gpustd.linalg.matrices import EPS, hard_matrices, normal
from tests.gpustd.poison import poison_pool

Array = NDArray[Any]


def check(device: Device, a: Array, mode: Literal["full", "economic"] = "full") -> None:
    """Fail unless q r is ``a``, q orthonormal and r triangular.

    Column j of q r differs from a's by c m n EPS |a_j| at most, and q from an orthogonal matrix by
    c m n EPS (Higham 2002, theorem 19.4). Sums in parts reduce it: 8 (m + n) is allowed.
    """
    m, n = a.shape[-2:]
    poison_pool(device, a.nbytes, 4 * m * min(m, n))
    q, r = (f.read().astype(np.float64) for f in qr(device.buffer_from_array(a), mode))
    assert q.shape[-1] == (m if mode == "full" else min(m, n))
    exact = a.astype(np.float64)
    slack = 8 * (m + n) * EPS
    sizes = np.linalg.norm(exact, axis=-2, keepdims=True) if a.size else 0
    compare(device, "linalg.qr", q @ r, exact, slack * sizes + 1e-44)
    eye = np.broadcast_to(np.eye(q.shape[-1]), (*a.shape[:-2], q.shape[-1], q.shape[-1]))
    compare(device, "linalg.qr", np.swapaxes(q, -1, -2) @ q, eye, slack)
    assert not np.any(np.tril(r, -1))


@settings(max_examples=draws(12), deadline=None)
@given(
    m=st.sampled_from([0, 1, 2, 7, 31, 32, 33, 65, 97]),
    n=st.sampled_from([0, 1, 3, 13, 32, 33, 64, 71]),
    ahead=st.sampled_from([(), (1,), (3,), (2, 2), (0,)]),
)
def test_any_shape(device: Device, m: int, n: int, ahead: tuple[int, ...]) -> None:
    check(device, normal(*ahead, m, n))


@pytest.mark.parametrize("name", hard_matrices(5))
def test_awkward_matrices(device: Device, name: str) -> None:
    for n in (5, 37):
        check(device, hard_matrices(n)[name])


@pytest.mark.parametrize("shape", [(1500, 40), (9000, 33), (2, 520, 70)], ids=str)
def test_tall(device: Device, shape: tuple[int, ...]) -> None:
    """Panels go by inner products, and by a launch a column."""
    check(device, normal(*shape), "economic")


def test_very_tall_and_ill_conditioned(device: Device) -> None:
    """Inner products fail for these panels, which take a launch a column."""
    a = normal(8300, 35)
    a[:, 7] = a[:, 3] + np.float32(1e-5) * a[:, 7]
    check(device, a, "economic")


@pytest.mark.parametrize("gap", [1.0, 0.1, 0.05, 0.03, 1e-4, 0.0])
def test_tall_with_a_column_near_another(device: Device, gap: float) -> None:
    """From well- to ill-conditioned: inner products serve the first, one workgroup the last."""
    a = normal(530, 40)
    a[:, 20] = a[:, 3] + np.float32(gap) * a[:, 20]
    check(device, a * np.logspace(-6, 6, 40, dtype=np.float32), "economic")
    a[:, 5] = 0
    check(device, np.float32(1e20) * a, "economic")


def test_modes_agree_and_signs_are_lapacks(device: Device) -> None:
    for shape in ((40, 35), (35, 40)):
        a = normal(*shape)
        operand = device.buffer_from_array(a)
        q, r = (f.read() for f in qr(operand))
        thin_q, thin_r = (f.read() for f in qr(operand, mode="economic"))
        (only_r,) = qr(operand, mode="r")
        least = min(shape)
        np.testing.assert_array_equal(thin_r, r[:least])
        np.testing.assert_array_equal(only_r.read(), r)
        np.testing.assert_allclose(thin_q, q[:, :least], atol=100 * EPS)
        # A well-conditioned matrix: R's error is its condition number (below 500) times EPS.
        expected = scipy.linalg.qr(a.astype(np.float64), mode="r")[0]
        compare(device, "linalg.qr", r, expected, 500 * np.sqrt(40) * 8 * EPS)


def test_a_batch_has_the_bits_of_its_matrices(device: Device) -> None:
    a = normal(3, 70, 45)
    q, r = (f.read() for f in qr(device.buffer_from_array(a)))
    for i, one in enumerate(a):
        alone = qr(device.buffer_from_array(one))
        np.testing.assert_array_equal(q[i], alone[0].read())
        np.testing.assert_array_equal(r[i], alone[1].read())


def test_wrong_operands(device: Device) -> None:
    with pytest.raises(ShapeError, match="qr"):
        qr(device.buffer_from_array(normal(3)))
    with pytest.raises(DTypeError, match="qr"):
        qr(device.buffer(f16, (2, 2)))  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="mode"):
        qr(device.buffer_from_array(normal(2, 2)), mode="raw")  # type: ignore[call-overload]
