"""eigh against its definition and NumPy float64: in a workgroup, in blocks, on every engine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gpucore import Device, DTypeError, ShapeError, f16
from gpustd.launch.variants import force_variant
from gpustd.linalg.decompositions.eigenvalues import eigh
from tests.draws import draws
from tests.gpustd.compare import compare
from tests.gpustd.linalg.matrices import EPS, hard_matrices, normal, orthogonal
from tests.gpustd.poison import poison_pool

Array = NDArray[Any]


def symmetric(a: Array) -> Array:
    return ((a + np.swapaxes(a, -1, -2)) / 2).astype(np.float32)


def check(device: Device, a: Array) -> None:
    """Fail unless v is orthonormal, v w v^T is ``a``, and w agrees with float64.

    Some log n sweeps turn each row n times, each turn a rounding of random sign. Elements too small
    to be turned move values by n EPS / 2 of the norm. 4 n + 32 units of the norm are allowed (Weyl:
    values move by no more than the matrix does).
    """
    n = a.shape[-1]
    poison_pool(device, a.nbytes, 4 * n)
    exact = a.astype(np.float64)
    w, v = (x.read().astype(np.float64) for x in eigh(device.buffer_from_array(a)))
    expected = np.linalg.eigvalsh(exact)
    norm = np.max(np.abs(expected), axis=-1, keepdims=True, initial=0)
    slack = (4 * n + 32) * EPS
    compare(device, "linalg.eigh", w, expected, slack * norm)
    assert np.all(np.diff(w, axis=-1) >= 0)
    eye = np.broadcast_to(np.eye(n), a.shape)
    compare(device, "linalg.eigh", np.swapaxes(v, -1, -2) @ v, eye, slack)
    product = (v * w[..., None, :]) @ np.swapaxes(v, -1, -2)
    compare(device, "linalg.eigh", product, exact, slack * norm[..., None] + 1e-44)


@settings(max_examples=draws(8), deadline=None)
@given(
    n=st.sampled_from([0, 1, 2, 3, 8, 13, 16, 31]),
    ahead=st.sampled_from([(), (3,), (2, 2), (0,)]),
    lower=st.booleans(),
)
def test_any_shape(device: Device, n: int, ahead: tuple[int, ...], lower: bool) -> None:
    """Values alone are those that come with vectors; the other triangle is NaN."""
    a = symmetric(normal(*ahead, n, n))
    check(device, a)
    other = np.full((n, n), np.nan, np.float32)
    broken = device.buffer_from_array(a + (np.triu(other, 1) if lower else np.tril(other, -1)))
    w = eigh(broken, lower)[0].read()
    np.testing.assert_array_equal(eigh(broken, lower, eigvals_only=True).read(), w)
    expected = np.linalg.eigvalsh(a.astype(np.float64))
    norm = np.max(np.abs(expected), axis=-1, keepdims=True, initial=0)
    compare(device, "linalg.eigh", w, expected, (4 * n + 32) * EPS * norm)


@pytest.mark.parametrize("name", hard_matrices(5))
def test_awkward_small_matrices(device: Device, name: str) -> None:
    for n in (5, 24, 47):
        check(device, symmetric(hard_matrices(n)[name]))


@pytest.mark.parametrize("name", hard_matrices(5))
def test_awkward_large_matrices(device: Device, name: str) -> None:
    with force_variant("eigh", "large"):
        check(device, symmetric(hard_matrices(37)[name]))


@pytest.mark.parametrize("shape", [(97, 97), (2, 70, 70)], ids=str)
def test_larger_than_a_workgroup_holds(device: Device, shape: tuple[int, ...]) -> None:
    check(device, symmetric(normal(*shape)))


@pytest.mark.parametrize("variant", ["small", "large"])
@pytest.mark.parametrize("lower", [True, False])
def test_one_triangle_is_read(device: Device, lower: bool, variant: str) -> None:
    a = symmetric(normal(21, 21))
    other = np.triu(a, 1) if lower else np.tril(a, -1)
    noise = a + 100 * other
    with force_variant("eigh", variant):
        w, _ = eigh(device.buffer_from_array(noise), lower)
        alone = eigh(device.buffer_from_array(noise), lower, eigvals_only=True)
    np.testing.assert_array_equal(alone.read(), w.read())
    expected = np.linalg.eigvalsh(a.astype(np.float64))
    compare(device, "linalg.eigh", w.read(), expected, 120 * EPS * np.abs(expected).max())


def test_known_spectrum_with_repeated_values(device: Device) -> None:
    values = np.repeat([-3.0, -1e-3, 0.0, 0.5, 3.0], 4)
    q = orthogonal(20)
    a = symmetric(q * values @ q.T)
    w, _ = eigh(device.buffer_from_array(a))
    compare(device, "linalg.eigh", w.read(), values, 60 * EPS * 3)


def test_a_batch_has_the_bits_of_its_matrices(device: Device) -> None:
    for n, variant in ((19, "small"), (35, "large")):
        a = symmetric(normal(3, n, n))
        with force_variant("eigh", variant):
            parts = [x.read() for x in eigh(device.buffer_from_array(a))]
            for i, one in enumerate(a):
                for part, other in zip(parts, eigh(device.buffer_from_array(one)), strict=True):
                    np.testing.assert_array_equal(part[i], other.read())


def test_wrong_operands(device: Device) -> None:
    with pytest.raises(ShapeError, match="square"):
        eigh(device.buffer_from_array(normal(3, 4)))
    with pytest.raises(DTypeError, match="eigh"):
        eigh(device.buffer(f16, (2, 2)))  # type: ignore[arg-type]
