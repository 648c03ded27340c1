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
from tests.draws import draws
from tests.gpustd.compare import compare
from tests.gpustd.signal.tolerance import error_along, transform_error

Array = NDArray[Any]


def numbers(shape: tuple[int, ...], name: str, seed: int = 0) -> Array:
    """Real numbers for the transforms of real ones, complex ones for the others."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape).astype(np.float32)
    if name.startswith("rfft"):
        return x
    return (x + 1j * rng.standard_normal(shape)).astype(np.complex64)


ALL = ("fftn", "ifftn", "rfftn", "irfftn")
PLANES = ("fft2", "ifft2", "rfft2", "irfft2")


@st.composite
def calls(draw: st.DrawFn, name: str) -> tuple[list[int], Any, Any]:
    """Draw a shape, lengths (cut, filled up, or unchanged) and their axes."""
    least = 2 if name in PLANES else 1
    # Half a spectrum of one number is that of none.
    extents = [2, 3, 8] if name.startswith("irfft") else [1, 2, 3, 5, 8]
    shape = draw(st.lists(st.sampled_from(extents), min_size=least, max_size=4))
    axes: Any = None
    if name in PLANES or draw(st.booleans()):
        order = draw(st.permutations(range(len(shape))))
        count = 2 if name in PLANES else draw(st.integers(1, len(shape)))
        axes = tuple(a - len(shape) * draw(st.integers(0, 1)) for a in order[:count])
    count = len(shape) if axes is None else len(axes)
    lengths = st.lists(st.sampled_from([2, 3, 4, 8, 12]), min_size=count, max_size=count)
    return shape, draw(st.none() | lengths.map(tuple)), axes


@pytest.mark.parametrize("name", ALL + PLANES)
@settings(max_examples=draws(5), deadline=None)
@given(
    data=st.data(),
    norm=st.sampled_from([None, "backward", "ortho", "forward"]),
    of_real=st.booleans(),
    seed=st.integers(0, 9),
)
def test_any_rank(
    device: Device, name: str, data: st.DataObject, norm: Any, of_real: bool, seed: int
) -> None:
    """Operands are views; fft2, fftn and their inverses take real ones too."""
    shape, s, axes = data.draw(calls(name))
    x = numbers(tuple(shape[::-1]), name, seed).T
    if of_real and not name.startswith("irfft"):
        x = x.real
    exact = x.astype(np.complex128 if np.iscomplexobj(x) else np.float64)
    expected = getattr(scipy.fft, name)(exact, s=s, axes=axes, norm=norm)
    result = getattr(signal, name)(device.buffer_from_array(x), s=s, axes=axes, norm=norm)
    over = range(x.ndim) if axes is None else tuple(a % x.ndim for a in axes)
    error = math.fsum(transform_error(max(expected.shape[a], x.shape[a])) for a in over)
    allowed = error_along(expected, tuple(over), error)
    compare(device, f"signal.{name}", result.read(), expected, allowed)


@pytest.mark.parametrize("name", PLANES)
def test_planes_are_the_last_two_axes(device: Device, name: str) -> None:
    x = numbers((2, 3, 8), name)
    exact = x.astype(np.complex128 if np.iscomplexobj(x) else np.float64)
    expected = getattr(scipy.fft, name)(exact)
    result = getattr(signal, name)(device.buffer_from_array(x)).read()
    error = math.fsum(transform_error(max(expected.shape[a], x.shape[a])) for a in (1, 2))
    compare(device, f"signal.{name}", result, expected, error_along(expected, (1, 2), error))


def test_there_and_back(device: Device) -> None:
    x = numbers((2, 3, 8), "rfftn")
    spectrum = signal.rfftn(device.buffer_from_array(x))
    result = signal.irfftn(spectrum, x.shape)
    error = 2 * math.fsum(transform_error(n) for n in x.shape)
    compare(device, "signal.irfftn", result.read(), x, error * np.linalg.norm(x))


def test_wrong_arguments(device: Device) -> None:
    x = device.buffer(c64, (2, 4))
    with pytest.raises(ArgumentError, match="once"):
        signal.fftn(x, axes=(0, -2))
    with pytest.raises(ArgumentError, match="at least one"):
        signal.fftn(x, axes=())
    with pytest.raises(ShapeError, match="one length for each axis"):
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
    with pytest.raises(ShapeError, match=r"fftn: s must have at most 2 lengths, got \(2, 2, 2\)"):
        signal.fftn(buffer, (2, 2, 2))
