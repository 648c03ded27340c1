"""Moved elements against NumPy, bit by bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpucore import ArgumentError, Device, DTypeError, ShapeError, f32, i8, u8
from gpucore.dtypes import DTYPES
from gpustd import arrays
from gpustd.launch.variants import force_variant
from tests.draws import draws
from tests.gpustd.arrays.operators import draw, held_by, on_device


def same(device: Device, name: str, x: Any, *arguments: Any) -> None:
    result = on_device(device, lambda b: getattr(arrays, name)(b, *arguments), x)
    np.testing.assert_array_equal(result, getattr(np, name)(x, *arguments), strict=True)


SHAPE = st.lists(st.sampled_from([0, 1, 2, 3, 4, 7, 8, 9]), min_size=1, max_size=4).map(tuple)
DTYPE = st.sampled_from(list(DTYPES))


@settings(max_examples=draws(20), deadline=None)
@given(SHAPE, DTYPE, st.data())
def test_shapes(device: Device, shape: tuple[int, ...], dtype: str, data: st.DataObject) -> None:
    x = draw(held_by(device, dtype), shape)
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    some = data.draw(st.sets(st.integers(0, len(shape) - 1)).map(tuple))
    shift = st.integers(-20, 20)
    same(device, "flip", x, data.draw(st.sampled_from([axis, some, None])))
    same(device, "roll", x, data.draw(shift), data.draw(st.sampled_from([axis, None])))
    same(device, "roll", x, data.draw(shift), some)
    same(device, "roll", x, data.draw(st.tuples(*[shift] * len(some))), some)
    same(device, "tile", x, data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=5)))
    same(device, "repeat", x, data.draw(st.integers(0, 3)), data.draw(st.none() | st.just(axis)))
    same(device, "transpose", x, data.draw(st.permutations(range(len(shape)))))
    same(device, "transpose", x)
    one = x.take([0], axis) if x.shape[axis] else x
    wide = (*data.draw(st.lists(st.integers(0, 3), max_size=1)), *shape)
    same(device, "broadcast_to", one, wide)


@settings(max_examples=draws(15), deadline=None)
@given(SHAPE, DTYPE, st.lists(st.integers(0, 5), min_size=1, max_size=9), st.data())
def test_concat_and_stack(
    device: Device, shape: tuple[int, ...], dtype: str, extents: list[int], data: st.DataObject
) -> None:
    """More parts than one launch takes, some of them empty."""
    dtype = held_by(device, dtype)
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    parts = []
    for k, n in enumerate(extents):
        own = list(shape)
        own[axis] = n
        parts.append(draw(dtype, tuple(own), k))
    for along in (axis, None):
        result = arrays.concat([device.buffer_from_array(p) for p in parts], along).read()
        np.testing.assert_array_equal(result, np.concatenate(parts, along), strict=True)
    alike = [draw(dtype, shape, k) for k in range(len(extents))]
    axis = data.draw(st.integers(-len(shape) - 1, len(shape)))
    result = arrays.stack([device.buffer_from_array(p) for p in alike], axis).read()
    np.testing.assert_array_equal(result, np.stack(alike, axis), strict=True)


@pytest.mark.parametrize("dtype", ["i8", "u8"])
@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((4, 8), (1, 0)),
        ((260, 132), (1, 0)),
        ((3, 4, 136), (0, 2, 1)),
        ((2, 4, 3, 8), (0, 3, 1, 2)),
        ((6, 8), (1, 0)),
        ((3, 4, 8), (2, 0, 1)),
        ((4, 3, 8), (1, 0, 2)),
        ((4, 2, 8), (2, 1, 0)),
    ],
    ids=str,
)
def test_bytes_turned_in_blocks(
    device: Device, dtype: str, shape: tuple[int, ...], axes: tuple[int, ...]
) -> None:
    with force_variant("transpose", "tiles"):
        same(device, "transpose", draw(dtype, shape), axes)


def test_results_are_new_buffers(device: Device) -> None:
    x = device.buffer_from_array(np.arange(3, dtype=np.uint8))
    for y in (arrays.concat([x]), arrays.flip(x, ()), arrays.broadcast_to(x, (3,))):
        assert y.storage is not x.storage
        np.testing.assert_array_equal(y.read(), [0, 1, 2])


def test_refuses(device: Device) -> None:
    x = device.buffer(i8, (2, 3))
    with pytest.raises(ShapeError, match=r"broadcast_to: \(2, 3\) does not broadcast to \(3,\)"):
        arrays.broadcast_to(x, (3,))
    with pytest.raises(ArgumentError, match="roll: axis must be one whole number, got None"):
        arrays.roll(x, (1, 2), (0, None))  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="as many, or one"):
        arrays.roll(x, (1, 2, 3), (0, 1))
    with pytest.raises(ShapeError, match=r"each axis of \(2, 3\) once"):
        arrays.transpose(x, (0, 0))
    with pytest.raises(
        ArgumentError, match=r"transpose: axes must be a sequence such as \(1, 0\), got 1"
    ):
        arrays.transpose(x, 1)  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="differ in axis 0 only"):
        arrays.concat([x, device.buffer(i8, (2, 4))])
    with pytest.raises(DTypeError, match="one dtype"):
        arrays.concat([x, device.buffer(u8, (2, 3))])  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="stack: shapes must be equal"):
        arrays.stack([x, device.buffer(i8, (3, 2))])
    with pytest.raises(ShapeError, match="at least one buffer"):
        arrays.stack([])
    with pytest.raises(ShapeError, match="negative"):
        arrays.tile(device.buffer(f32, 3), -1)
