"""Counts of infinities and NaN against NumPy, which are exact."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpucore import ArgumentError, Device, DType, DTypeError, ShapeError, f16, f32, i32, u32
from gpustd import count_nonfinite
from tests.draws import draws
from tests.gpustd.arrays.operators import mixture
from tests.gpustd.poison import poison_pool
from tests.gpustd.reference import finite as oracle
from tests.gpustd.reference.finite import CASES


@pytest.mark.parametrize("shape", CASES, ids=str)
@pytest.mark.parametrize("dtype", [f32, f16], ids=lambda d: d.name)
def test_matches_numpy(device: Device, dtype: type[DType], shape: tuple[int, ...]) -> None:
    generator = np.random.default_rng(1)
    x = generator.standard_normal(shape, np.float32).astype(dtype.numpy)
    for value in (np.nan, np.inf, -np.inf):
        x[generator.random(shape) < 0.05] = value
    poison_pool(device, x.nbytes)
    counts = device.buffer_from_array(np.array([7, 0, 9], np.uint32))
    count_nonfinite(device.buffer_from_array(x), counts, 1)
    assert counts.read().tolist() == [7, oracle.reference(x), 9]


@settings(max_examples=draws(15), deadline=None)
@given(
    st.lists(st.sampled_from([0, 1, 2, 3, 7, 31]), max_size=4).map(tuple),
    st.sampled_from(["f32", "f16"]),
    st.integers(1, 5),
    st.data(),
)
def test_drawn_shapes(
    device: Device, shape: tuple[int, ...], dtype: str, slots: int, data: st.DataObject
) -> None:
    """Also of f16 on devices without it: numbers are read as bits."""
    x = mixture(dtype, shape, slots)
    slot = data.draw(st.integers(0, slots - 1))
    counts = device.buffer_from_array(np.arange(slots, dtype=np.uint32))
    count_nonfinite(device.buffer_from_array(x), counts, slot)
    expected = np.arange(slots)
    expected[slot] += oracle.reference(x)
    np.testing.assert_array_equal(counts.read(), expected)


@pytest.mark.parametrize("dtype", [f32, f16], ids=lambda d: d.name)
def test_every_exponent(device: Device, dtype: type[DType]) -> None:
    """Neither the largest numbers nor subnormal ones count; NaN of all kinds does."""
    if dtype is f16:
        x = np.arange(2**16, dtype=np.uint16).view(np.float16)
    else:
        high = np.arange(2**16, dtype=np.uint32) << 16
        x = np.concatenate([high, high | 1, high | 0xFFFF]).view(np.float32)
    counts = device.buffer_from_array(np.zeros(1, np.uint32))
    count_nonfinite(device.buffer_from_array(x), counts)
    assert counts.read()[0] == oracle.reference(x)


def test_adds_to_what_is_there(device: Device) -> None:
    x = device.buffer_from_array(np.array([np.nan, 1, np.inf], np.float32))
    counts = device.buffer_from_array(np.array([5], np.uint32))
    for _ in range(3):
        count_nonfinite(x, counts)
    assert counts.read()[0] == 5 + 3 * 2


def test_refuses_what_does_not_fit(device: Device) -> None:
    counts = device.buffer(u32, 2)
    with pytest.raises(DTypeError, match="must be f16 or f32"):
        count_nonfinite(device.buffer(i32, 4), counts)
    with pytest.raises(ShapeError, match=r"must be \(n,\)"):
        count_nonfinite(device.buffer(f32, 4), device.buffer(u32, (2, 1)))
    for slot in (-1, 2):
        with pytest.raises(ArgumentError, match=f"slot must be from 0 to 1, got {slot}"):
            count_nonfinite(device.buffer(f32, 4), counts, slot)
