"""Frequencies, shifts and fast lengths against NumPy and SciPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.fft
from hypothesis import given, settings
from hypothesis import strategies as st

from gpucore import ArgumentError, Device, ShapeError, c64
from gpustd import signal
from tests.draws import draws
from tests.gpustd.compare import compare
from tests.gpustd.poison import poison_pool
from tests.gpustd.signal.tolerance import U


@settings(max_examples=draws(20), deadline=None)
@given(n=st.integers(1, 70), d=st.sampled_from([1.0, 0.3, 100.0, -2.0]))
def test_frequencies(device: Device, n: int, d: float) -> None:
    for name in ("fftfreq", "rfftfreq"):
        result = getattr(signal, name)(n, d, device=device).read()
        expected = getattr(np.fft, name)(n, d)
        compare(device, f"signal.{name}", result, expected, U * np.abs(expected))


def test_frequencies_are_the_callers_own(device: Device) -> None:
    first = signal.fftfreq(4, device=device)
    first.write(np.zeros(4, np.float32))
    np.testing.assert_array_equal(signal.fftfreq(4, device=device).read(), np.fft.fftfreq(4))


@settings(max_examples=draws(20), deadline=None)
@given(
    shape=st.lists(st.sampled_from([0, 1, 2, 5, 7]), min_size=1, max_size=4),
    data=st.data(),
    dtype=st.sampled_from([np.float32, np.int32, np.uint32, np.complex64]),
)
def test_shifts(device: Device, shape: list[int], data: st.DataObject, dtype: type[Any]) -> None:
    one = st.integers(-len(shape), len(shape) - 1)
    axes = data.draw(st.none() | one | st.lists(one, max_size=3).map(tuple))
    x = np.arange(np.prod(shape, dtype=int)).reshape(shape[::-1]).astype(dtype).T
    operand = device.buffer_from_array(x)
    poison_pool(device, x.nbytes)
    for name in ("fftshift", "ifftshift"):
        expected = getattr(np.fft, name)(x, axes)
        np.testing.assert_array_equal(getattr(signal, name)(operand, axes).read(), expected)


def test_quick_lengths() -> None:
    for target in [*range(300), 1021, 4097, 99999, 2**20 + 1]:
        for real in (False, True):
            expected = scipy.fft.next_fast_len(target, real) if target else 0
            assert signal.next_fast_len(target, real) == expected


def test_wrong_arguments(device: Device) -> None:
    with pytest.raises(ShapeError, match="must be >= 1"):
        signal.fftfreq(0, device=device)
    with pytest.raises(ShapeError, match="axis 1"):
        signal.fftshift(device.buffer(c64, 4), axes=1)
    with pytest.raises(ShapeError, match="6 axes"):
        signal.fftshift(device.buffer(c64, (1,) * 7))
    with pytest.raises(ArgumentError, match="must be >= 0"):
        signal.next_fast_len(-1)


def test_rates_of_zero_are_refused(device: Device) -> None:
    x = device.buffer_from_array(np.ones(8, np.float32))
    for call in (signal.fftfreq, signal.rfftfreq):
        with pytest.raises(ArgumentError, match="must not be 0"):
            call(4, 0.0, device=device)
    with pytest.raises(ArgumentError, match="must be finite and not 0"):
        signal.stft(x, 0.0, nperseg=4)
    with pytest.raises(ArgumentError, match="whole number"):
        signal.stft(x, nperseg=2.5)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="whole number"):
        signal.next_fast_len(2.5)  # type: ignore[arg-type]
