"""embedding and one_hot."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gpucore import ArgumentError, Device, DType, DTypeError, ShapeError, f16, f32, i32
from gpustd import nn
from tests.draws import draws
from tests.gpustd.nn.oracle import draw_normal, strided_view, supported_dtype, up

Array = NDArray[Any]


IDS = st.lists(st.sampled_from([1, 2, 3, 5, 0]), min_size=1, max_size=3)


def some_ids(shape: list[int], count: int) -> Array:
    """Numbers from 0 to ``count`` - 1, of which many are the ends, and some that lie outside."""
    outside = [-1, count, 2**31 - 1, -(2**31)]
    choice = [*range(count), 0, count - 1, *outside]
    return strided_view(np.random.default_rng(0).choice(choice, shape).astype(np.int32))


@given(
    shape=IDS,
    rows=st.sampled_from([1, 2, 7]),
    width=st.sampled_from([1, 3, 4, 5, 8]),
    dtype=st.sampled_from([f32, f16]),
)
@settings(max_examples=draws(20), deadline=None)
def test_embedding(
    device: Device, shape: list[int], rows: int, width: int, dtype: type[DType]
) -> None:
    """Rows of the table as they are; an id that it has not gives NaN."""
    table, ids = (
        strided_view(draw_normal(0, (rows, width), supported_dtype(device, dtype))),
        some_ids(shape, rows),
    )
    expected = table[ids.clip(0, rows - 1)]
    expected[(ids < 0) | (ids >= rows)] = np.nan
    result = nn.embedding(up(device, ids, poison=expected.nbytes), up(device, table)).read()
    np.testing.assert_array_equal(result, expected)


@given(shape=IDS, classes=st.sampled_from([1, 4, 7]))
@settings(max_examples=draws(15), deadline=None)
def test_one_hot(device: Device, shape: list[int], classes: int) -> None:
    ids = some_ids(shape, classes)
    result = nn.one_hot(up(device, ids, poison=4 * classes * ids.size), classes).read()
    np.testing.assert_array_equal(result, ids[..., None] == np.arange(classes))


def test_refuses(device: Device) -> None:
    with pytest.raises(DTypeError, match="ids must be i32"):
        nn.one_hot(device.buffer(f32, 3), 2)  # type: ignore[arg-type]
    with pytest.raises(DTypeError, match="ids must be i32"):
        nn.embedding(device.buffer(f32, 3), device.buffer(f32, (2, 2)))  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="embedding"):
        nn.embedding(device.buffer(i32, 3), device.buffer(f32, 2))
    with pytest.raises(ArgumentError, match="num_classes must be at least 1, got 0"):
        nn.one_hot(up(device, np.zeros(3, np.int32)), 0)
