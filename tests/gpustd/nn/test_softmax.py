"""softmax and log_softmax over any axis, on every rung and engine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import special

from gpucore import Device, DType, DTypeError, ShapeError, f32, i32
from gpustd import nn
from gpustd.rungs import forced_rung
from tests.gpustd.nn.oracle import DTYPES, EPS, check, drawn, up

Array = NDArray[Any]


def bound(x: Array, axis: int) -> Array:
    """Error of ``x - top - log(sum)``.

    The sum of n exponentials is off by n roundings and those of the exponents, which weigh at most
    1/e each; WGSL's log by 3 ulp, or 2^-21 where the sum is below 2; the differences by one each.
    """
    top = x.max(axis=axis, keepdims=True)
    less = special.logsumexp(x, axis=axis, keepdims=True) - top
    terms = x.shape[axis] + 10 + 4 * less + 2 * np.abs(x - top)
    return np.asarray(EPS * terms + 2.0**-21)


def check_both(device: Device, x: Array, axis: int) -> None:
    wide = x.astype(np.float64)
    allowed = bound(wide, axis)
    expected = special.log_softmax(wide, axis=axis)
    check(device, "log_softmax", nn.log_softmax(up(device, x), axis).read(), expected, allowed)
    # A factor exp(d) of the probability for an absolute error d.
    share = np.exp(expected)
    result = nn.softmax(up(device, x), axis).read()
    check(device, "softmax", result, share, 2 * allowed * share + 2.0**-126)


SHAPES = st.lists(st.sampled_from([1, 2, 3, 4, 7, 8, 33]), min_size=1, max_size=3)


@given(shape=SHAPES, axis=st.integers(-3, 2), seed=st.integers(0, 9))
@settings(max_examples=12, deadline=None)
def test_matches_scipy(device: Device, shape: list[int], axis: int, seed: int) -> None:
    check_both(device, drawn(seed, shape) * 5, axis % len(shape))


@DTYPES
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_each_dtype(device: Device, axis: int, dtype: type[DType]) -> None:
    check_both(device, drawn(1, (5, 37, 12), dtype) * 3, axis)


@pytest.mark.parametrize("rung", ["naive", "workgroup", "subgroup"])
def test_rungs_of_rows(device: Device, rung: str) -> None:
    if rung == "subgroup" and "subgroups" not in device.features:
        pytest.skip(f"{device!r} has no subgroups")
    with forced_rung("nn.rows", rung):
        for shape in ((5, 1), (3, 130), (9, 64)):
            x = drawn(2, shape)
            wide = x.astype(np.float64)
            result = nn.log_softmax(up(device, x)).read()
            expected = special.log_softmax(wide, axis=-1)
            check(device, "log_softmax", result, expected, bound(wide, -1))


def test_infinities_and_empty(device: Device) -> None:
    x = np.array([[-np.inf, 1.0], [-np.inf, 1.0], [2.0, -np.inf]], np.float32)
    expected = special.softmax(x.astype(np.float64), axis=0)
    np.testing.assert_allclose(nn.softmax(up(device, x), 0).read(), expected, rtol=1e-6)
    for axis in (0, 1):
        assert nn.log_softmax(device.buffer(f32, (3, 0)), axis).shape == (3, 0)


def test_refuses(device: Device) -> None:
    with pytest.raises(ShapeError, match="axis 2"):
        nn.softmax(device.buffer(f32, (2, 3)), 2)
    with pytest.raises(DTypeError, match="log_softmax"):
        nn.log_softmax(device.buffer(i32, (2, 3)))
