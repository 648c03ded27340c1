"""Nearest-neighbour enlargement against NumPy, bit by bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpucore import Device, DType, ShapeError, f16, f32
from gpustd import upsample_nearest
from tests.conftest import skip_without_f16
from tests.draws import draws
from tests.gpustd.arrays.operators import draw, held_by
from tests.gpustd.poison import poison_pool
from tests.gpustd.reference import upsample_nearest as oracle
from tests.gpustd.reference.upsample_nearest import CASES


@pytest.mark.parametrize(("shape", "factor"), CASES, ids=str)
@pytest.mark.parametrize("dtype", [f32, f16], ids=lambda d: d.name)
def test_matches_numpy(
    device: Device, dtype: type[DType], shape: tuple[int, int, int, int], factor: int
) -> None:
    skip_without_f16(device, dtype.name)
    x = np.random.default_rng(1).standard_normal(shape).astype(dtype.numpy)
    buffer = device.buffer_from_array(x)
    poison_pool(device, x.nbytes * factor * factor)
    result = upsample_nearest(buffer, factor).read()
    np.testing.assert_array_equal(result, oracle.reference(x, factor))


@settings(max_examples=draws(15), deadline=None)
@given(
    st.tuples(*[st.sampled_from([0, 1, 2, 3, 5])] * 3, st.sampled_from([0, 1, 3, 4, 8, 13])),
    st.integers(1, 4),
    st.sampled_from(["f32", "f16", "i32", "u32"]),
)
def test_drawn_shapes(
    device: Device, shape: tuple[int, int, int, int], factor: int, name: str
) -> None:
    name = held_by(device, name)
    x = draw(name, shape)
    buffer = device.buffer_from_array(x)
    poison_pool(device, x.nbytes * factor * factor)
    result = upsample_nearest(buffer, factor).read()
    np.testing.assert_array_equal(result, oracle.reference(x, factor), strict=True)


def test_refuses_what_does_not_fit(device: Device) -> None:
    with pytest.raises(ShapeError, match=r"must be \(N, H, W, C\)"):
        upsample_nearest(device.buffer(f32, (2, 3, 4)))
    with pytest.raises(ShapeError, match="factor must be at least 1"):
        upsample_nearest(device.buffer(f32, (1, 2, 3, 4)), 0)
