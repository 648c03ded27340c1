"""``x[key]`` and ``x[key] = value`` against NumPy, for keys of every kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from gpucore import Device, DTypeError, ShapeError, f32, i32
from gpucore.dtypes import DTYPES
from gpustd.arrays.masks import Mask
from tests.draws import draws
from tests.gpustd.arrays.operators import draw, held_by
from tests.gpustd.poison import poison_pool

SEED = st.integers(0, 10**6)
SHAPE = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=7)
DTYPE = st.sampled_from(sorted(DTYPES))


def basic(shape: tuple[int, ...]) -> st.SearchStrategy[Any]:
    return hnp.basic_indices(shape, allow_ellipsis=True, allow_newaxis=True)


@st.composite
def advanced(choose: st.DrawFn, shape: tuple[int, ...]) -> tuple[Any, ...]:
    """Draw a key with at least one index array or mask: numbers, slices and new axes beside it."""
    count = choose(st.integers(1, 3))
    key: list[Any] = []
    arrays = 0
    lead = choose(st.sampled_from([(count,), (2, count), (1,)]))
    for n in shape:
        kind = choose(st.sampled_from(["array", "array", "slice", "number", "mask", "list"]))
        rng = np.random.default_rng(choose(SEED))
        if kind == "mask" and not arrays:
            mask = np.zeros(n, np.bool_)
            mask[rng.permutation(n)[: lead[-1]]] = True
            key.append(mask if n >= lead[-1] else slice(None))
            arrays += n >= lead[-1]
        elif kind in ("array", "list", "mask"):
            places = rng.integers(-n, n, lead)
            key.append(places.tolist() if kind == "list" else places)
            arrays += 1
        elif kind == "slice":
            key.append(choose(st.slices(n)))
        else:
            key.append(int(rng.integers(-n, n)))
        if choose(st.integers(0, 9)) == 0:
            key.append(None)
    if choose(st.booleans()) and not isinstance(key[-1], np.ndarray):
        key[-1] = Ellipsis
    return tuple(key)


def same(found: Any, expected: NDArray[Any], source: NDArray[Any]) -> None:
    assert found.dtype.numpy == source.dtype
    np.testing.assert_array_equal(found.read(), expected)


def test_slices_and_numbers(device: Device) -> None:
    @settings(max_examples=draws(120), deadline=None)
    @given(st.data(), SHAPE, DTYPE, SEED)
    def holds(data: st.DataObject, shape: tuple[int, ...], dtype: str, seed: int) -> None:
        a = draw(held_by(device, dtype), shape, seed)
        x = device.buffer_from_array(a)
        key = data.draw(basic(shape))
        expected = a[key]
        poison_pool(device, expected.nbytes)
        same(x[key], expected, a)
        same(x, a, a)

    holds()


def on_device(device: Device, key: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the key with its index arrays as buffers, and its masks as masks."""
    found: list[Any] = []
    for each in key:
        if not isinstance(each, np.ndarray):
            found.append(each)
        elif each.dtype == np.bool_:
            found.append(device.buffer_from_array(each.astype(np.uint8)) > 0)
        else:
            found.append(device.buffer_from_array(each.astype(np.int32)))
    return tuple(found)


def test_index_arrays_and_masks(device: Device) -> None:
    @settings(max_examples=draws(80), deadline=None)
    @given(st.data(), hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=6), SEED)
    def holds(data: st.DataObject, shape: tuple[int, ...], seed: int) -> None:
        key = data.draw(advanced(shape))
        a = draw("i32", shape, seed)
        try:
            expected = a[key]
        except IndexError:
            return
        x = device.buffer_from_array(a)
        same(x[key], expected, a)
        same(x[on_device(device, key)], expected, a)

    holds()


def test_assignments(device: Device) -> None:
    @settings(max_examples=draws(100), deadline=None)
    @given(st.data(), SHAPE, DTYPE, SEED)
    def holds(data: st.DataObject, shape: tuple[int, ...], dtype: str, seed: int) -> None:
        a = np.asarray(draw(held_by(device, dtype), shape, seed))
        key = data.draw(basic(shape))
        target = np.asarray(a[key]).shape
        kept = tuple(n if data.draw(st.booleans()) else 1 for n in target)
        longer = bool(kept) and data.draw(st.booleans())
        value = draw(held_by(device, dtype), (1, *kept) if longer else kept, seed + 1)
        x, seen = device.buffer_from_array(a), a.copy()
        view = x.reshape(-1) if x.size else x
        given_ = data.draw(st.sampled_from(["buffer", "array", "number"]))
        if given_ == "number":
            seen[key] = 3
            x[key] = 3
        else:
            seen[key] = value
            x[key] = value if given_ == "array" else device.buffer_from_array(value)
        np.testing.assert_array_equal(view.read(), seen.reshape(view.shape))

    holds()


def test_assignments_to_index_arrays_and_masks(device: Device) -> None:
    @settings(max_examples=draws(50), deadline=None)
    @given(st.data(), hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=6), SEED)
    def holds(data: st.DataObject, shape: tuple[int, ...], seed: int) -> None:
        key = data.draw(advanced(shape))
        a = draw("u8", shape, seed)
        try:
            chosen = a[key]
        except IndexError:
            return
        value = draw("u8", chosen.shape, seed + 1)
        x, seen = device.buffer_from_array(a), a.copy()
        seen[key] = value
        x[key] = value
        np.testing.assert_array_equal(x.read(), seen)
        x[on_device(device, key)] = 7
        seen[key] = 7
        np.testing.assert_array_equal(x.read(), seen)

    holds()


def test_masks_of_all_axes(device: Device) -> None:
    for shape in ((0,), (1,), (257,), (5, 7), (3, 4, 5)):
        a = draw("f32", shape, 1)
        x = device.buffer_from_array(a)
        same(x[x > 0], a[a > 0], a)
        same(x[~(x > 0)], a[~(a > 0)], a)
        same(x[a > 0], a[a > 0], a)
        x[x > 0] = -1
        a[a > 0] = -1
        same(x, a, a)
        x[x < 0] *= 2
        a[a < 0] *= 2
        same(x, a, a)
        if shape[0]:
            same(
                x[x[..., 0] < 0] if len(shape) > 1 else x,
                a[a[..., 0] < 0] if len(shape) > 1 else a,
                a,
            )


def test_bytes_are_places_and_masks_are_not(device: Device) -> None:
    a = np.array([10, 20, 30], np.int32)
    x = device.buffer_from_array(a)
    places = device.buffer_from_array(np.array([1, 0, 1], np.uint8))
    assert x[places].tolist() == [20, 10, 20]
    assert x[places > 0].tolist() == [10, 30]
    assert isinstance(x > 10, Mask)


def test_a_slice_is_a_copy_and_assignment_writes(device: Device) -> None:
    x = device.buffer_from_array(np.arange(256, dtype=np.float32))
    for part in (x[64:], x[:], x[...], x[3:9]):
        part.fill(100)
    assert x.tolist() == list(range(256))
    x[64:] += 1000
    assert x[63:66].tolist() == [63, 1064, 1065]
    x[1:] = x[:-1]
    assert x[:4].tolist() == [0, 0, 1, 2]
    x[::-1] = x
    assert x[-3:].tolist() == [1, 0, 0]


def test_rows_are_iterated_over(device: Device) -> None:
    a = draw("i32", (3, 2), 1)
    rows = [row.tolist() for row in device.buffer_from_array(a)]
    assert rows == a.tolist()
    with pytest.raises(TypeError, match="without axes has nothing to iterate over"):
        iter(device.buffer(f32, ()))


WRONG_KEYS: list[tuple[Any, str]] = [
    (3, r"index 3 is beyond axis 0 of .*: give one from -3 to 2"),
    ((0, -5), "index -5 is beyond axis 1"),
    ((0, 0, 0), "there must be at most 2 indices, got 3"),
    ((..., ...), r"there must be one \.\.\., got 2"),
    ("x", "an index must be a whole number, a slice"),
    (1.5, "an index must be a whole number, a slice"),
    (True, "an index must be a whole number, a slice"),
    (np.array([0, 3]), "indices 0 to 3 are beyond axis 0"),
    (np.ones(2, np.bool_), r"a mask of \(2,\) must have the extents \(3,\)"),
    ((np.array([0, 1]), np.array([0, 1, 2])), "extents must be equal or 1 to broadcast"),
]


@pytest.mark.parametrize(("key", "message"), WRONG_KEYS, ids=[m[:20] for _, m in WRONG_KEYS])
def test_wrong_keys(key: Any, message: str) -> None:
    x = Device.null().buffer(f32, (3, 4))
    with pytest.raises(IndexError, match=message):
        x[key]
    with pytest.raises(IndexError, match=message):
        x[key] = 1


def test_wrong_values() -> None:
    null = Device.null()
    x = null.buffer(i32, (3, 4))
    with pytest.raises(
        ShapeError, match=r"value must broadcast to the selected \(2, 4\), got \(3,"
    ):
        x[1:] = null.buffer(i32, (3, 4))
    with pytest.raises(DTypeError, match="assignment: a result of f32 does not fit"):
        x[0] = null.buffer(f32, 4)
    with pytest.raises(DTypeError, match=r"that i32 holds, got 0\.5"):
        x[0] = 0.5
    with pytest.raises(DTypeError, match="indices must be whole numbers or truth values"):
        x[null.buffer(f32, 2)]
