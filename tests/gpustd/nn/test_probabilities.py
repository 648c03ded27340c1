"""softmax and log_softmax over any axis, on every variant and engine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import special

from gpucore import Device, DType, DTypeError, ShapeError, f16, f32, i32
from gpustd import nn
from gpustd.launch.variants import force_variant
from tests.draws import draws
from tests.gpustd.nn.oracle import EPS, check, draw_normal, strided_view, supported_dtype, up

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
    # What is minus infinity stays so, and adds nothing to the sum.
    seen = np.isfinite(wide)
    allowed = bound(np.where(seen, wide, wide.min(where=seen, initial=0)), axis)
    expected = special.log_softmax(wide, axis=axis)
    check(device, "log_softmax", nn.log_softmax(up(device, x), axis).read(), expected, allowed)
    # A factor exp(d) of the probability for an absolute error d.
    share = np.exp(expected)
    result = nn.softmax(up(device, x), axis).read()
    check(device, "softmax", result, share, 2 * allowed * share + 2.0**-126)


SHAPES = st.lists(st.sampled_from([1, 2, 3, 4, 7, 8, 33, 37]), min_size=1, max_size=3)


@given(
    shape=SHAPES,
    axis=st.integers(-3, 2),
    dtype=st.sampled_from([f32, f16]),
    seed=st.integers(0, 9),
    never=st.sampled_from([0.0, 0.3]),
)
@settings(max_examples=draws(20), deadline=None)
def test_matches_scipy(
    device: Device, shape: list[int], axis: int, dtype: type[DType], seed: int, never: float
) -> None:
    """Also where a share of the elements is minus infinity, but none is alone with them."""
    axis = axis % len(shape)
    x = draw_normal(seed, shape, supported_dtype(device, dtype)) * 5
    hidden = np.random.default_rng(seed).random(shape) < never
    hidden[(slice(None),) * axis + (0,)] = False
    x[hidden] = -np.inf
    check_both(device, strided_view(x), axis)


@pytest.mark.parametrize("variant", ["naive", "workgroup", "subgroup"])
def test_variants_of_rows(device: Device, variant: str) -> None:
    if variant == "subgroup" and "subgroups" not in device.features:
        pytest.skip(f"{device!r} has no subgroups")
    with force_variant("nn.rows", variant):
        for shape in ((5, 1), (3, 130), (9, 64)):
            x = draw_normal(2, shape)
            wide = x.astype(np.float64)
            result = nn.log_softmax(up(device, x)).read()
            expected = special.log_softmax(wide, axis=-1)
            check(device, "log_softmax", result, expected, bound(wide, -1))


@pytest.mark.parametrize("shape", [(3, 0), (0, 3), (2, 0, 3)], ids=str)
def test_empty(device: Device, shape: tuple[int, ...]) -> None:
    for axis in range(len(shape)):
        for function in (nn.softmax, nn.log_softmax):
            assert function(device.buffer(f32, shape), axis).read().shape == shape


def test_refuses(device: Device) -> None:
    with pytest.raises(ShapeError, match="axis 2"):
        nn.softmax(device.buffer(f32, (2, 3)), 2)
    with pytest.raises(DTypeError, match="log_softmax"):
        nn.log_softmax(device.buffer(i32, (2, 3)))
