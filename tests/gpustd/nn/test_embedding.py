"""The embedding look-up against NumPy, bit by bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpucore import Device, DType, DTypeError, ShapeError, f16, f32, i32
from gpustd import embedding
from tests.conftest import skip_without_f16
from tests.draws import draws
from tests.gpustd.poison import poison_pool
from tests.gpustd.reference import embedding as oracle
from tests.gpustd.reference.embedding import CASES


@pytest.mark.parametrize(("table", "ids"), CASES, ids=str)
@pytest.mark.parametrize("dtype", [f32, f16], ids=lambda d: d.name)
def test_matches_numpy(
    device: Device, dtype: type[DType], table: tuple[int, int], ids: tuple[int, ...]
) -> None:
    skip_without_f16(device, dtype.name)
    rng = np.random.default_rng(1)
    rows = rng.standard_normal(table).astype(dtype.numpy)
    numbers = rng.integers(0, table[0], ids, np.int32)
    buffers = device.buffer_from_array(numbers), device.buffer_from_array(rows)
    poison_pool(device, numbers.size * table[1] * dtype.itemsize)
    result = embedding(*buffers).read()
    np.testing.assert_array_equal(result, oracle.reference(rows, numbers))


@settings(max_examples=draws(15), deadline=None)
@given(
    st.tuples(st.integers(1, 97), st.sampled_from([0, 1, 3, 4, 8, 13, 20])),
    st.lists(st.sampled_from([0, 1, 2, 3, 7]), max_size=3).map(tuple),
    st.sampled_from([f32, f16]),
)
def test_drawn_shapes(
    device: Device, table: tuple[int, int], ids: tuple[int, ...], dtype: type[DType]
) -> None:
    """Some of the ids lie out of range."""
    dtype = dtype if device.has_f16 else f32
    rng = np.random.default_rng(1)
    rows = rng.standard_normal(table).astype(dtype.numpy)
    numbers = np.asarray(rng.integers(-2, table[0] + 2, ids, np.int32))
    buffers = device.buffer_from_array(numbers), device.buffer_from_array(rows)
    poison_pool(device, numbers.size * table[1] * dtype.itemsize)
    result = embedding(*buffers).read()
    np.testing.assert_array_equal(result, oracle.reference(rows, numbers), strict=True)


def test_an_id_out_of_range_gives_nan(device: Device) -> None:
    rows = np.arange(12, dtype=np.float32).reshape(4, 3)
    ids = np.array([0, 4, 3, -1, 2**31 - 1, -(2**31)], np.int32)
    result = embedding(device.buffer_from_array(ids), device.buffer_from_array(rows)).read()
    np.testing.assert_array_equal(result, oracle.reference(rows, ids))
    assert np.isnan(result[[1, 3, 4, 5]]).all()


@pytest.mark.parametrize("channels", [3, 8])
@pytest.mark.parametrize("lengths", [(4,), (1, 3), (3, 1), (2, 1, 1), (4, 0)], ids=str)
def test_a_table_in_parts_is_one_table(
    device: Device, lengths: tuple[int, ...], channels: int
) -> None:
    """Also for ids at the edges of parts, and ids of no part, which wrap around."""
    rows = np.arange(4 * channels, dtype=np.float32).reshape(4, channels)
    ids = np.array([[0, 1, 2, 3, 4], [-1, 3, 2**31 - 1, -(2**31), 0]], np.int32)
    parts = np.split(rows, np.cumsum(lengths)[:-1])
    tables = [device.buffer_from_array(part) for part in parts]
    on_device = device.buffer_from_array(ids)
    poison_pool(device, ids.size * channels * 4)
    np.testing.assert_array_equal(embedding(on_device, tables).read(), oracle.reference(rows, ids))


def test_refuses_what_does_not_fit(device: Device) -> None:
    ids = device.buffer(i32, 3)
    with pytest.raises(ShapeError, match=r"weight must be .* got \(4,\)"):
        embedding(ids, device.buffer(f32, 4))
    with pytest.raises(DTypeError, match="ids must be i32"):
        embedding(device.buffer(f32, 3), device.buffer(f32, (4, 4)))  # type: ignore[arg-type]
    for shapes in ([(4, 4), (4, 3)], [(4, 4), (4,)], []):
        with pytest.raises(ShapeError, match=r"weight must be \(rows, channels\), got \["):
            embedding(ids, [device.buffer(f32, shape) for shape in shapes])
    with pytest.raises(ShapeError, match="parts of weight must have rows"):
        embedding(ids, [device.buffer(f32, (0, 4)), device.buffer(f32, (4, 4))])
