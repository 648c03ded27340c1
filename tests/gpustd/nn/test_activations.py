"""Activations against NumPy and SciPy in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import special

from gpucore import ArgumentError, Buffer, Device, DType, DTypeError, f16, f32, i32
from gpustd import nn
from tests.draws import draws
from tests.gpustd.nn.oracle import EPS, check, draw_normal, strided_view, supported_dtype, up

Array = NDArray[Any]
Pair = tuple[Callable[..., Buffer[Any]], Callable[..., Array], tuple[tuple[float, ...], ...]]

SELU = (1.0507009873554804934, 1.6732632423543772848)


def gelu_tanh(x: Array) -> Array:
    """Return the definition, as x sigmoid(2 y) so that it does not cancel for x < 0."""
    near = np.clip(x, -100, 100)
    return np.asarray(x * special.expit(np.sqrt(8 / np.pi) * (near + 0.044715 * near**3)))


def softplus(x: Array, beta: float, threshold: float) -> Array:
    return np.asarray(np.where(beta * x > threshold, x, np.logaddexp(0, beta * x) / beta))


def low(x: Array) -> Array:
    """exp(x) - 1 where x is negative."""
    return np.asarray(np.expm1(np.minimum(x, 0)))


# Ours, the definition, and parameters of both.
PAIRS: dict[str, Pair] = {
    "relu": (nn.relu, lambda x: np.maximum(x, 0), ((),)),
    "relu6": (nn.relu6, lambda x: np.clip(x, 0, 6), ((),)),
    "leaky_relu": (nn.leaky_relu, lambda x, a: np.where(x > 0, x, a * x), ((0.3,), (-2.0,))),
    "elu": (nn.elu, lambda x, a: np.where(x > 0, x, a * low(x)), ((1.5,), (-0.5,))),
    "selu": (nn.selu, lambda x: SELU[0] * np.where(x > 0, x, SELU[1] * low(x)), ((),)),
    "gelu": (nn.gelu, lambda x: x * special.ndtr(x), ((),)),
    "gelu tanh": (lambda x: nn.gelu(x, "tanh"), gelu_tanh, ((),)),
    "silu": (nn.silu, lambda x: x * special.expit(x), ((),)),
    "mish": (nn.mish, lambda x: x * np.tanh(np.logaddexp(0, x)), ((),)),
    "sigmoid": (nn.sigmoid, special.expit, ((),)),
    "hardsigmoid": (nn.hardsigmoid, lambda x: np.clip(x + 3, 0, 6) / 6, ((),)),
    "hardswish": (nn.hardswish, lambda x: x * np.clip(x + 3, 0, 6) / 6, ((),)),
    "tanh": (nn.tanh, np.tanh, ((),)),
    "softplus": (nn.softplus, softplus, ((2.5, 8.1), (0.5, 20.0))),
}
NAMES = pytest.mark.parametrize("name", PAIRS)


def bound(x: Array, expected: Array, name: str, parameters: tuple[float, ...]) -> Array:
    """Return some fourteen roundings; for x < 0, where the result is about exp(-s), that of s.

    WGSL's exp turns it into 2.5 s units; for x > 0 that times exp(-s) is below one. A sum with 3 is
    off by roundings of x itself. At a threshold, rounding may choose either side.
    """
    a = np.where(x < 0, np.minimum(np.abs(x), 100.0), 0.0)
    s = a**2 / 2 + 0.08 * a**3 + 1.8 * a if name.startswith("gelu") else a
    flushed = (np.abs(x) + 1) * 2.0**-126
    extra = EPS * 4.0 * (1 + np.abs(x)) if name.startswith("hard") else 0.0
    if name == "softplus":
        beta, threshold = parameters
        s = beta * s
        flushed = flushed / beta
        z = beta * np.abs(x)
        extra = np.where(np.abs(z - threshold) <= 4 * EPS * z, np.exp(-threshold) / beta, 0.0)
    return np.asarray(EPS * (14 + 2.5 * s) * np.abs(expected) + extra + flushed)


@NAMES
@given(
    data=st.data(),
    shape=st.lists(st.sampled_from([1, 2, 3, 4, 5, 17, 257, 0]), max_size=3),
    scale=st.sampled_from([1e-4, 0.5, 3.0, 15.0]),
    dtype=st.sampled_from([f32, f16]),
    special_values=st.lists(st.sampled_from([0.0, -0.0, np.nan, 1.0, -3.0, 3.0]), max_size=3),
)
@settings(max_examples=draws(10), deadline=None)
def test_matches_float64(
    device: Device,
    name: str,
    data: st.DataObject,
    shape: list[int],
    scale: float,
    dtype: type[DType],
    special_values: list[float],
) -> None:
    if np.prod(shape) > 4000:
        shape = shape[:1]
    ours, oracle, parameters = PAIRS[name]
    chosen = data.draw(st.sampled_from(parameters))
    x = np.asarray(draw_normal(0, shape) * scale, supported_dtype(device, dtype).numpy)
    x.reshape(-1)[: len(special_values)] = special_values[: x.size]
    x = strided_view(x) if shape else x
    result = ours(up(device, x), *chosen).read()
    wide = x.astype(np.float64)
    with np.errstate(invalid="ignore"):
        expected = oracle(wide, *chosen)
    allowed = bound(np.nan_to_num(wide), np.nan_to_num(expected), name, chosen)
    check(device, name.split(maxsplit=1)[0], result, expected, allowed)


@NAMES
def test_limits_of_f16(device: Device, name: str) -> None:
    ours, oracle, (parameters, *_) = PAIRS[name]
    x = np.array([6e4, -6e4, 90, -90, np.nan, 1, -np.nan], np.float16)
    result = ours(up(device, x), *parameters).read()
    with np.errstate(over="ignore", invalid="ignore"):
        expected = oracle(x.astype(np.float64), *parameters).astype(np.float16)
    np.testing.assert_allclose(result, expected, rtol=2e-3, atol=1e-7)


@NAMES
def test_limits_and_nan(device: Device, name: str) -> None:
    ours, oracle, (parameters, *_) = PAIRS[name]
    x = np.array([3e38, -3e38, 1e4, -1e4, 90, -90, np.nan, -np.nan], np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        expected = oracle(x.astype(np.float64), *parameters)
    result = ours(up(device, x), *parameters).read()
    np.testing.assert_array_equal(np.isnan(result), np.isnan(x))
    np.testing.assert_allclose(result[:6], expected[:6], rtol=1e-5, atol=1e-6)


def test_refuses_what_it_does_not_know(device: Device) -> None:
    x = device.buffer(f32, 4)
    with pytest.raises(ArgumentError, match="must be one of 'none', 'tanh'"):
        nn.gelu(x, "erf")  # type: ignore[arg-type]
    for beta in (0.0, 1e-39):
        with pytest.raises(ArgumentError, match=f"1 / beta is an f32, got {beta}"):
            nn.softplus(x, beta)
    with pytest.raises(DTypeError, match="mish: buffers must have one float dtype"):
        nn.mish(device.buffer(i32, 4))
