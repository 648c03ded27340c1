"""Indexing against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpucore import Device, DTypeError, ShapeError, f32, i32
from gpucore.dtypes import DTYPES
from gpustd import arrays
from tests.draws import draws
from tests.gpustd.arrays.operators import draw, held_by, mixture
from tests.gpustd.compare import compare
from tests.gpustd.poison import poison_pool


def run(device: Device, call: Any, *operands: np.ndarray[Any, Any]) -> Any:
    buffers = [device.buffer_from_array(x) for x in operands]
    poison_pool(device, *{x.nbytes for x in operands})
    return call(*buffers).read()


SHAPE = st.lists(st.sampled_from([0, 1, 2, 3, 4, 7, 8, 13]), min_size=1, max_size=3).map(tuple)
DTYPE = st.sampled_from(list(DTYPES))
SEED = st.integers(0, 10**6)
KIND = st.sampled_from([np.int32, np.uint32])


def places_in(n: int, shape: Any, seed: int, kind: Any) -> np.ndarray[Any, Any]:
    """Return indices of an axis of n, some from its end, some beyond it on the far side."""
    low = 0 if kind is np.uint32 else -n
    return np.random.default_rng(seed).integers(low, n + 2, shape).astype(kind)


def clipped(places: np.ndarray[Any, Any], n: int) -> np.ndarray[Any, Any]:
    """As the library has them: what lies beyond the axis counts as its last."""
    return np.minimum(places.astype(np.int64), n - 1)


@settings(max_examples=draws(20), deadline=None)
@given(SHAPE, DTYPE, KIND, SEED, st.data())
def test_take(
    device: Device, shape: tuple[int, ...], dtype: str, kind: Any, seed: int, data: st.DataObject
) -> None:
    x = draw(held_by(device, dtype), shape)
    axis = data.draw(st.none() | st.integers(-len(shape), len(shape) - 1))
    n = x.size if axis is None else shape[axis]
    ends = data.draw(st.sampled_from([(), (0,), (1,), (5,), (2, 3)])) if n else (0,)
    places = places_in(n, ends, seed, kind)
    result = run(device, lambda a, i: arrays.take(a, i, axis), x, np.asarray(places))
    np.testing.assert_array_equal(result, np.take(x, clipped(places, n), axis), strict=True)


@settings(max_examples=draws(20), deadline=None)
@given(SHAPE, DTYPE, KIND, SEED, st.data())
def test_along_axis(
    device: Device, shape: tuple[int, ...], dtype: str, kind: Any, seed: int, data: st.DataObject
) -> None:
    """Extents of 1 are repeated; of places named twice the last one counts."""
    dtype = held_by(device, dtype)
    x = draw(dtype, shape, seed)
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    own = [data.draw(st.sampled_from([n, 1])) for n in shape]
    own[axis] = data.draw(st.integers(0, 9)) if shape[axis] else 0
    places = places_in(shape[axis], tuple(own), seed, kind)
    result = run(device, lambda a, i: arrays.take_along_axis(a, i, axis), x, places)
    exact = clipped(places, shape[axis])
    np.testing.assert_array_equal(result, np.take_along_axis(x, exact, axis), strict=True)
    values = draw(dtype, tuple(data.draw(st.sampled_from([n, 1])) for n in own), seed + 1)
    result = run(device, lambda a, i, v: arrays.put_along_axis(a, i, v, axis), x, places, values)
    expected = x.copy()
    np.put_along_axis(expected, exact, values, axis)
    np.testing.assert_array_equal(result, expected, strict=True)


def test_along_the_flattened_array(device: Device) -> None:
    x = draw("i32", (3, 5, 7))
    places = np.random.default_rng(0).integers(-105, 105, 9).astype(np.int32)
    result = run(device, lambda a, i: arrays.take_along_axis(a, i, None), x, places)
    np.testing.assert_array_equal(result, np.take_along_axis(x, places, None))
    result = run(
        device, lambda a, i: arrays.take_along_axis(a, i, 0), x[:1], places[:3, None, None]
    )
    np.testing.assert_array_equal(result, np.take_along_axis(x[:1], places[:3, None, None] * 0, 0))


@settings(max_examples=draws(20), deadline=None)
@given(
    SHAPE, st.sampled_from(["c64", "f32", "f16", "i32", "u32"]), KIND,
    st.sampled_from([0, 1, 4, 40]), SEED, st.data(),
)  # fmt: skip
def test_scatter_add(
    device: Device,
    shape: tuple[int, ...],
    dtype: str,
    kind: Any,
    count: int,
    seed: int,
    data: st.DataObject,
) -> None:
    """Each sum has at most 40 terms here: as many roundings of the sum of sizes."""
    dtype = held_by(device, dtype)
    x = draw(dtype, shape)
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    count = count if shape[axis] else 0
    places = places_in(shape[axis], count, seed, kind)
    own = list(shape)
    own[axis] = count
    values = draw(dtype, tuple(own), 1)
    result = run(device, lambda a, i, v: arrays.scatter_add(a, i, v, axis), x, places, values)
    where = (slice(None),) * (axis % len(shape)) + (clipped(places, shape[axis]),)
    wide = {"f": np.float64, "c": np.complex128}.get(x.dtype.kind, x.dtype)
    expected, sizes = x.astype(wide), np.abs(x).astype(np.float64)
    np.add.at(expected, where, values.astype(wide))
    np.add.at(sizes, where, np.abs(values).astype(np.float64))
    allowed = 40 * 2.0**-24 * sizes if x.dtype.kind in "fc" else 0
    rounded = 2.0**-10 * np.abs(expected) + 6e-8 if dtype == "f16" else 0
    unit = float(sizes.max(initial=0))
    compare(device, "arrays.scatter_add", result, expected, allowed + rounded, unit)


def test_scatter_add_of_many(device: Device) -> None:
    """By words of four, the last one not full."""
    x, values = draw("i32", (50,)), draw("i32", (1003,))
    places = np.random.default_rng(1).integers(-50, 50, 1003).astype(np.int32)
    expected = x.copy()
    np.add.at(expected, places, values)
    np.testing.assert_array_equal(run(device, arrays.scatter_add, x, places, values), expected)


@settings(max_examples=draws(15), deadline=None)
@given(
    st.lists(st.sampled_from([0, 1, 2, 5, 37]), min_size=1, max_size=3).map(tuple),
    st.sampled_from(["f32", "f16", "i32", "u32", "i8", "u8"]),
    st.sampled_from([0.0, 0.3, 1.0]),
    st.data(),
)
def test_chosen_elements(
    device: Device, shape: tuple[int, ...], dtype: str, share: float, data: st.DataObject
) -> None:
    """nonzero (NaN counts, -0 does not) and compress, by a condition that may be too short."""
    rng = np.random.default_rng(len(shape))
    x = np.where(rng.random(shape) < share, mixture(held_by(device, dtype), shape, 1), 0)
    x = x.astype(DTYPES[held_by(device, dtype)].numpy)
    found = arrays.nonzero(device.buffer_from_array(x))
    for one, other in zip(found, np.nonzero(x), strict=True):
        np.testing.assert_array_equal(one.read(), other)
    axis = data.draw(st.none() | st.integers(-len(shape), len(shape) - 1))
    n = x.size if axis is None else shape[axis]
    flags = (rng.random(data.draw(st.integers(n // 2, n))) < share).astype(np.uint8)
    result = run(device, lambda c, b: arrays.compress(c, b, axis), flags, x)
    np.testing.assert_array_equal(result, np.compress(flags, x, axis), strict=True)


def test_refuses(device: Device) -> None:
    with pytest.raises(ShapeError, match="nonzero: x must have an axis"):
        arrays.nonzero(device.buffer(f32, ()))
    x, places = device.buffer(f32, (2, 3)), device.buffer(i32, (2, 2))
    with pytest.raises(DTypeError, match="indices must be i32 or u32"):
        arrays.take(x, x)
    with pytest.raises(ShapeError, match="must have elements to take"):
        arrays.take(device.buffer(f32, 0), places)
    with pytest.raises(ShapeError, match="except along axis 0"):
        arrays.take_along_axis(x, places, 0)
    with pytest.raises(ShapeError, match="put_along_axis: extents must be equal or 1"):
        arrays.put_along_axis(x, places, x, 1)
    with pytest.raises(ShapeError, match="put_along_axis: values"):
        arrays.put_along_axis(x, device.buffer(i32, (2, 1)), x, 1)
    with pytest.raises(ShapeError, match="put_along_axis: indices"):
        arrays.put_along_axis(device.buffer(f32, (1, 3)), places, device.buffer(f32, (2, 2)), 1)
    with pytest.raises(ShapeError, match="scatter_add: indices"):
        arrays.scatter_add(x, places, x)
    with pytest.raises(ShapeError, match="compress: condition"):
        arrays.compress(places, x)
