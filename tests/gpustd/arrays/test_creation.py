"""New arrays against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpucore import ArgumentError, Device, DTypeError, ShapeError, f16, f32, i8, i32, u8
from gpucore.dtypes import DTYPES
from gpustd import arrays
from tests.draws import draws
from tests.gpustd.arrays.operators import held_by
from tests.gpustd.compare import compare
from tests.gpustd.poison import poison_pool

SHAPE = st.lists(st.sampled_from([0, 1, 2, 3, 7, 31]), max_size=3).map(tuple)
DTYPE = st.sampled_from(list(DTYPES))


@settings(max_examples=draws(20), deadline=None)
@given(SHAPE, DTYPE, st.integers(-(2**31), 2**32 - 1), st.floats(-6e4, 6e4), st.floats(-9, 9))
def test_full(
    device: Device, shape: tuple[int, ...], dtype: str, whole: int, real: float, imaginary: float
) -> None:
    """Numbers are rounded as NumPy does; subnormal ones may be 0."""
    marker = DTYPES[held_by(device, dtype)]
    kind = np.dtype(marker.numpy)
    least = float(np.finfo(kind).smallest_normal) if kind.kind in "fc" else 0.0
    parts = [p if abs(p) >= least else 0.0 for p in (real, imaginary)]
    number: complex = complex(*parts) if kind.kind == "c" else parts[0]
    if kind.kind in "iu":
        info = np.iinfo(kind)
        number = int(info.min) + whole % (int(info.max) - int(info.min) + 1)
    poison_pool(device, kind.itemsize * int(np.prod(shape)))
    result = arrays.full(device, shape, number, marker).read()
    compare(device, "arrays.full", result, np.full(shape, number, kind), 0)
    assert result.dtype == kind
    poison_pool(device, kind.itemsize * int(np.prod(shape)))
    for call, value in ((arrays.zeros, 0), (arrays.ones, 1)):
        expected = np.full(shape, value, kind)
        np.testing.assert_array_equal(call(device, shape, marker).read(), expected, strict=True)


@settings(max_examples=draws(15), deadline=None)
@given(
    st.sampled_from(["i32", "i8", "u32", "u8", "f32", "f16"]),
    st.integers(-100, 100),
    st.integers(-100, 100),
    st.integers(-40, 40).filter(bool),
)
def test_arange(device: Device, dtype: str, start: int, stop: int, step: int) -> None:
    """Whole numbers are exact, in floats too; with one number from 0 by 1."""
    marker = DTYPES[held_by(device, dtype)]
    kind = np.dtype(marker.numpy)
    if kind.kind == "u":
        start, stop = abs(start), abs(stop)
    poison_pool(device, 400, 200, 100)
    result = arrays.arange(device, start, stop, step, dtype=marker).read()
    expected = np.array(range(start, stop, step), kind)
    np.testing.assert_array_equal(result, expected, strict=True)
    result = arrays.arange(device, stop, dtype=marker).read()
    np.testing.assert_array_equal(result, np.arange(stop, dtype=kind), strict=True)


@settings(max_examples=draws(20), deadline=None)
@given(
    st.floats(-100, 100),
    st.floats(-100, 100),
    st.sampled_from([0, 1, 2, 3, 50, 101]),
    st.sampled_from(["f32", "f16"]),
    st.booleans(),
)
def test_linspace(
    device: Device, start: float, stop: float, num: int, dtype: str, endpoint: bool
) -> None:
    """start, step and i times step are rounded once each, the sum too; f16 once more.

    The last is exact. `arange` of fractions makes the same numbers, how many follows from float64.
    """
    dtype = held_by(device, dtype)
    marker, kind = DTYPES[dtype], np.dtype(DTYPES[dtype].numpy)
    least = float(np.finfo(kind).smallest_normal)
    start, stop = (x if abs(x) >= least else 0.0 for x in (start, stop))
    poison_pool(device, 404, 200)
    result = arrays.linspace(device, start, stop, num, endpoint=endpoint, dtype=marker).read()
    expected = np.linspace(start, stop, num, endpoint=endpoint)
    most = max(abs(start), abs(stop))
    rounding = 2.0**-10 * most + 6e-8 if dtype == "f16" else 0
    allowed = 4 * 2.0**-24 * (abs(start) + abs(stop - start)) + rounding + 1e-37
    compare(device, "arrays.linspace", result, expected, allowed, most)
    if endpoint and num > 1:
        assert result[-1] == kind.type(stop)
    step = (stop - start) / (num + 0.5)
    if abs(step) >= least:
        result = arrays.arange(device, start, stop, step, dtype=marker).read()
        compare(device, "arrays.arange", result, start + np.arange(num + 1) * step, allowed, most)


def test_linspace_of_small_integers(device: Device) -> None:
    """Their difference would wrap around."""
    small: Any = np.uint8
    found = arrays.linspace(device, small(5), small(1), 5, dtype=f32).read()
    assert found.tolist() == [5, 4, 3, 2, 1]


def test_refuses(device: Device) -> None:
    with pytest.raises(ArgumentError, match="full: the number must be one that u8 holds, got 256"):
        arrays.full(device, 3, 256, u8)
    with pytest.raises(DTypeError, match=r"full: .* that i32 holds, got 0\.5"):
        arrays.full(device, 3, 0.5, i32)
    with pytest.raises(
        ArgumentError, match="arange: the number must be one that i8 holds, got 199"
    ):
        arrays.arange(device, 200, dtype=i8)
    with pytest.raises(ArgumentError, match="step must not be 0"):
        arrays.arange(device, 1, 2, 0, dtype=f32)
    for numbers in ((np.nan,), (0, np.inf), (0, 1, np.nan)):
        with pytest.raises(ArgumentError, match="must be finite"):
            arrays.arange(device, *numbers, dtype=f32)
    for start, stop in ((0, 1e39), (-3e38, 3e38)):
        with pytest.raises(ArgumentError, match=r"linspace: .* within the range of f32, got"):
            arrays.linspace(device, start, stop, 5, dtype=f32)
    with pytest.raises(DTypeError, match=r"linspace: .* that f32 holds, got 1j"):
        arrays.linspace(device, 1j, 2, 3, dtype=f32)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="linspace: dtype must be f16 or f32, got i32"):
        arrays.linspace(device, 0, 1, 3, dtype=i32)
    if not device.has_f16:
        with pytest.raises(DTypeError, match="has no f16"):
            arrays.zeros(device, 3, f16)
    for call in (arrays.zeros, arrays.ones):
        with pytest.raises(ShapeError):
            call(device, (2, -1), f32)
    with pytest.raises(ArgumentError, match="linspace: num must not be negative, got -1"):
        arrays.linspace(device, 0, 1, -1, dtype=f32)
