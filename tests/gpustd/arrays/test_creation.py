"""New arrays against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from gpucore import ArgumentError, Device, DTypeError, c64, f16, f32, i8, i32, u8, u32
from gpucore.dtypes import DTYPES
from gpustd import arrays
from tests.gpustd.arrays.operators import skip_without_f16
from tests.gpustd.compare import compare
from tests.gpustd.poison import poison_pool


@pytest.mark.parametrize("dtype", DTYPES)
def test_full(device: Device, dtype: str) -> None:
    skip_without_f16(device, dtype)
    marker = DTYPES[dtype]
    for shape in ((), (0, 3), (5,), (3, 7)):
        poison_pool(device, 4 * int(np.prod(shape)))
        result = arrays.full(device, shape, 7, marker).read()
        np.testing.assert_array_equal(result, np.full(shape, 7, marker.numpy), strict=True)
    np.testing.assert_array_equal(arrays.zeros(device, 5, marker).read(), 0)
    np.testing.assert_array_equal(arrays.ones(device, 5, marker).read(), 1)


def test_full_of_a_complex_number(device: Device) -> None:
    np.testing.assert_array_equal(arrays.full(device, 3, 1 - 2j, c64).read(), 1 - 2j)


@pytest.mark.parametrize(
    "bounds", [(7,), (2, 9), (-5, 40, 7), (10, -3, -2), (3, 3), (5, 2)], ids=str
)
def test_arange(device: Device, bounds: tuple[int, ...]) -> None:
    for marker in (i32, i8, f32):
        result = arrays.arange(device, *bounds, dtype=marker).read()
        np.testing.assert_array_equal(result, np.arange(*bounds, dtype=marker.numpy))


def test_arange_down_of_unsigned_numbers(device: Device) -> None:
    for marker in (u32, u8):
        result = arrays.arange(device, 9, 2, -3, dtype=marker).read()
        np.testing.assert_array_equal(result, [9, 6, 3])


def test_arange_of_fractions(device: Device) -> None:
    """start, the step and index times step are rounded once each, the sum too."""
    expected = 0.1 + np.arange(100) * 0.07
    result = arrays.arange(device, 0.1, 0.1 + 6.97, 0.07, dtype=f32).read()
    compare(device, "arrays.arange", result, expected, 4 * 2.0**-24 * np.abs(expected) + 1e-9)


@pytest.mark.parametrize("num", [0, 1, 2, 3, 50, 101])
def test_linspace(device: Device, num: int) -> None:
    """As `arange`; the last is exact."""
    for endpoint in (True, False):
        result = arrays.linspace(device, -1.3, 7.1, num, endpoint=endpoint, dtype=f32).read()
        expected = np.linspace(-1.3, 7.1, num, endpoint=endpoint)
        compare(device, "arrays.linspace", result, expected, 4 * 2.0**-24 * (1.3 + 8.4))
        if endpoint and num > 1:
            assert result[-1] == np.float32(7.1)


def test_refuses(device: Device) -> None:
    with pytest.raises(ArgumentError, match="full: u8 does not hold 256"):
        arrays.full(device, 3, 256, u8)
    with pytest.raises(DTypeError, match=r"full: 0\.5 with i32"):
        arrays.full(device, 3, 0.5, i32)
    with pytest.raises(ArgumentError, match="arange: i8 does not hold 199"):
        arrays.arange(device, 200, dtype=i8)
    with pytest.raises(ArgumentError, match="a step of 0"):
        arrays.arange(device, 1, 2, 0, dtype=f32)
    for numbers in ((np.nan,), (0, np.inf), (0, 1, np.nan)):
        with pytest.raises(ArgumentError, match="wants finite numbers"):
            arrays.arange(device, *numbers, dtype=f32)
    for start, stop in ((0, 1e39), (-3e38, 3e38)):
        with pytest.raises(ArgumentError, match=r"linspace: .* is beyond the range of f32"):
            arrays.linspace(device, start, stop, 5, dtype=f32)
    with pytest.raises(DTypeError, match="linspace: 1j with f32"):
        arrays.linspace(device, 1j, 2, 3, dtype=f32)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="linspace: 3 of i32"):
        arrays.linspace(device, 0, 1, 3, dtype=i32)
    if not device.has_f16:
        with pytest.raises(DTypeError, match="has no f16"):
            arrays.zeros(device, 3, f16)
