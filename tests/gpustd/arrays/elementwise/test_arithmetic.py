"""Arithmetic against NumPy, at its ends, and to the bit."""

from __future__ import annotations

import numpy as np
import pytest

from gpucore import ArgumentError, Device, DTypeError, ShapeError, f16, f32, i8, i32, sanitize, u8
from gpustd import arrays
from gpustd.arrays.elementwise import arithmetic
from tests.conftest import skip_without_f16
from tests.gpustd.arrays.elementwise_properties import properties_of
from tests.gpustd.arrays.operators import draw, on_device, ulps
from tests.gpustd.compare import compare

test_equal_shapes, test_broadcasting, test_refusals = properties_of(arithmetic.__all__)


def test_remainders_of_far_numbers(device: Device) -> None:
    rng = np.random.default_rng(0)
    x = np.exp(rng.uniform(-60, 80, 400)).astype(np.float32)
    y = np.exp(rng.uniform(-60, 80, 400)).astype(np.float32)
    expected = np.fmod(x.astype(np.float64), y.astype(np.float64))
    np.testing.assert_array_equal(on_device(device, arrays.remainder, x, y), expected)


def test_quotients_by_infinity_have_their_signs(device: Device) -> None:
    x = np.array([0, 1, -1, -0.0, 1, -1, 5, 0], np.float32)
    y = np.array([1, 1, -1, 1, -1, 1, 1, -1], np.float32) * np.float32(np.inf)
    found = on_device(device, arrays.floor_divide, x, y)
    expected = np.floor_divide(x, y)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(np.signbit(found), np.signbit(expected))


def test_special_powers(device: Device) -> None:
    values = np.array([-np.inf, -3, -2, -1, -0.5, 0, 0.5, 1, 2, 3, np.inf, np.nan], np.float32)
    x, y = (a.ravel().copy() for a in np.meshgrid(values, values))
    with np.errstate(all="ignore"):
        expected = np.power(x, y)
    result = on_device(device, arrays.power, x, y)
    np.testing.assert_allclose(result, expected, rtol=1e-6)


def test_complex_quotients_by_zero(device: Device) -> None:
    """Parts are infinite or NaN as in NumPy, which WGSL's x / 0 need not be."""
    x = np.array(
        [0, 1, -1, 2j, -3j, 1 + 2j, complex(np.nan, -1), complex(-np.inf, 0)], np.complex64
    )
    with np.errstate(all="ignore"):
        expected = x / np.complex64(0)
    with sanitize():
        found = on_device(device, arrays.divide, x, np.zeros_like(x))
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(on_device(device, arrays.divide, x, np.zeros_like(x)), expected)


def test_complex_functions(device: Device) -> None:
    """Infinities, NaN, and numbers whose squares overflow."""
    special = np.array(
        [np.inf, 1, np.nan, 2j, complex(1, np.nan), complex(0, -np.inf)], np.complex64
    )
    for op in ("isnan", "isinf", "isfinite"):
        found = on_device(device, getattr(arrays, op), special)
        np.testing.assert_array_equal(found, getattr(np, op)(special))
    real = on_device(device, arrays.exp, special[:1])
    assert real == np.inf
    np.testing.assert_array_equal(on_device(device, arrays.log, np.array([1], np.complex64)), 0)
    large = np.array([3e38 + 3e38j, -3.4e38j, 1e38 + 9e37j], np.complex64)
    expected = np.log(large.astype(np.complex128))
    found = on_device(device, arrays.log, large)
    compare(device, "arrays.log", found, expected, ulps(np.abs(expected), 8))
    for two in (2, 2.0, np.float32(2), np.int64(2)):
        np.testing.assert_array_equal(
            on_device(device, lambda b, y=two: arrays.power(b, y), np.array([1j, 3], np.complex64)),
            [-1, 9],
        )


def test_absolute_of_large_complex_numbers(device: Device) -> None:
    x = np.array([3e38 + 1e38j, 0, 3e-30 + 4e-30j], np.complex64)
    expected = np.abs(x.astype(np.complex128))
    compare(
        device,
        "arrays.absolute",
        on_device(device, arrays.absolute, x),
        expected,
        ulps(expected, 8),
    )


@pytest.mark.parametrize("dtype", ["f32", "f16"])
def test_sums_and_products_are_rounded_once(device: Device, dtype: str) -> None:
    """Sums and products of f32 have the bits of NumPy's."""
    skip_without_f16(device, dtype)
    x, y = draw(dtype, (4, 33, 5)), draw(dtype, (4, 33, 5), 1)
    a, b = x.astype(np.float32), y.astype(np.float32)
    np.testing.assert_array_equal(on_device(device, arrays.add, x, y), (a + b).astype(x.dtype))
    np.testing.assert_array_equal(on_device(device, arrays.multiply, x, y), (a * b).astype(x.dtype))


def test_clip_with_one_side(device: Device) -> None:
    x = draw("i32", (33,))
    np.testing.assert_array_equal(on_device(device, arrays.clip, x, 1), np.maximum(x, 1))
    np.testing.assert_array_equal(on_device(device, arrays.clip, x, None, 1), np.minimum(x, 1))


def test_powers_beyond_the_range(device: Device) -> None:
    """For any exponent, both parts of a power's logarithm keep their digits."""
    bases = [3, 7, 0.1, 1e30, 1 + 2.0**-23, 1 - 2.0**-24, -3, -2]
    exponents = [1e10, 3e38, -1e10, -3e38, 123456, 1e4, 200, -200, 2**24 - 1]
    x, y = np.meshgrid(np.array(bases, np.float32), np.array(exponents, np.float32))
    result = on_device(device, arrays.power, x, y)
    with np.errstate(all="ignore"):
        expected = np.power(x.astype(np.float64), y.astype(np.float64))
        size = np.log2(np.abs(x.astype(np.float64)))
        held = expected.astype(np.float32)
    normal = np.isfinite(held) & (np.abs(held) >= 2.0**-126)
    np.testing.assert_array_equal(result[np.isinf(held)], held[np.isinf(held)])
    assert np.all(np.abs(result[np.abs(held) < 2.0**-126]) <= 2.0**-126)
    allowed = 2.0**-23 * (4 + np.abs(y) + np.abs(y * size))[normal] * np.abs(expected[normal])
    assert np.all(np.abs(result[normal] - expected[normal]) <= allowed)


def test_refuses_what_does_not_fit(device: Device) -> None:
    x, n = device.buffer(f32, (2, 3)), device.buffer(i8, (2, 3))
    with pytest.raises(ShapeError, match=r"add: extents .* got shapes \(2, 3\), \(2,\)"):
        arrays.add(x, device.buffer(f32, 2))
    with pytest.raises(DTypeError, match="multiply: buffers must have one dtype"):
        arrays.multiply(x, device.buffer(i32, (2, 3)))  # type: ignore[misc]
    with pytest.raises(DTypeError, match="divide: the dtype must be one of c64, f16, f32"):
        arrays.divide(n, n)
    with pytest.raises(ArgumentError, match="that i8 holds, got 128"):
        arrays.add(n, 128)
    with pytest.raises(ArgumentError, match="that u8 holds, got -1"):
        arrays.add(device.buffer(u8, 3), -1)
    with pytest.raises(ArgumentError, match="that f32 holds, got 16777217"):
        arrays.add(x, 2**24 + 1)
    with pytest.raises(ArgumentError, match="within the range of f32"):
        arrays.add(x, 1e39)
    with pytest.raises(DTypeError, match=r"that i8 holds, got 0\.5"):
        arrays.add(n, 0.5)
    with pytest.raises(DTypeError, match="that f32 holds, got 1j"):
        arrays.add(x, 1j)
    with pytest.raises(ArgumentError, match="one operand must be a Buffer"):
        arrays.add(1, 2)
    if not device.has_f16:
        with pytest.raises(DTypeError, match="has no f16"):
            arrays.add(device.buffer(f16, 3), 1)
