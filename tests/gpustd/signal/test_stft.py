"""Short-time Fourier transforms against SciPy in float64, and there and back, on every engine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gpucore import ArgumentError, Device, DTypeError, ShapeError, c64, f16, f32
from gpustd import signal
from gpustd.rungs import forced_rung
from gpustd.signal.windows import window_values
from tests.gpustd.compare import compare
from tests.gpustd.poison import poison_pool
from tests.gpustd.signal.tolerance import U, along, transform_error

Array = NDArray[Any]

CASES: list[dict[str, Any]] = [
    {"nperseg": 24},
    {"nperseg": 24, "noverlap": 18, "window": "hamming", "boundary": "even", "fs": 10.0},
    {"nperseg": 15, "noverlap": 4, "nfft": 24, "boundary": "odd", "padded": False},
    {"nperseg": 24, "boundary": None, "window": ("tukey", 0.25)},
    {"nperseg": 400, "boundary": "constant"},
]


def numbers(shape: tuple[int, ...], *, complex_: bool) -> Array:
    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape).astype(np.float32)
    return (x + 1j * rng.standard_normal(shape)).astype(np.complex64) if complex_ else x


@pytest.mark.parametrize("complex_", [False, True], ids=["real", "complex"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["nperseg"]))
def test_as_scipy(device: Device, case: dict[str, Any], complex_: bool) -> None:
    x = numbers((2, 128), complex_=complex_)
    exact = x.astype(np.complex128 if complex_ else np.float64)
    scipys = case | {"nperseg": min(case["nperseg"], 128)}
    expected = scipy.signal.stft(exact, **scipys, return_onesided=not complex_)
    operand = device.buffer_from_array(x)
    poison_pool(device, expected[2].size * 8)
    frequencies, times, spectra = (b.read() for b in signal.stft(operand, **case))
    compare(device, "signal.stft", frequencies, expected[0], 2 * U * np.abs(expected[0]))
    compare(device, "signal.stft", times, expected[1], 2 * U * np.abs(expected[1]))
    # Each sample is rounded with its window, whose numbers are rounded too.
    error = transform_error(case.get("nfft", scipys["nperseg"])) + 2 * U
    compare(device, "signal.stft", spectra, expected[2], along(expected[2], -2, error))


@pytest.mark.parametrize(
    ("complex_", "case"),
    [
        (True, {"nperseg": 48, "boundary": "even"}),
        (False, {"nperseg": 80, "noverlap": 61, "boundary": "odd"}),
        (False, {"nperseg": 72, "nfft": 80, "window": "hamming"}),
    ],
    ids=str,
)
def test_in_one_pass(device: Device, complex_: bool, case: dict[str, Any]) -> None:
    """What cards do: frames are cut where they are transformed, and come back as rows."""
    x = numbers((2, 200), complex_=complex_)
    exact = x.astype(np.complex128 if complex_ else np.float64)
    expected = scipy.signal.stft(exact, **case, return_onesided=not complex_)[2]
    error = transform_error(80) + 2 * U
    with forced_rung("fft", "workgroup", 16000):
        operand = device.buffer_from_array(x)
        poison_pool(device, expected.size * 8)
        spectra = signal.stft(operand, **case)[2]
        compare(device, "signal.stft", spectra.read(), expected, along(expected, -2, error))
        if "nfft" not in case:
            told = {k: v for k, v in case.items() if k != "boundary"}
            result = signal.istft(spectra, **told, input_onesided=not complex_)[1].read()
            allowed = 8 * (2 * transform_error(80) + 8 * U) * 80**0.5 * np.abs(x).max()
            compare(device, "signal.istft", result[:, :200], x, allowed)


@settings(max_examples=10, deadline=None)
@given(
    n=st.integers(1, 90),
    size=st.sampled_from([5, 16, 24]),
    share=st.sampled_from([0.0, 0.5, 0.8]),
    complex_=st.booleans(),
)
def test_there_and_back(device: Device, n: int, size: int, share: float, complex_: bool) -> None:
    """The window and its square are in both; what is left are two transforms' errors."""
    size = min(size, n)
    shared = int(share * size)
    window = "boxcar" if shared < size // 2 else "hamming"
    x = numbers((2, n), complex_=complex_)
    operand = device.buffer_from_array(x)
    _, _, spectra = signal.stft(operand, 1.0, window, size, shared)
    times, result = signal.istft(spectra, 1.0, window, size, shared, None, not complex_)
    values = window_values(window, size, periodic=True)
    # A frame's error, at most its share of the frame's norm, then weighed as in the quotient.
    weight = values.sum() / (values**2).sum() * (size / (size - shared) + 1)
    frame = np.sqrt(size) * np.abs(x).max() * values.max()
    allowed = weight * (2 * transform_error(size) + 8 * U) * frame
    compare(device, "signal.istft", result.read()[:, :n], x, allowed)
    np.testing.assert_array_equal(times.read(), np.arange(result.shape[-1]))


def test_the_inverse_as_scipy(device: Device) -> None:
    """Of spectra that no signal has: the nearest signal."""
    spectra = numbers((2, 13, 7), complex_=True)
    for boundary in (True, False):
        _, expected = scipy.signal.istft(
            spectra.astype(np.complex128), window="hamming", boundary=boundary
        )
        _, result = signal.istft(
            device.buffer_from_array(spectra), window="hamming", boundary=boundary
        )
        # The quotient is the frames' largest number at most, over the least of the window.
        window = window_values("hamming", 24, periodic=True)
        largest = np.linalg.norm(np.abs(spectra), axis=1).max() * window.sum() / 24**0.5
        allowed = (transform_error(24) + 6 * U) * largest / window.min()
        compare(device, "signal.istft", result.read(), expected, allowed)


def test_a_window_of_ones_own(device: Device) -> None:
    x = numbers((1, 40), complex_=False)
    window = np.linspace(0.5, 1, 8)
    _, _, expected = scipy.signal.stft(x.astype(np.float64), window=window, nperseg=8)
    _, _, result = signal.stft(device.buffer_from_array(x), window=window.tolist(), nperseg=8)
    allowed = along(expected, -2, transform_error(8) + 2 * U)
    compare(device, "signal.stft", result.read(), expected, allowed)


@pytest.mark.parametrize("complex_", [False, True], ids=["real", "complex"])
@pytest.mark.parametrize(
    ("detrend", "size", "scaling"),
    [("constant", 24, "spectrum"), ("linear", 15, "psd"), ("linear", 1, "spectrum")],
)
def test_trends_are_taken_out(
    device: Device, detrend: str, size: int, scaling: str, complex_: bool
) -> None:
    x = numbers((2, 100), complex_=complex_) + (5 + np.arange(100) / 20).astype(np.float32)
    exact = x.astype(np.complex128 if complex_ else np.float64)
    told = {"fs": 4.0, "nperseg": size, "scaling": scaling}
    rest = {"detrend": detrend, "return_onesided": not complex_}
    expected = scipy.signal.stft(exact, **told, **rest)[2]
    operand = device.buffer_from_array(x)
    poison_pool(device, expected.size * 8)
    _, _, spectra = signal.stft(operand, detrend=detrend, **told)
    # A share is a sum of `size` products, at most the frame's norm; it and the rest are rounded.
    # In a spectrum errors add up, weighed by a window of at most 1 over its scale.
    norm = np.sqrt(size) * np.abs(x).max()
    window = window_values("hann", size, periodic=True)
    scale = window.sum() if scaling == "spectrum" else np.sqrt(4.0 * (window**2).sum())
    share = 2 * (np.log2(size) + 6) * U * norm * np.sqrt(size) / scale
    allowed = along(expected, -2, transform_error(size) + 4 * U) + share
    compare(device, "signal.stft", spectra.read(), expected, allowed, unit=norm)


def test_the_scale_of_densities_is_undone(device: Device) -> None:
    x = numbers((2, 60), complex_=False)
    spectra = signal.stft(device.buffer_from_array(x), 8.0, nperseg=12, scaling="psd")[2]
    _, result = signal.istft(spectra, 8.0, scaling="psd")
    expected = scipy.signal.istft(spectra.read().astype(np.complex128), 8.0, scaling="psd")[1]
    allowed = (2 * transform_error(12) + 16 * U) * 12**0.5 * np.abs(x).max()
    compare(device, "signal.istft", result.read(), expected, allowed)
    compare(device, "signal.istft", result.read(), x, 2 * allowed)


def test_wrong_arguments(device: Device) -> None:
    x, spectra = device.buffer(f32, 40), device.buffer(c64, (5, 4))
    with pytest.raises(ArgumentError, match="noverlap"):
        signal.stft(x, nperseg=8, noverlap=8)
    with pytest.raises(ArgumentError, match="nfft"):
        signal.stft(x, nperseg=8, nfft=4)
    with pytest.raises(ArgumentError, match="detrend"):
        signal.stft(x, nperseg=8, detrend="quadratic")
    with pytest.raises(ArgumentError, match="scaling"):
        signal.stft(x, nperseg=8, scaling="density")
    with pytest.raises(ArgumentError, match="scaling"):
        signal.istft(spectra, scaling="density")
    with pytest.raises(ArgumentError, match="boundary"):
        signal.stft(x, boundary="wrap")
    with pytest.raises(ShapeError, match="window"):
        signal.stft(x, window=np.ones(7), nperseg=8)
    with pytest.raises(ShapeError, match="last axis"):
        signal.stft(device.buffer(f32, 0))
    with pytest.raises(DTypeError, match="cast"):
        signal.stft(device.buffer(f16, 40))
    with pytest.raises(ArgumentError, match="more overlap"):
        signal.istft(spectra, noverlap=0)
    with pytest.raises(ShapeError, match="frequencies"):
        signal.istft(spectra, nfft=16)
    with pytest.raises(DTypeError, match="istft"):
        signal.istft(x)  # type: ignore[arg-type]
