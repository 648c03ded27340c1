"""Comparisons and choice against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from gpucore import Device, DTypeError, c64, f32, i32
from gpustd import arrays
from tests.gpustd.arrays.operators import draw, on_device, skip_without_f16

COMPARISONS = ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")
LOGICAL = ("logical_and", "logical_or", "logical_xor")


@pytest.mark.parametrize("dtype", ["f32", "f16", "i32", "u8"])
@pytest.mark.parametrize("op", [*COMPARISONS, *LOGICAL])
def test_two_operands(device: Device, op: str, dtype: str) -> None:
    skip_without_f16(device, dtype)
    x, y = draw(dtype, (5, 31)), draw(dtype, (5, 31), 1)
    y[:, ::3] = x[:, ::3]
    if x.dtype.kind == "f":
        x[0, :4], y[0, 2:6] = np.nan, np.nan
        x[1, :2], y[1, :4] = 0.0, -0.0
    result = on_device(device, getattr(arrays, op), x, y)
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(result, getattr(np, op)(x, y))


@pytest.mark.parametrize("op", ["isnan", "isinf", "isfinite", "logical_not"])
def test_tests(device: Device, op: str) -> None:
    x = np.array([0, -0.0, 1, np.nan, -np.nan, np.inf, -np.inf, 3e38, 2e-38], np.float32)
    np.testing.assert_array_equal(on_device(device, getattr(arrays, op), x), getattr(np, op)(x))


def test_complex_numbers_are_equal_in_both_parts(device: Device) -> None:
    x = np.array([1 + 2j, 1 + 2j, 1 + 2j, 3, 0], np.complex64)
    y = np.array([1 + 2j, 1 + 3j, 2 + 2j, 3, 1j], np.complex64)
    np.testing.assert_array_equal(on_device(device, arrays.equal, x, y), x == y)
    np.testing.assert_array_equal(on_device(device, arrays.not_equal, x, y), x != y)


@pytest.mark.parametrize("dtype", ["f32", "f16", "i8", "c64"])
def test_where(device: Device, dtype: str) -> None:
    skip_without_f16(device, dtype)
    flags = draw("u8", (3, 1, 9)) % 2
    x, y = draw(dtype, (4, 9)), draw(dtype, (3, 4, 1), 1)
    np.testing.assert_array_equal(
        on_device(device, arrays.where, flags, x, y), np.where(flags, x, y)
    )
    np.testing.assert_array_equal(
        on_device(device, arrays.where, flags, x, 2), np.where(flags, x, x.dtype.type(2))
    )


def test_where_with_a_condition_of_floats(device: Device) -> None:
    condition = np.array([0, -0.0, np.nan, 0.1], np.float32)
    x = np.arange(4, dtype=np.int32)
    np.testing.assert_array_equal(
        on_device(device, arrays.where, condition, x, -1), np.where(condition, x, -1)
    )


def test_refuses(device: Device) -> None:
    with pytest.raises(DTypeError, match="less: takes"):
        arrays.less(device.buffer(c64, 2), device.buffer(c64, 2))
    with pytest.raises(DTypeError, match="where: wants buffers of one dtype"):
        arrays.where(device.buffer(f32, 2), device.buffer(f32, 2), device.buffer(i32, 2))  # type: ignore[misc]
    with pytest.raises(DTypeError, match="isnan: takes c64, f16, f32"):
        arrays.isnan(device.buffer(i32, 2))
