"""Fourier transforms over several axes against SciPy in float64, on every engine."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import scipy.fft
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gpucore import ArgumentError, Device, DTypeError, ShapeError, c64, f32
from gpustd import signal
from tests.gpustd.compare import compare
from tests.gpustd.signal.tolerance import along, transform_error

Array = NDArray[Any]


def numbers(shape: tuple[int, ...], name: str, seed: int = 0) -> Array:
    """Real numbers for the transforms of real ones, complex ones for the others."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape).astype(np.float32)
    if name.startswith("rfft"):
        return x
    return (x + 1j * rng.standard_normal(shape)).astype(np.complex64)


def check(device: Device, name: str, x: Array, s: Any = None, axes: Any = None) -> None:
    exact = x.astype(np.complex128 if np.iscomplexobj(x) else np.float64)
    given_axes = {} if axes is None else {"axes": axes}
    expected = getattr(scipy.fft, name)(exact, s=s, norm="ortho", **given_axes)
    result = getattr(signal, name)(device.buffer_from_array(x), s=s, norm="ortho", **given_axes)
    last_two = name.endswith("2") and axes is None
    over = tuple(axes or range(-2 if last_two else -(x.ndim if s is None else len(s)), 0))
    error = math.fsum(transform_error(max(expected.shape[a], x.shape[a])) for a in over)
    compare(device, f"signal.{name}", result.read(), expected, along(expected, over, error))


@pytest.mark.parametrize("name", ["fft2", "ifft2", "rfft2", "irfft2"])
def test_planes(device: Device, name: str) -> None:
    check(device, name, numbers((2, 12, 8), name))
    check(device, name, numbers((4, 3, 12), name), s=(8, 12), axes=(0, 2))


@pytest.mark.parametrize("name", ["fftn", "ifftn", "rfftn", "irfftn"])
def test_all_axes_or_some(device: Device, name: str) -> None:
    check(device, name, numbers((3, 4, 8), name))
    check(device, name, numbers((3, 4, 8), name), s=(8, 12))
    check(device, name, numbers((8, 4, 3), name), axes=(1, 0))


@settings(max_examples=8, deadline=None)
@given(
    shape=st.lists(st.sampled_from([1, 2, 3, 8]), min_size=1, max_size=4),
    name=st.sampled_from(["fftn", "ifftn", "rfftn"]),
    seed=st.integers(0, 9),
)
def test_any_rank(device: Device, shape: list[int], name: str, seed: int) -> None:
    check(device, name, numbers(tuple(shape), name, seed))


def test_there_and_back(device: Device) -> None:
    x = numbers((2, 3, 8), "rfftn")
    spectrum = signal.rfftn(device.buffer_from_array(x))
    result = signal.irfftn(spectrum, x.shape)
    error = 2 * math.fsum(transform_error(n) for n in x.shape)
    compare(device, "signal.irfftn", result.read(), x, error * np.linalg.norm(x))


def test_real_operands_are_taken(device: Device) -> None:
    x = numbers((3, 8), "rfftn")
    expected = np.fft.fft2(x.astype(np.float64))
    allowed = along(expected, (0, 1), transform_error(3) + transform_error(8))
    result = signal.fft2(device.buffer_from_array(x)).read()
    compare(device, "signal.fft2", result, expected, allowed)


def test_wrong_arguments(device: Device) -> None:
    x = device.buffer(c64, (2, 4))
    with pytest.raises(ArgumentError, match="once"):
        signal.fftn(x, axes=(0, -2))
    with pytest.raises(ArgumentError, match="at least one"):
        signal.fftn(x, axes=())
    with pytest.raises(ShapeError, match="as many"):
        signal.fftn(x, s=(2,), axes=(0, 1))
    with pytest.raises(ShapeError, match="axis 2"):
        signal.ifft2(x, axes=(1, 2))
    with pytest.raises(DTypeError, match="rfftn"):
        signal.rfftn(x)  # type: ignore[arg-type]
    with pytest.raises(DTypeError, match="irfft2"):
        signal.irfft2(device.buffer(f32, (2, 4)))  # type: ignore[arg-type]


def test_one_number_for_axes_and_lengths(device: Device) -> None:
    x = np.random.default_rng(1).standard_normal((4, 6)).astype(np.float32)
    buffer = device.buffer_from_array(x)
    for s, axes in ((3, None), (None, 0), (5, 0)):
        result = signal.fftn(buffer, s, axes).read()
        expected = scipy.fft.fftn(x.astype(np.float64), s, axes)
        np.testing.assert_allclose(result, expected, atol=2.0**-18)
    with pytest.raises(ShapeError, match=r"fftn: s \(2, 2, 2\) of \(4, 6\): it has 2 axes"):
        signal.fftn(buffer, (2, 2, 2))
