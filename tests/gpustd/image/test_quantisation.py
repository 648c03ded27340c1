"""Grey levels against NumPy float64."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpucore import Device, DType, ShapeError, f16, f32
from gpustd import to_image
from tests.conftest import skip_without_f16
from tests.draws import draws
from tests.gpustd.compare import compare
from tests.gpustd.poison import poison_pool
from tests.gpustd.reference import to_image as oracle
from tests.gpustd.reference.to_image import CASES, TIE


@pytest.mark.parametrize("shape", CASES, ids=str)
@pytest.mark.parametrize("dtype", [f32, f16], ids=lambda d: d.name)
def test_matches_float64(device: Device, dtype: type[DType], shape: tuple[int, ...]) -> None:
    skip_without_f16(device, dtype.name)
    x = np.random.default_rng(1).normal(0, 0.7, shape).astype(dtype.numpy)
    buffer = device.buffer_from_array(x)
    poison_pool(device, x.size)
    result = to_image(buffer).read()
    exact = oracle.reference(x.astype(np.float64))
    assert result.dtype == np.uint8
    assert result.shape == shape
    assert np.all(np.abs(result - exact) <= 0.5 + TIE)


@settings(max_examples=draws(12), deadline=None)
@given(
    st.tuples(*[st.sampled_from([0, 1, 2, 3, 5, 13])] * 3),
    st.sampled_from([f32, f16]),
    st.floats(0.01, 3),
)
def test_drawn_shapes(
    device: Device, extents: tuple[int, int, int], dtype: type[DType], spread: float
) -> None:
    dtype = dtype if device.has_f16 else f32
    x = np.random.default_rng(1).normal(0, spread, (*extents, 3)).astype(dtype.numpy)
    buffer = device.buffer_from_array(x)
    poison_pool(device, x.size)
    result = to_image(buffer).read()
    assert result.dtype == np.uint8
    compare(device, "to_image", result, oracle.reference(x.astype(np.float64)), 0.5 + TIE, 255)


def test_ends_middle_and_beyond(device: Device) -> None:
    x = np.array([-1, 0, 1, -1e9, 1e9, 1 / 255], np.float32).reshape(1, 1, 2, 3)
    result = to_image(device.buffer_from_array(x)).read()
    np.testing.assert_array_equal(result.ravel(), [0, 128, 255, 0, 255, 128])


def test_refuses_what_is_no_image(device: Device) -> None:
    with pytest.raises(ShapeError, match=r"must be \(N, H, W, 3\)"):
        to_image(device.buffer(f32, (1, 4, 4, 4)))
