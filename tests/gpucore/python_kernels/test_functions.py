"""Functions of math and NumPy that are made of those of WGSL, on every engine."""

from __future__ import annotations

import math

import numpy as np

from gpucore import Array, Array2, Device, f16, f32, global_id, gpu_kernel, i32, u32
from gpustd.forms import grad
from tests.conftest import skip_without_f16

RNG = np.random.default_rng(74)


def spread(count: int) -> np.ndarray:
    """Return numbers of many sizes and both signs, above -1."""
    small = 10.0 ** RNG.uniform(-12, -0.1, count) * RNG.choice([-1, 1], count)
    return np.concatenate([small, RNG.uniform(0, 20, count), [0, 0.25, -0.25]]).astype(np.float32)


@gpu_kernel
def floats(x: Array[f32], out: Array2[f32]) -> None:
    i = global_id.x
    if i < len(x):
        out[0, i] = np.log1p(x[i])
        out[1, i] = math.expm1(x[i])
        out[2, i] = math.cbrt(x[i])
        out[3, i] = np.copysign(2.5, x[i])
        out[4, i] = np.mod(x[i] * 8, -3.0) if x[i] > 0 else 0.0
        out[5, i] = np.float32(np.add(np.negative(x[i]), np.multiply(x[i], 3)))


def test_functions_of_floats(device: Device) -> None:
    x = spread(200)
    out = device.buffer_from_array(np.full((6, len(x)), np.nan, np.float32))
    floats(device.buffer_from_array(x), out)
    d = x.astype(np.float64)
    found = out.read()
    for row, expected in enumerate((np.log1p(d), np.expm1(d), np.cbrt(d))):
        # Exponentials and powers of 32 bits have an error of a few units of their exponent.
        np.testing.assert_allclose(found[row], expected, rtol=2e-5, atol=1e-30)
    np.testing.assert_array_equal(found[3], np.copysign(np.float32(2.5), x))
    remainder = np.where(d > 0, np.mod(np.float32(x * 8), np.float32(-3)), 0)
    off = abs(found[4] - remainder)
    assert np.minimum(off, 3 - off).max() < 1e-4
    np.testing.assert_allclose(found[5], 2 * x, rtol=1e-6)


@gpu_kernel
def kinds(x: Array[f32]) -> Array[u32]:
    finite = np.logical_and(np.isfinite(x), np.logical_not(x == 7))
    return u32(math.isnan(x)) + 2 * u32(math.isinf(x)) + 4 * u32(finite)


def test_kinds_of_floats(device: Device) -> None:
    x = np.float32([1, -np.inf, np.nan, np.inf, -np.nan, 0, -3e38, 1e-42, 7])
    found = kinds(device.buffer_from_array(x)).read()
    expected = np.isnan(x) + 2 * np.isinf(x) + 4 * (np.isfinite(x) & (x != 7))
    assert found.tolist() == expected.tolist()


@gpu_kernel
def halves(x: Array[f16]) -> Array[f16]:
    return np.log1p(x) if math.isfinite(x) else 0.0


def test_functions_of_halves(device: Device) -> None:
    skip_without_f16(device, "f16")
    x = np.float16([0, 0.1, 0.5, np.inf])
    expected = np.log1p(np.float64([0, 0.1, 0.5, 0]))
    np.testing.assert_allclose(halves(device.buffer_from_array(x)).read(), expected, atol=1e-3)


@gpu_kernel
def integers(a: Array[i32], b: Array[i32], u: Array[u32], out: Array2[i32]) -> None:
    i = global_id.x
    if i < len(a):
        out[0, i] = np.mod(a[i], b[i])
        out[1, i] = np.floor_divide(a[i], b[i])
        out[2, i] = np.bitwise_xor(a[i], np.left_shift(b[i], 2))
        out[3, i] = np.subtract(np.invert(a[i]), np.bitwise_or(a[i], b[i]))
        out[4, i] = i32(np.remainder(u[i], 7))


def test_functions_of_integers(device: Device) -> None:
    a = RNG.integers(-(2**30), 2**30, 300).astype(np.int32)
    b = (RNG.integers(1, 100, 300) * RNG.choice([-1, 1], 300)).astype(np.int32)
    u = RNG.integers(0, 2**32, 300).astype(np.uint32)
    out = device.buffer(i32, (5, 300))
    integers(*(device.buffer_from_array(each) for each in (a, b, u)), out)
    expected = [a % b, a // b, a ^ (b << 2), ~a - (a | b), u % 7]
    for row, each in enumerate(expected):
        np.testing.assert_array_equal(out.read()[row], each, err_msg=str(row))


@gpu_kernel
def grown(x: Array[f32]) -> Array[f32]:
    return np.log1p(x) + np.expm1(x)


def test_they_have_derivatives(device: Device) -> None:
    x = np.float32([-0.5, -0.1, 1e-6, 0.1, 2])
    found = grad(grown)(device.buffer_from_array(x))["x"].read()
    np.testing.assert_allclose(found, 1 / (1 + x) + np.exp(x), rtol=1e-5)
