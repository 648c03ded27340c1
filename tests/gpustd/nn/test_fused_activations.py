"""The activations that products apply too, against NumPy float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gpucore import Buffer, Device, DType, DTypeError, f16, f32, i32
from gpustd import nn
from tests.conftest import skip_without_f16
from tests.draws import draws
from tests.gpustd.poison import poison_pool
from tests.gpustd.reference import activation as oracle

EPS: dict[type[DType], float] = {f32: float(np.finfo(np.float32).eps), f16: 2.0**-10}
FUNCTIONS: dict[str, Callable[[Buffer[Any]], Buffer[Any]]] = {
    "gelu": nn.gelu,
    "gelu_tanh": lambda x: nn.gelu(x, "tanh"),
    "quick_gelu": nn.quick_gelu,
    "relu": nn.relu,
    "silu": nn.silu,
}
LARGE = {f32: 3.0e38, f16: 65504.0}


def run(device: Device, x: NDArray[Any], name: str) -> NDArray[Any]:
    buffer = device.buffer_from_array(x)
    poison_pool(device, x.nbytes)
    return FUNCTIONS[name](buffer).read()


def check(x: NDArray[Any], result: NDArray[Any], name: str, eps: float) -> None:
    exact = x.astype(np.float64)
    expected = oracle.reference(exact, name)
    error = np.abs(result.astype(np.float64) - expected)
    allowed = oracle.bound(exact, expected, eps)
    assert result.shape == x.shape
    assert np.all(error <= allowed), f"worst {np.max(error / allowed)} at {x[error > allowed][:3]}"


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", [f32, f16], ids=lambda d: d.name)
def test_matches_float64(device: Device, name: str, dtype: type[DType]) -> None:
    skip_without_f16(device, dtype.name)
    for count in oracle.CASES:
        x = np.linspace(-30, 30, count).astype(dtype.numpy)
        check(x, run(device, x, name), name, EPS[dtype])
    near_zero = np.geomspace(1e-7, 1, 301)
    x = np.concatenate([-near_zero, near_zero, [0.0]]).astype(dtype.numpy)
    check(x, run(device, x, name), name, EPS[dtype])


@settings(max_examples=draws(12), deadline=None)
@given(
    st.lists(st.sampled_from([0, 1, 2, 3, 7, 31]), max_size=4).map(tuple),
    st.sampled_from([f32, f16]),
    st.lists(st.floats(-60, 60, width=16, allow_subnormal=False), max_size=8),
    st.floats(0.1, 30),
)
def test_drawn_numbers(
    device: Device, shape: tuple[int, ...], dtype: type[DType], extras: list[float], spread: float
) -> None:
    """Every activation, of any shape."""
    dtype = dtype if device.has_f16 else f32
    rng = np.random.default_rng(len(extras))
    x = np.asarray(rng.normal(0, spread, shape)).astype(dtype.numpy)
    x = np.where(rng.random(shape) < 0.3, rng.choice([0, *extras], shape).astype(x.dtype), x)
    for name in FUNCTIONS:
        check(x, run(device, x, name), name, EPS[dtype])


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", [f32, f16], ids=lambda d: d.name)
def test_large_values_do_not_overflow(device: Device, name: str, dtype: type[DType]) -> None:
    skip_without_f16(device, dtype.name)
    large = LARGE[dtype]
    x = np.array([large, -large, 1000, -1000, 90, -90, 20, -20], dtype.numpy)
    result = run(device, x, name)
    np.testing.assert_allclose(result[::2], x[::2], rtol=1e-6)
    np.testing.assert_allclose(result[1::2], 0, atol=1e-6)


def test_nan_stays(device: Device) -> None:
    x = np.array([np.nan, 1.0, np.nan], np.float32)
    for name in FUNCTIONS:
        np.testing.assert_array_equal(np.isnan(run(device, x, name)), np.isnan(x))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_refuses_integers(device: Device, name: str) -> None:
    with pytest.raises(DTypeError, match="f16 or f32"):
        FUNCTIONS[name](device.buffer(i32, 4))
