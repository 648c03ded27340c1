"""Frequencies, shifts and quick lengths against NumPy and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.fft
from hypothesis import given, settings
from hypothesis import strategies as st

from gpucore import ArgumentError, Device, ShapeError, c64
from gpustd import signal
from tests.gpustd.compare import compare
from tests.gpustd.poison import poison_pool
from tests.gpustd.signal.tolerance import U


@pytest.mark.parametrize("n", [1, 2, 7, 8])
def test_frequencies(device: Device, n: int) -> None:
    for name in ("fftfreq", "rfftfreq"):
        result = getattr(signal, name)(n, 0.3, device=device).read()
        expected = getattr(np.fft, name)(n, 0.3)
        compare(device, f"signal.{name}", result, expected, U * np.abs(expected))


def test_frequencies_are_the_callers_own(device: Device) -> None:
    first = signal.fftfreq(4, device=device)
    first.write(np.zeros(4, np.float32))
    np.testing.assert_array_equal(signal.fftfreq(4, device=device).read(), np.fft.fftfreq(4))


@settings(max_examples=12, deadline=None)
@given(
    shape=st.lists(st.sampled_from([0, 1, 2, 5]), min_size=1, max_size=3),
    axes=st.sampled_from([None, 0, -1]),
)
def test_shifts(device: Device, shape: list[int], axes: int | None) -> None:
    x = np.arange(np.prod(shape, dtype=int), dtype=np.float32).reshape(shape)
    operand = device.buffer_from_array(x)
    poison_pool(device, x.nbytes)
    np.testing.assert_array_equal(signal.fftshift(operand, axes).read(), np.fft.fftshift(x, axes))
    np.testing.assert_array_equal(signal.ifftshift(operand, axes).read(), np.fft.ifftshift(x, axes))


def test_shifts_move_any_dtype(device: Device) -> None:
    for dtype in (np.int32, np.uint32, np.complex64):
        x = np.arange(15).reshape(3, 5).astype(dtype)
        result = signal.fftshift(device.buffer_from_array(x), axes=(0, 1)).read()
        np.testing.assert_array_equal(result, np.fft.fftshift(x))


def test_quick_lengths() -> None:
    for target in [*range(300), 1021, 4097, 99999, 2**20 + 1]:
        for real in (False, True):
            expected = scipy.fft.next_fast_len(target, real) if target else 0
            assert signal.next_fast_len(target, real) == expected


def test_wrong_arguments(device: Device) -> None:
    with pytest.raises(ShapeError, match="n >= 1"):
        signal.fftfreq(0, device=device)
    with pytest.raises(ShapeError, match="axis 1"):
        signal.fftshift(device.buffer(c64, 4), axes=1)
    with pytest.raises(ShapeError, match="6 axes"):
        signal.fftshift(device.buffer(c64, (1,) * 7))
    with pytest.raises(ArgumentError, match="negative"):
        signal.next_fast_len(-1)


def test_rates_of_zero_are_refused(device: Device) -> None:
    x = device.buffer_from_array(np.ones(8, np.float32))
    for call in (signal.fftfreq, signal.rfftfreq):
        with pytest.raises(ArgumentError, match="give another distance"):
            call(4, 0.0, device=device)
    with pytest.raises(ArgumentError, match="give another rate"):
        signal.stft(x, 0.0, nperseg=4)
    with pytest.raises(ArgumentError, match="one whole number"):
        signal.stft(x, nperseg=2.5)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="one whole number"):
        signal.next_fast_len(2.5)  # type: ignore[arg-type]
