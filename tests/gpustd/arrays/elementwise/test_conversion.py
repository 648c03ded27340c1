"""Casts against NumPy; on devices without f16 as well."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpucore import Device, DTypeError, c64, f32
from gpucore.dtypes import DTYPES
from gpustd import cast
from tests.draws import draws
from tests.gpustd.arrays.operators import mixture
from tests.gpustd.compare import compare
from tests.gpustd.poison import poison_pool
from tests.gpustd.reference import cast as oracle
from tests.gpustd.reference.cast import CASES


@pytest.mark.parametrize(("source", "target", "shape"), CASES, ids=str)
def test_matches_numpy(device: Device, source: str, target: str, shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(1).normal(0, 300, shape)
    x = (np.abs(x) if source == "u32" else x).astype(np.int64 if source[0] in "iu" else np.float64)
    x = x.astype(DTYPES[source].numpy)
    expected = oracle.reference(x, DTYPES[target].numpy)
    buffer = device.buffer_from_array(x)
    poison_pool(device, expected.nbytes)
    result = cast(buffer, DTYPES[target]).read()
    assert result.dtype == expected.dtype
    assert result.shape == shape
    error = np.abs(result.astype(np.complex128) - expected.astype(np.complex128))
    assert np.all(error <= oracle.bound(expected))


REAL = ("f16", "f32", "i8", "i32", "u8", "u32")
SHAPE = st.lists(st.sampled_from([0, 1, 2, 3, 4, 7, 13, 31]), max_size=4).map(tuple)


@settings(max_examples=draws(30), deadline=None)
@given(st.sampled_from(REAL), st.sampled_from([*REAL, "c64"]), SHAPE, st.integers(0, 10**6))
def test_any_two_dtypes(
    device: Device, source: str, target: str, shape: tuple[int, ...], seed: int
) -> None:
    """Numbers of all sizes: integers wrap, floats are clamped to integers, infinities too.

    What f16 does not hold is the device's own, NaN as an integer some number.
    """
    x = mixture(source, shape, seed)
    if x.dtype.kind == "f" and target[0] in "iu":
        x = np.where(np.isnan(x), x.dtype.type(1), x)
    if target == "f16":
        x = np.where(np.abs(x.astype(np.float64)) > 6e4, x.dtype.type(3), x)
        tiny = np.abs(x.astype(np.float64)) < 2.0**-14
        x = np.where(tiny & (x != 0), x.dtype.type(1), x) if x.dtype.kind == "f" else x
    expected = oracle.reference(x, DTYPES[target].numpy)
    buffer = device.buffer_from_array(x)
    poison_pool(device, expected.nbytes)
    result = cast(buffer, DTYPES[target]).read()
    assert result.dtype == expected.dtype
    finite = np.isfinite(expected)
    allowed = oracle.bound(np.where(finite, expected, 0).astype(expected.dtype))
    exact = expected.astype(np.complex128 if target == "c64" else np.float64)
    compare(device, "cast", result, exact, allowed)


def test_there_and_back_is_exact(device: Device) -> None:
    """All finite f16 but the subnormal ones, which a device may flush."""
    every = np.arange(2**16, dtype=np.uint16).view(np.float16)
    every = every[np.isfinite(every) & (np.abs(every) >= 2.0**-14)]
    wide = cast(device.buffer_from_array(every), f32)
    np.testing.assert_array_equal(wide.read(), every.astype(np.float32))
    np.testing.assert_array_equal(cast(wide, DTYPES["f16"]).read(), every)


def test_the_same_dtype_is_the_same_buffer(device: Device) -> None:
    x = device.buffer(f32, 3)
    assert cast(x, f32) is x


def test_refuses_other_dtypes(device: Device) -> None:
    with pytest.raises(DTypeError, match=r"dtypes must be among .* to f32"):
        cast(device.buffer(c64, 3), f32)
