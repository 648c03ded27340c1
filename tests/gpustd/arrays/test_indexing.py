"""Indexing against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gpucore import Device, DTypeError, ShapeError, f32, i32
from gpustd import arrays
from tests.gpustd.arrays.operators import draw, skip_without_f16
from tests.gpustd.compare import compare
from tests.gpustd.poison import poison_pool

DTYPES = ("f32", "f16", "i32", "u8", "c64")


def run(device: Device, call: Any, *operands: np.ndarray[Any, Any]) -> Any:
    buffers = [device.buffer_from_array(x) for x in operands]
    poison_pool(device, *{x.nbytes for x in operands})
    return call(*buffers).read()


@pytest.mark.parametrize("dtype", DTYPES)
def test_take(device: Device, dtype: str) -> None:
    skip_without_f16(device, dtype)
    x = draw(dtype, (3, 5, 8))
    places = np.random.default_rng(0).integers(-5, 5, (2, 7)).astype(np.int32)
    result = run(device, lambda a, i: arrays.take(a, i, 1), x, places)
    np.testing.assert_array_equal(result, np.take(x, places, 1))
    beyond = np.array([0, 119, 400], np.uint32)
    result = run(device, arrays.take, x, beyond)
    np.testing.assert_array_equal(result, np.take(x, beyond, mode="clip"))
    places = np.random.default_rng(0).integers(-3, 3, 5).astype(np.int32)
    result = run(device, lambda a, i: arrays.take(a, i, 0), x, places)
    np.testing.assert_array_equal(result, np.take(x, places, 0))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_along_axis(device: Device, dtype: str, axis: int) -> None:
    skip_without_f16(device, dtype)
    x = draw(dtype, (3, 5, 7))
    shape = tuple(9 if a == axis else n for a, n in enumerate(x.shape))
    places = np.random.default_rng(0).integers(-3, 3, shape).astype(np.int32)
    result = run(device, lambda a, i: arrays.take_along_axis(a, i, axis), x, places)
    np.testing.assert_array_equal(result, np.take_along_axis(x, places, axis))
    values = draw(dtype, shape, 1)
    result = run(device, lambda a, i, v: arrays.put_along_axis(a, i, v, axis), x, places, values)
    expected = x.copy()
    np.put_along_axis(expected, places, values, axis)
    np.testing.assert_array_equal(result, expected)


def test_along_axis_extents_of_one_are_repeated(device: Device) -> None:
    x = draw("i32", (3, 5, 7))
    places = np.random.default_rng(0).integers(-3, 3, (3, 2, 1)).astype(np.int32)
    result = run(device, lambda a, i: arrays.take_along_axis(a, i, 1), x, places)
    np.testing.assert_array_equal(result, np.take_along_axis(x, places, 1))
    result = run(device, lambda a, i: arrays.take_along_axis(a, i, -2), x[:1], places)
    np.testing.assert_array_equal(result, np.take_along_axis(x[:1], places, -2))
    result = run(device, arrays.take_along_axis, x[:, :2], places)
    np.testing.assert_array_equal(result, np.take_along_axis(x[:, :2], places, -1))
    result = run(device, lambda a, i: arrays.take_along_axis(a, i, None), x, places.ravel())
    np.testing.assert_array_equal(result, np.take_along_axis(x, places.ravel(), None))
    values = draw("i32", (2, 7), 1)
    result = run(device, lambda a, i, v: arrays.put_along_axis(a, i, v, 1), x, places, values[None])
    expected = x.copy()
    np.put_along_axis(expected, places, values, 1)
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("dtype", ["f32", "f16", "i32", "u32"])
@pytest.mark.parametrize("axis", [0, 1])
def test_scatter_add(device: Device, dtype: str, axis: int) -> None:
    """Each sum has at most 40 terms here: as many roundings of the sum of sizes."""
    skip_without_f16(device, dtype)
    x = draw(dtype, (6, 9))
    places = np.random.default_rng(0).integers(-6, 5, 40).astype(np.int32)
    values = draw(dtype, (40, 9) if axis == 0 else (6, 40), 1)
    result = run(device, lambda a, i, v: arrays.scatter_add(a, i, v, axis), x, places, values)
    where = (places,) if axis == 0 else (slice(None), places)
    if dtype in ("i32", "u32"):
        expected = x.copy()
        np.add.at(expected, where, values)
        np.testing.assert_array_equal(result, expected)
        return
    expected, sizes = x.astype(np.float64), np.abs(x).astype(np.float64)
    np.add.at(expected, where, values.astype(np.float64))
    np.add.at(sizes, where, np.abs(values).astype(np.float64))
    rounded = 2.0**-11 * np.abs(expected) + 6e-8 if dtype == "f16" else 0
    compare(device, "arrays.scatter_add", result, expected, 40 * 2.0**-24 * sizes + rounded)


@pytest.mark.parametrize(("dtype", "size"), [("i32", 1), ("u32", 4), ("i32", 1003)])
def test_scatter_add_along_the_only_axis(device: Device, dtype: str, size: int) -> None:
    x, values = draw(dtype, (50,)), draw(dtype, (size,))
    places = np.random.default_rng(size).integers(-50, 50, size).astype(np.int32)
    expected = x.copy()
    np.add.at(expected, places, values)
    result = run(device, arrays.scatter_add, x, places, values)
    np.testing.assert_array_equal(result, expected)


def test_scatter_add_of_nothing(device: Device) -> None:
    x = draw("f32", (4,))
    result = run(device, arrays.scatter_add, x, np.zeros(0, np.int32), np.zeros(0, np.float32))
    np.testing.assert_array_equal(result, x)


@pytest.mark.parametrize("shape", [(0,), (1,), (37,), (4, 9), (3, 2, 50)], ids=str)
def test_nonzero(device: Device, shape: tuple[int, ...]) -> None:
    x = draw("i32", shape)
    found = arrays.nonzero(device.buffer_from_array(x))
    expected = np.nonzero(x)
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.read(), other)


@pytest.mark.parametrize("dtype", ["f32", "u8"])
def test_compress(device: Device, dtype: str) -> None:
    x = draw(dtype, (5, 12))
    for axis in (None, 0, 1):
        n = x.size if axis is None else x.shape[axis]
        flags = (np.random.default_rng(0).random(n) < 0.4).astype(np.uint8)
        result = run(device, lambda c, b, axis=axis: arrays.compress(c, b, axis), flags, x)
        np.testing.assert_array_equal(result, np.compress(flags, x, axis))
    none = np.zeros(5, np.uint8)
    result = run(device, lambda c, b: arrays.compress(c, b, 0), none, x)
    np.testing.assert_array_equal(result, x[:0])


def test_refuses(device: Device) -> None:
    with pytest.raises(ShapeError, match="nonzero: a number without axes"):
        arrays.nonzero(device.buffer(f32, ()))
    x, places = device.buffer(f32, (2, 3)), device.buffer(i32, (2, 2))
    with pytest.raises(DTypeError, match="indices are i32 or u32"):
        arrays.take(x, x)
    with pytest.raises(ShapeError, match="nothing to take"):
        arrays.take(device.buffer(f32, 0), places)
    with pytest.raises(ShapeError, match="may differ in axis 0"):
        arrays.take_along_axis(x, places, 0)
    with pytest.raises(ShapeError, match="put_along_axis: shapes"):
        arrays.put_along_axis(x, places, x, 1)
    with pytest.raises(ShapeError, match="put_along_axis: values"):
        arrays.put_along_axis(x, device.buffer(i32, (2, 1)), x, 1)
    with pytest.raises(ShapeError, match="put_along_axis: indices"):
        arrays.put_along_axis(device.buffer(f32, (1, 3)), places, device.buffer(f32, (2, 2)), 1)
    with pytest.raises(ShapeError, match="scatter_add: indices"):
        arrays.scatter_add(x, places, x)
    with pytest.raises(ShapeError, match="compress: condition"):
        arrays.compress(places, x)
