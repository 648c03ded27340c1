"""softmax against NumPy float64, on every variant and engine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gpucore import Device, DType, ShapeError, f16, f32
from gpustd.launch.variants import force_variant
from gpustd.nn import softmax
from tests.conftest import skip_without_f16
from tests.draws import draws
from tests.gpustd.poison import poison_pool
from tests.gpustd.reference import softmax as oracle
from tests.gpustd.reference.softmax import CASES

Array = NDArray[Any]

# Half a unit in the last place of the storage type, relatively.
ROUNDING: dict[type[DType], float] = {f32: 2.0**-24, f16: 2.0**-11}

VARIANTS = ("naive", "workgroup")


def run(device: Device, x: Array, variant: str) -> Array:
    operand = device.buffer_from_array(x)
    poison_pool(device, x.nbytes)
    with force_variant("softmax", variant):
        return softmax(operand).read()


def check(x: Array, result: Array, dtype: type[DType]) -> None:
    exact = x.astype(np.float64)
    expected = oracle.reference(exact)
    allowed = oracle.bound(exact, ROUNDING[dtype])
    assert result.shape == expected.shape
    error = np.abs(result.astype(np.float64) - expected)
    assert np.all(error <= allowed), f"worst {np.max(error / allowed):.2f} of what is allowed"


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("shape", CASES, ids=str)
@pytest.mark.parametrize("dtype", [f32, f16], ids=lambda d: d.name)
def test_matches_float64(
    device: Device, shape: tuple[int, ...], dtype: type[DType], variant: str
) -> None:
    skip_without_f16(device, dtype.name)
    x = (np.random.default_rng(1).standard_normal(shape) * 4).astype(dtype.numpy)
    check(x, run(device, x, variant), dtype)


@settings(max_examples=draws(15), deadline=None)
@given(
    st.lists(st.sampled_from([0, 1, 2, 5, 31, 64, 131]), min_size=1, max_size=3).map(tuple),
    st.sampled_from([f32, f16]),
    st.floats(0.25, 200),
    st.sampled_from(VARIANTS),
)
def test_drawn_shapes(
    device: Device, shape: tuple[int, ...], dtype: type[DType], spread: float, variant: str
) -> None:
    dtype = dtype if device.has_f16 else f32
    x = (np.random.default_rng(1).standard_normal(shape) * spread).astype(dtype.numpy)
    check(x, run(device, x, variant), dtype)


@pytest.mark.parametrize("variant", VARIANTS)
def test_large_elements_do_not_overflow(device: Device, variant: str) -> None:
    x = np.array([[3e38, 3e38, -3e38, 0.0], [1e4, 1e4 - 1, 9e3, -1e4]], np.float32)
    expected = oracle.reference(x.astype(np.float64))
    np.testing.assert_allclose(run(device, x, variant), expected, rtol=1e-6, atol=1e-38)


@pytest.mark.parametrize("variant", VARIANTS)
def test_more_groups_than_one_dimension_has(device: Device, variant: str) -> None:
    """Over 65 535 workgroups of the workgroup variant, of one-element rows."""
    x = np.zeros((2 * 65535 + 3, 1), np.float32)
    np.testing.assert_array_equal(run(device, x, variant), np.ones_like(x))


@pytest.mark.parametrize("variant", VARIANTS)
def test_result_does_not_depend_on_the_batch(device: Device, variant: str) -> None:
    x = np.random.default_rng(2).standard_normal((3, 5, 77)).astype(np.float32)
    together = run(device, x, variant)
    for image in range(3):
        np.testing.assert_array_equal(together[image], run(device, x[image], variant))


def test_takes_a_variant_by_itself(device: Device) -> None:
    x = np.random.default_rng(3).standard_normal((4, 100)).astype(np.float32)
    check(x, softmax(device.buffer_from_array(x)).read(), f32)


def test_refuses_a_scalar(device: Device) -> None:
    with pytest.raises(ShapeError, match="it has 0 axes"):
        softmax(device.buffer(f32, ()))
