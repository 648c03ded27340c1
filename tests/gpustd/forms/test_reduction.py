"""Reductions by an operator in Python, against NumPy in float64."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from gpucore import (
    ArgumentError,
    Device,
    DTypeError,
    PythonKernelError,
    ShapeError,
    c64,
    f16,
    f32,
    global_id,
    gpu_function,
    i32,
    vec2f,
    vec4f,
)
from gpustd.forms import GpuReduction, gpu_reduce
from gpustd.launch.variants import force_variant

RNG = np.random.default_rng(26)
SHAPES: list[tuple[tuple[int, ...], Any]] = [
    ((1,), None),
    ((0,), None),
    ((3, 0, 2), 1),
    ((129,), 0),
    ((70001,), None),
    ((3, 4099), 1),
    ((517, 40), 0),
    ((5, 31, 12), (0, 2)),
    ((2, 3), ()),
]
FOLDS = ("runs", "rows", "subgroups", "columns")


def floats(*shape: int) -> np.ndarray:
    return RNG.uniform(-1, 1, shape).astype(np.float32)


def square(x: f32) -> f32:
    """Return a square."""
    return x * x


@gpu_function
def root(total: f32) -> f32:
    """Return the length of a vector of which this is the sum of squares."""
    return f32(math.sqrt(total))


@gpu_reduce(identity=0.0)
def add(a: f32, b: f32) -> f32:
    """Add."""
    return a + b


@gpu_reduce(identity=0.0, map=square, finish=root)
def length(a: f32, b: f32) -> f32:
    """Add."""
    return a + b


@gpu_reduce(identity=0)
def farthest(a: i32, b: i32) -> i32:
    """Return the number that is farther from 0; of two, the greater."""
    if abs(a) == abs(b):
        return max(a, b)
    return a if abs(a) > abs(b) else b


@gpu_reduce(identity=0)
def any_bit(a, b):  # type: ignore[no-untyped-def]
    """Return all bits of both, of any integers."""
    return a | b


@pytest.mark.parametrize("variant", FOLDS)
@pytest.mark.parametrize(("shape", "axis"), SHAPES)
def test_sums(device: Device, shape: tuple[int, ...], axis: Any, variant: str) -> None:
    x = floats(*shape)
    with force_variant("fold", variant):
        found = add(device.buffer_from_array(x), axis=axis).read()
    wanted = x.astype(np.float64).sum(axis=axis)
    assert found.shape == wanted.shape
    assert found.dtype == np.float32
    # 40 p roundings of the sum of sizes, as gpustd.sum
    bound = 120 * 2.0**-24 * np.abs(x).astype(np.float64).sum(axis=axis) + 1e-30
    assert np.all(np.abs(found - wanted) <= bound)


@gpu_reduce(identity=math.inf)
def lowest(a: f32, b: f32) -> f32:
    """Return the less."""
    if b < a:
        return b
    return a


@gpu_reduce(identity=np.float32(-np.inf))
def highest(a: f32, b: f32) -> f32:
    """Return the greater."""
    return max(a, b)


def both(x: f32) -> vec2f:
    """Return a number as the least and the greatest."""
    return vec2f(x, x)


def range_of(ends: vec2f) -> f32:
    """Return the distance of the ends."""
    return ends.y - ends.x


@gpu_reduce(identity=(math.inf, -math.inf), map=both, finish=range_of)
def width(a: vec2f, b: vec2f) -> vec2f:
    """Return the least and the greatest."""
    return vec2f(min(a.x, b.x), max(a.y, b.y))


@pytest.mark.parametrize("variant", FOLDS)
@pytest.mark.parametrize(("shape", "axis"), SHAPES[1:6:2])
def test_infinity_as_identity(
    device: Device, shape: tuple[int, ...], axis: Any, variant: str
) -> None:
    x = floats(*shape) * np.float32(1e38) * 3
    x.reshape(-1)[::5] = np.inf
    buffer = device.buffer_from_array(x)
    with force_variant("fold", variant):
        found = lowest(buffer, axis=axis).read(), highest(-buffer, axis=axis).read()
    wanted = x.min(axis=axis, initial=np.inf)
    np.testing.assert_array_equal(found[0], wanted)
    np.testing.assert_array_equal(found[1], -wanted)


def test_two_infinities_as_identity(device: Device) -> None:
    x = floats(23, 517)
    found = width(device.buffer_from_array(x), axis=1).read()
    np.testing.assert_array_equal(found, np.ptp(x, axis=1))


@gpu_reduce(identity=-0.0)
def total(a: f32, b: f32) -> f32:
    """Add."""
    return a + b


def test_minus_zero_as_identity(device: Device) -> None:
    minus = device.buffer_from_array(np.full((3, 70), -0.0, np.float32))
    assert np.signbit(total(minus, axis=1).read()).all()


@pytest.mark.parametrize("variant", ["runs", "subgroups"])
@pytest.mark.parametrize(("shape", "axis"), SHAPES)
def test_map_and_finish(device: Device, shape: tuple[int, ...], axis: Any, variant: str) -> None:
    x = floats(*shape)
    with force_variant("fold", variant):
        found = length(device.buffer_from_array(x), axis=axis, keepdims=True).read()
    wanted = np.sqrt((x.astype(np.float64) ** 2).sum(axis=axis, keepdims=True))
    np.testing.assert_allclose(found, wanted, rtol=2e-5)


@pytest.mark.parametrize("variant", FOLDS)
@pytest.mark.parametrize("dtype", [np.int32, np.int8])
def test_statements_of_integers(device: Device, dtype: type, variant: str) -> None:
    x: np.ndarray = RNG.integers(-90, 90, (23, 1031)).astype(dtype)
    with force_variant("fold", variant):
        found = farthest(device.buffer_from_array(x), axis=1).read()
    order = np.argsort(np.abs(x.astype(int)) * 2 + (x > 0), axis=1)[:, -1]
    np.testing.assert_array_equal(found, x[np.arange(len(x)), order])
    assert found.dtype == np.int32


@pytest.mark.parametrize("dtype", [np.int32, np.uint32, np.uint8])
def test_an_operator_without_types(device: Device, dtype: type) -> None:
    x: np.ndarray = (1 << RNG.integers(0, 7, 300)).astype(dtype)
    assert any_bit(device.buffer_from_array(x)).read() == np.bitwise_or.reduce(x)


def test_half_precision(device: Device) -> None:
    if not device.has_f16:
        pytest.skip("no f16")
    x = RNG.uniform(0, 1, (9, 333)).astype(np.float16)
    found = add(device.buffer_from_array(x), axis=1)
    assert found.dtype is f16
    np.testing.assert_allclose(found.read(), x.astype(np.float64).sum(axis=1), rtol=1e-3)


def test_several_arrays_and_a_number_broadcast(device: Device) -> None:
    def distance(x: f32, y: f32, scale: f32) -> f32:
        return scale * (x - y) * (x - y)

    x, y = floats(31, 65), floats(65)
    squares = gpu_reduce(identity=0.0, map=distance)(plus)
    made = [device.buffer_from_array(each) for each in (x, y)]
    wanted = 0.5 * ((x.astype(np.float64) - y) ** 2).sum(axis=1)
    np.testing.assert_allclose(squares(*made, 0.5, axis=1).read(), wanted, rtol=1e-5)


def plus(a: f32, b: f32) -> f32:
    """Add."""
    return a + b


def test_vectors(device: Device) -> None:
    """Least and largest at once."""

    def twice(x: f32) -> vec2f:
        return vec2f(x, x)

    def ends(a: vec2f, b: vec2f) -> vec2f:
        return vec2f(min(a.x, b.x), max(a.y, b.y))

    def spread(a: vec2f) -> f32:
        return f32(a.y - a.x)

    x = floats(12, 700)
    made = gpu_reduce(identity=(9.0, -9.0), map=twice, finish=spread)(ends)
    found = made(device.buffer_from_array(x), axis=1).read()
    np.testing.assert_array_equal(found, x.max(axis=1) - x.min(axis=1))


def test_complex_numbers(device: Device) -> None:
    def product(a: vec2f, b: vec2f) -> vec2f:
        return vec2f(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x)

    x = np.exp(1j * RNG.uniform(0, 6, (5, 300))).astype(np.complex64)
    found = gpu_reduce(identity=(1.0, 0.0))(product)(device.buffer_from_array(x), axis=1)
    assert found.dtype is c64
    np.testing.assert_allclose(found.read(), np.prod(x.astype(np.complex128), axis=1), rtol=1e-4)


def test_the_batch_does_not_change_bits(device: Device) -> None:
    x = floats(5, 3001)
    all_rows = length(device.buffer_from_array(x), axis=1).read()
    alone = length(device.buffer_from_array(x[3:4]), axis=1).read()
    np.testing.assert_array_equal(all_rows[3:4], alone)


def test_a_changed_constant_is_seen(device: Device) -> None:
    weight = 2.0

    def weighted(x: f32) -> f32:
        return x * weight

    total = gpu_reduce(identity=0.0, map=weighted)(plus)
    x = device.buffer_from_array(np.ones(5, np.float32))
    assert total(x).read() == 10
    weight = 3.0
    assert total(x).read() == 15


def test_the_source() -> None:
    assert "fn user_plus(a: f32, b: f32) -> f32" in gpu_reduce(identity=0.0)(plus).source()
    assert "a: u32" in any_bit.source("u8")


def shares(a: f32, b: f32) -> f32:
    """Read what an operator has not."""
    return a + b + f32(global_id.x)


def nothing(a: f32, b: f32) -> None:
    """Return nothing."""


def other(a: f32, b: f32) -> i32:
    """Return another type."""
    return i32(a)


def as_vector(x: f32) -> vec2f:
    """Return a vector."""
    return vec2f(x, x)


def least(a, b):  # type: ignore[no-untyped-def]
    """Return the less."""
    return min(a, b)


def four(x: f32) -> vec4f:
    """Return a vector of four."""
    return vec4f(x, x, x, x)


def sum_of_fours(a: vec4f, b: vec4f) -> vec4f:
    """Add."""
    return a + b


def two(x: f32, y: f32) -> f32:
    """Return a product."""
    return x * y


WRONG: list[tuple[GpuReduction, Any, type[Exception], str]] = [
    (gpu_reduce(identity=0.0)(plus), np.int32, PythonKernelError, "must be f32, got i32"),
    (gpu_reduce(identity=0.0)(shares), np.float32, PythonKernelError, "has no global_invocation"),
    (gpu_reduce(identity=0.0)(nothing), np.float32, PythonKernelError, "must return a value"),
    (gpu_reduce(identity=0.0)(other), np.float32, DTypeError, "must return what it takes, f32"),
    (gpu_reduce(identity=math.nan)(least), np.float32, ArgumentError, "a number of f32, got nan"),
    (gpu_reduce(identity=math.inf)(least), np.int32, ArgumentError, "an integer of i32, got inf"),
    (gpu_reduce(identity=0.5)(least), np.int32, ArgumentError, "an integer of i32, got 0.5"),
    (gpu_reduce(identity=-1)(least), np.uint32, ArgumentError, "an integer of u32, got -1"),
    (gpu_reduce(identity=0.0, map=as_vector)(least), np.float32, ArgumentError, "as a tuple"),
    (gpu_reduce(identity=0.0, map=two)(plus), np.float32, ArgumentError, "2 operands, got 1"),
]


@pytest.mark.parametrize(("form", "dtype", "error", "message"), WRONG)
def test_wrong_use(form: GpuReduction, dtype: Any, error: type[Exception], message: str) -> None:
    x = Device.null().buffer_from_array(np.zeros(4, dtype))
    with pytest.raises(error, match=message):
        form(x)


def test_wrong_operands() -> None:
    with pytest.raises(ArgumentError, match=r"upload an array with device\.buffer_from_array"):
        add(np.zeros(3, np.float32))
    with pytest.raises(ShapeError, match="axis 2"):
        add(Device.null().buffer(f32, (2, 3)), axis=2)
    with pytest.raises(ArgumentError, match="must be Buffers or numbers"):
        gpu_reduce(identity=0.0, map=two)(plus)(Device.null().buffer(f32, 3), "x")
    with pytest.raises(DTypeError, match="give finish"):
        gpu_reduce(identity=(0.0,) * 4, map=four)(sum_of_fours)(Device.null().buffer(f32, 3))
