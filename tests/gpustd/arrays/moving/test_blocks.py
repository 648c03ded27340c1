"""Moving elements against NumPy, bit by bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gpucore import Device, DType, DTypeError, ShapeError, f16, f32, i32, u8
from gpustd.arrays.moving.blocks import concat, repeat_batch, slice_axis
from gpustd.arrays.moving.transposing import merged_strides, transpose
from gpustd.launch.variants import force_variant
from tests.conftest import skip_without_f16
from tests.draws import draws
from tests.gpustd.arrays.operators import draw as drawn
from tests.gpustd.arrays.operators import held_by
from tests.gpustd.poison import poison_pool
from tests.gpustd.reference import layout as oracle
from tests.gpustd.reference.layout import CASES, JOINS, SLICES

Array = NDArray[Any]


@pytest.fixture(params=[f32, f16, i32], ids=["f32", "f16", "i32"])
def dtype(request: pytest.FixtureRequest, device: Device) -> type[DType]:
    found: type[DType] = request.param
    skip_without_f16(device, found.name)
    return found


def draw(shape: tuple[int, ...], dtype: type[DType], first: int = 1) -> Array:
    """Different numbers that every dtype holds exactly."""
    return (np.arange(np.prod(shape)) % 2039 + first).reshape(shape).astype(dtype.numpy)


@pytest.mark.parametrize("variant", ["transpose", "tiles"])
@pytest.mark.parametrize(("shape", "axes"), CASES, ids=str)
def test_transpose(
    device: Device, dtype: type[DType], variant: str, shape: tuple[int, ...], axes: tuple[int, ...]
) -> None:
    x = draw(shape, dtype)
    buffer = device.buffer_from_array(x)
    poison_pool(device, x.nbytes)
    with force_variant("transpose", variant):
        result = transpose(buffer, axes).read()
    np.testing.assert_array_equal(result, oracle.reference(x, axes))


def test_transpose_takes_blocks_where_lines_are_crossed() -> None:
    def grid(axes: tuple[int, ...]) -> tuple[int, ...]:
        device = Device.null()
        transpose(device.buffer(f16, (70, 40, 3, 3)), axes)
        device.synchronize()
        found: tuple[int, ...] = device.engine.submitted[-1][0].grid  # type: ignore[attr-defined]
        return found

    assert grid((2, 3, 1, 0)) == (3 * 12, 1, 1)
    assert grid((1, 0, 2, 3)) == (70 * 40 * 9 // 64 + 1, 1, 1)


@pytest.mark.parametrize(("shapes", "axis"), JOINS, ids=str)
def test_concat(
    device: Device, dtype: type[DType], shapes: tuple[tuple[int, ...], ...], axis: int
) -> None:
    arrays = [draw(shape, dtype, 100 * i) for i, shape in enumerate(shapes)]
    buffers = [device.buffer_from_array(a) for a in arrays]
    poison_pool(device, sum(a.nbytes for a in arrays))
    result = concat(buffers, axis).read()
    np.testing.assert_array_equal(result, np.concatenate(arrays, axis))


@pytest.mark.parametrize(("shape", "axis", "start", "stop"), SLICES, ids=str)
def test_slice_axis(
    device: Device, dtype: type[DType], shape: tuple[int, ...], axis: int, start: int, stop: int
) -> None:
    x = draw(shape, dtype)
    expected = np.take(x, range(start, stop), axis)
    buffer = device.buffer_from_array(x)
    poison_pool(device, expected.nbytes)
    np.testing.assert_array_equal(slice_axis(buffer, axis, start, stop).read(), expected)


@pytest.mark.parametrize("shape", [(1,), (2, 3, 5), (1, 4, 4, 4), (0, 3)], ids=str)
@pytest.mark.parametrize("count", [1, 2, 5])
def test_repeat_batch(
    device: Device, dtype: type[DType], shape: tuple[int, ...], count: int
) -> None:
    x = draw(shape, dtype)
    buffer = device.buffer_from_array(x)
    poison_pool(device, x.nbytes * count)
    expected = np.concatenate([x] * count)
    np.testing.assert_array_equal(repeat_batch(buffer, count).read(), expected)


@settings(max_examples=draws(15), deadline=None)
@given(
    st.lists(st.sampled_from([0, 1, 2, 3, 4, 8, 13]), min_size=1, max_size=4).map(tuple),
    st.sampled_from(["f32", "f16", "i32", "u32"]),
    st.integers(1, 4),
    st.data(),
)
def test_drawn_shapes(
    device: Device, shape: tuple[int, ...], name: str, count: int, data: st.DataObject
) -> None:
    """The functions of this module that only the root of `gpustd` offers."""
    name = held_by(device, name)
    x = drawn(name, shape)
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    start = data.draw(st.integers(0, shape[axis]))
    stop = data.draw(st.integers(start, shape[axis]))
    buffer = device.buffer_from_array(x)
    poison_pool(device, x.nbytes)
    result = slice_axis(buffer, axis, start, stop).read()
    np.testing.assert_array_equal(result, np.take(x, range(start, stop), axis), strict=True)
    poison_pool(device, x.nbytes * count)
    result = repeat_batch(buffer, count).read()
    np.testing.assert_array_equal(result, np.concatenate([x] * count), strict=True)


def test_axes_that_stay_neighbours_are_merged() -> None:
    assert merged_strides((4, 5, 6), (0, 1, 2)) == ([120], [1])
    assert merged_strides((4, 5, 6), (2, 0, 1)) == ([6, 20], [1, 6])
    assert merged_strides((4, 1, 6), (2, 1, 0)) == ([6, 4], [1, 6])
    assert merged_strides((1, 1), (1, 0)) == ([1], [1])


def test_many_axes_are_transposed(device: Device) -> None:
    x = np.arange(2**7, dtype=np.float32).reshape((2,) * 7)
    order = (6, 1, 4, 3, 2, 5, 0)
    found = transpose(device.buffer_from_array(x), order).read()
    np.testing.assert_array_equal(found, x.transpose(order), strict=True)


def test_refuses_what_does_not_fit(device: Device) -> None:
    x = device.buffer(f32, (2, 3))
    with pytest.raises(ShapeError, match=r"each axis of \(2, 3\) once"):
        transpose(x, (0, 0))
    with pytest.raises(ShapeError, match="axis 1 only"):
        concat([x, device.buffer(f32, (3, 3))], 1)
    with pytest.raises(ShapeError, match="at least one"):
        concat([], 0)
    with pytest.raises(DTypeError, match="one dtype"):
        concat([x, device.buffer(i32, (2, 3))], 0)  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="along axis 1, got 2 and 5"):
        slice_axis(x, 1, 2, 5)
    with pytest.raises(ShapeError, match="axis 2 of"):
        slice_axis(x, 2, 0, 1)
    with pytest.raises(ShapeError, match="count be at least 1"):
        repeat_batch(x, 0)
    with pytest.raises(DTypeError, match="must have a WGSL scalar"):
        repeat_batch(device.buffer(u8, (2, 4)), 2)
