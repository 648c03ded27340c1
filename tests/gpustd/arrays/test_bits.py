"""Bits of integers against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from gpucore import Device, DTypeError, f32
from gpustd import arrays
from tests.gpustd.arrays.operators import draw, on_device


@pytest.mark.parametrize("dtype", ["i32", "u32", "i8", "u8"])
@pytest.mark.parametrize(
    "op", ["bitwise_and", "bitwise_or", "bitwise_xor", "left_shift", "right_shift"]
)
def test_two_operands(device: Device, op: str, dtype: str) -> None:
    x, y = draw(dtype, (5, 13)), draw(dtype, (5, 13), 1)
    if "shift" in op:
        y = (np.arange(65).reshape(5, 13) % 40).astype(y.dtype)
    np.testing.assert_array_equal(
        on_device(device, getattr(arrays, op), x, y), getattr(np, op)(x, y)
    )


@pytest.mark.parametrize("dtype", ["i32", "u8"])
def test_not(device: Device, dtype: str) -> None:
    x = draw(dtype, (13,))
    np.testing.assert_array_equal(on_device(device, arrays.bitwise_not, x), ~x)


def test_refuses_floats(device: Device) -> None:
    with pytest.raises(DTypeError, match="bitwise_and: takes i8, i32, u8, u32"):
        arrays.bitwise_and(device.buffer(f32, 3), 1)
