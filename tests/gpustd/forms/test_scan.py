"""Scans by an operator in Python, against NumPy in float64."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from gpucore import Device, PythonKernelError, ShapeError, f32, i32, vec2f
from gpustd.forms import GpuScan, gpu_scan
from gpustd.launch.subgroups import row_lanes
from gpustd.launch.variants import force_variant

RNG = np.random.default_rng(27)
SHAPES: list[tuple[tuple[int, ...], int | None]] = [
    ((1,), None),
    ((0,), 0),
    ((12000,), None),
    ((3, 257), 1),
    ((2, 9001), -1),
    ((700, 24), 0),
    ((3, 40, 6), 1),
]
# Tiles take software renderers seconds to compile: one row of several, and columns.
CASES = [
    *(("runs", *each) for each in SHAPES),
    ("tiles", (9000,), None),
    ("subgroups", (12000,), None),
    ("subgroups", (300, 24), 0),
]


@contextmanager
def forced(device: Device, variant: str) -> Iterator[None]:
    if variant == "subgroups" and not row_lanes(device):
        pytest.skip(f"{device!r} has no subgroups of known width")
    with force_variant("scan", variant, ""):
        yield


@gpu_scan(identity=0.0)
def add(a: f32, b: f32) -> f32:
    """Add."""
    return a + b


@gpu_scan(identity=-(2**31), commutative=True)
def largest(a: i32, b: i32) -> i32:
    """Return the larger."""
    return max(a, b)


@gpu_scan(identity=-math.inf, commutative=True)
def highest(a: f32, b: f32) -> f32:
    """Return the larger."""
    return max(a, b)


@pytest.mark.parametrize(("variant", "shape", "axis"), [CASES[3], *CASES[-3::2]])
def test_infinity_as_identity(
    device: Device, variant: str, shape: tuple[int, ...], axis: int | None
) -> None:
    x = RNG.uniform(-3e38, -1e38, shape).astype(np.float32)
    x.reshape(-1)[::7] = -np.inf
    with forced(device, variant):
        found = highest(device.buffer_from_array(x), axis=axis).read()
    wanted = x if axis is not None else x.reshape(-1)
    np.testing.assert_array_equal(found, np.maximum.accumulate(wanted, axis=axis or 0))


@gpu_scan(identity=0)
def last_nonzero(a: i32, b: i32) -> i32:
    """Return what comes last."""
    return b if b != 0 else a


def exclusive_of(scan: np.ndarray, axis: int, first: float) -> np.ndarray:
    """Return a scan one place later."""
    moved = np.roll(scan, 1, axis)
    place: list[Any] = [slice(None)] * scan.ndim
    place[axis] = slice(0, 1)
    moved[tuple(place)] = first
    return moved


@pytest.mark.parametrize(("variant", "shape", "axis"), CASES)
def test_sums(device: Device, variant: str, shape: tuple[int, ...], axis: int | None) -> None:
    x = RNG.uniform(-1, 1, shape).astype(np.float32)
    with forced(device, variant):
        found = add(device.buffer_from_array(x), axis=axis).read()
    wanted = np.cumsum(x.astype(np.float64), axis=axis)
    bound = 172 * 2.0**-24 * np.cumsum(np.abs(x).astype(np.float64), axis=axis)
    assert found.shape == wanted.shape
    assert np.all(np.abs(found - wanted) <= bound)


@pytest.mark.parametrize(("shape", "axis"), SHAPES)
def test_exclusive_sums(device: Device, shape: tuple[int, ...], axis: int | None) -> None:
    x = RNG.integers(-9, 9, shape).astype(np.float32)
    found = add(device.buffer_from_array(x), axis=axis, exclusive=True).read()
    wanted = exclusive_of(np.cumsum(x.astype(np.float64), axis=axis), axis or 0, 0.0)
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(("variant", "shape", "axis"), CASES)
def test_an_operator_that_commutes(
    device: Device, variant: str, shape: tuple[int, ...], axis: int | None
) -> None:
    x = RNG.integers(-(10**6), 10**6, shape).astype(np.int32)
    with forced(device, variant):
        found = largest(device.buffer_from_array(x), axis=axis).read()
    flat = x.ravel() if axis is None else x
    np.testing.assert_array_equal(found, np.maximum.accumulate(flat, axis=axis or 0))


@pytest.mark.parametrize(("shape", "axis"), SHAPES)
def test_the_order_is_kept(device: Device, shape: tuple[int, ...], axis: int | None) -> None:
    x = RNG.integers(1, 9, shape).astype(np.int32) * (RNG.random(shape) < 0.1)
    x = x.astype(np.int32)
    found = last_nonzero(device.buffer_from_array(x), axis=axis).read()
    flat = x.ravel() if axis is None else x
    along = axis or 0
    shaped = [-1 if i == along % flat.ndim else 1 for i in range(flat.ndim)]
    places = np.arange(flat.shape[along]).reshape(shaped)
    last = np.maximum.accumulate(np.where(flat != 0, places, 0), axis=along)
    np.testing.assert_array_equal(found, np.take_along_axis(flat, last, along))


def test_a_recurrence_of_vectors(device: Device) -> None:
    """y[k] = c y[k - 1] + x[k], as steps (factor, sum)."""

    def step(x: f32, c: f32) -> vec2f:
        return vec2f(c, x)

    def chain(a: vec2f, b: vec2f) -> vec2f:
        return vec2f(a.x * b.x, b.x * a.y + b.y)

    def total(a: vec2f) -> f32:
        return f32(a.y)

    x = RNG.uniform(-1, 1, (3, 500)).astype(np.float32)
    decay = gpu_scan(identity=(1.0, 0.0), map=step, finish=total)(chain)
    found = decay(device.buffer_from_array(x), 0.75, axis=1).read()
    wanted, before = np.zeros((3, 500)), np.zeros(3)
    for k in range(500):
        before = wanted[:, k] = 0.75 * before + x[:, k]
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("variant", ["runs", "subgroups"])
def test_map(device: Device, variant: str) -> None:
    def square(x: f32) -> f32:
        return x * x

    x = RNG.uniform(-1, 1, 9000).astype(np.float32)
    squares = gpu_scan(identity=0.0, map=square)(add_of_two)
    with forced(device, variant):
        found = squares(device.buffer_from_array(x)).read()
    np.testing.assert_allclose(found, np.cumsum(x.astype(np.float64) ** 2), rtol=1e-5)


def add_of_two(a: f32, b: f32) -> f32:
    """Add."""
    return b + a


def take_first(a: f32, b: f32) -> f32:
    """Return the first."""
    return a - 0 * b


@pytest.mark.parametrize(
    ("operator", "quick"), [(add_of_two, True), (take_first, False)], ids=["sum", "other"]
)
def test_what_commutes_is_seen(operator: Any, quick: bool) -> None:
    form = gpu_scan(identity=0.0)(operator)
    bound = form._functions.bind([Device.null().buffer(f32, 3)])
    assert form._is_quick(bound) is quick


def test_wrong_use() -> None:
    x = Device.null().buffer(f32, (2, 3))
    with pytest.raises(ShapeError, match="axis 2"):
        add(x, axis=2)
    with pytest.raises(PythonKernelError, match="must be i32, got f32"):
        largest(x)
    assert isinstance(add, GpuScan)
    assert "user_add" in add.source()
