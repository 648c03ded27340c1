"""svd against its definition and NumPy float64: in a workgroup, in blocks, on every engine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gpucore import Device, DTypeError, ShapeError, f16
from gpustd.launch.variants import force_variant
from gpustd.linalg.decompositions.singular_values import svd, svdvals
from tests.draws import draws
from tests.gpustd.compare import compare
from tests.gpustd.linalg.matrices import EPS, hard_matrices, normal, with_values
from tests.gpustd.poison import poison_pool

Array = NDArray[Any]


def check(device: Device, a: Array, *, full: bool = True) -> None:
    """Fail unless u and vh are orthonormal, u s vh is ``a``, and s agrees with float64.

    Each of some log n sweeps turns a row n times, and each turn adds a rounding: n log n of them,
    of random sign, after n products of the QR before. 4 n + 32 units are allowed, and for values as
    much of the largest one (Weyl: they move by no more than the matrix does).
    """
    m, n = a.shape[-2:]
    k = min(m, n)
    poison_pool(device, a.nbytes, 4 * k, 4 * k * k)
    exact = a.astype(np.float64)
    u, s, vh = (x.read().astype(np.float64) for x in svd(device.buffer_from_array(a), full))
    assert u.shape == (*a.shape[:-2], m, m if full else k)
    assert vh.shape == (*a.shape[:-2], n if full else k, n)
    slack = (4 * (m + n) + 32) * EPS
    expected = np.linalg.svd(exact, compute_uv=False)
    norm = expected[..., :1] if k else np.zeros((*a.shape[:-2], 1))
    compare(device, "linalg.svd", s, expected, slack * norm)
    assert np.all(np.diff(s, axis=-1) <= 0)
    for factor in (np.swapaxes(u, -1, -2), vh):
        eye = np.broadcast_to(np.eye(factor.shape[-2]), (*a.shape[:-2], *factor.shape[-2:-1] * 2))
        compare(device, "linalg.svd", factor @ np.swapaxes(factor, -1, -2), eye, slack)
    product = (u[..., :k] * s[..., None, :]) @ vh[..., :k, :]
    compare(device, "linalg.svd", product, exact, slack * norm[..., None] + 1e-44)


@settings(max_examples=draws(10), deadline=None)
@given(
    m=st.sampled_from([0, 1, 2, 7, 16, 31]),
    n=st.sampled_from([0, 1, 3, 13, 32]),
    ahead=st.sampled_from([(), (3,), (2, 2), (0,)]),
    full=st.booleans(),
)
def test_any_shape(device: Device, m: int, n: int, ahead: tuple[int, ...], full: bool) -> None:
    a = normal(*ahead, m, n)
    check(device, a, full=full)
    s = svdvals(device.buffer_from_array(a)).read()
    expected = np.linalg.svd(a.astype(np.float64), compute_uv=False)
    largest = np.max(expected, initial=0.0)
    compare(device, "linalg.svdvals", s, expected, (4 * (m + n) + 32) * EPS * largest)


@pytest.mark.parametrize("name", hard_matrices(5))
def test_awkward_small_matrices(device: Device, name: str) -> None:
    for n in (5, 24, 47):
        check(device, hard_matrices(n)[name])


@pytest.mark.parametrize("name", hard_matrices(5))
def test_awkward_large_matrices(device: Device, name: str) -> None:
    with force_variant("svd", "large"):
        check(device, hard_matrices(37)[name])


@pytest.mark.parametrize("shape", [(101, 67), (67, 101), (2, 70, 70)], ids=str)
def test_larger_than_a_workgroup_holds(device: Device, shape: tuple[int, ...]) -> None:
    check(device, normal(*shape))


def test_lanes_without_shuffles(device: Device) -> None:
    with force_variant("svd", "workgroup"):
        check(device, normal(3, 21, 21))


def test_small_values_are_accurate_beside_the_largest(device: Device) -> None:
    """The spectrum is known, and some of its values are repeated."""
    values = np.repeat([4.0, 1.0, 0.25, 2.0**-10], 5)
    a = with_values(20, values)
    s = svdvals(device.buffer_from_array(a)).read()
    compare(device, "linalg.svdvals", s, values, 40 * EPS * values[0])


@pytest.mark.parametrize("shape", [(9, 9), (40, 13), (13, 40), (60, 55), (2, 0, 3)], ids=str)
def test_values_alone_are_those_of_svd(device: Device, shape: tuple[int, ...]) -> None:
    a = normal(*shape)
    s = svdvals(device.buffer_from_array(a)).read()
    expected = np.linalg.svd(a.astype(np.float64), compute_uv=False)
    largest = np.max(expected, initial=0.0)
    compare(device, "linalg.svdvals", s, expected, (4 * sum(shape[-2:]) + 32) * EPS * largest)


def test_a_batch_has_the_bits_of_its_matrices(device: Device) -> None:
    for n, variant in ((19, "small"), (35, "large")):
        a = normal(3, n, n)
        with force_variant("svd", variant):
            parts = [x.read() for x in svd(device.buffer_from_array(a))]
            for i, one in enumerate(a):
                alone = svd(device.buffer_from_array(one))
                for part, other in zip(parts, alone, strict=True):
                    np.testing.assert_array_equal(part[i], other.read())


def test_wrong_operands(device: Device) -> None:
    with pytest.raises(ShapeError, match="svd"):
        svd(device.buffer_from_array(normal(3)))
    with pytest.raises(DTypeError, match="svd"):
        svd(device.buffer(f16, (2, 2)))  # type: ignore[arg-type]
