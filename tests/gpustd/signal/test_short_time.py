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
from gpustd.launch.variants import force_variant
from gpustd.signal.windows import window_values
from tests.draws import draws
from tests.gpustd.compare import compare
from tests.gpustd.poison import poison_pool
from tests.gpustd.signal.tolerance import U, error_along, transform_error

Array = NDArray[Any]


def numbers(shape: tuple[int, ...], *, complex_: bool) -> Array:
    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape).astype(np.float32)
    return (x + 1j * rng.standard_normal(shape)).astype(np.complex64) if complex_ else x


@st.composite
def cuts(draw: st.DrawFn, n: int) -> dict[str, Any]:
    """Draw a cut of ``n`` samples as SciPy and the library take it: frames of at most n."""
    size = min(draw(st.sampled_from([1, 5, 15, 24, 400])), n)
    windows = [("tukey", 0.25), "hann", np.linspace(0.5, 1, 2 * size)[::2]]
    return {
        "fs": draw(st.sampled_from([1.0, 10.0])),
        "window": draw(st.sampled_from(windows)),
        "nperseg": size,
        "noverlap": draw(st.none() | st.integers(0, size - 1)),
        "nfft": draw(st.sampled_from([None, 24])) if size <= 24 else None,
        "detrend": draw(st.sampled_from([False, False, "constant", "linear"])),
        "return_onesided": draw(st.booleans()),
        "boundary": draw(st.sampled_from(["zeros", "even", "odd", "constant", None])),
        "padded": draw(st.booleans()),
        "scaling": draw(st.sampled_from(["spectrum", "psd"])),
    }


@settings(max_examples=draws(20), deadline=None)
@given(
    data=st.data(),
    n=st.integers(1, 90),
    outer=st.lists(st.sampled_from([1, 2, 3]), max_size=2),
    inner=st.lists(st.sampled_from([1, 2, 3]), max_size=2),
    complex_=st.booleans(),
)
def test_as_scipy(
    device: Device,
    data: st.DataObject,
    n: int,
    outer: list[int],
    inner: list[int],
    complex_: bool,
) -> None:
    """Transform along any axis of a signal on a slope, so that there is a trend to remove."""
    case = data.draw(cuts(n))
    case["return_onesided"] &= not complex_
    x = numbers((*outer, n, *inner), complex_=complex_)
    slope = (5 + np.arange(n) / 20).astype(np.float32)
    x = x + slope.reshape(-1, *(1,) * len(inner))
    axis = data.draw(st.sampled_from([len(outer), -1 - len(inner)]))
    exact = x.astype(np.complex128 if complex_ else np.float64)
    expected = scipy.signal.stft(exact, axis=axis, **case)
    operand = device.buffer_from_array(x)
    poison_pool(device, expected[2].size * 8)
    frequencies, times, spectra = (b.read() for b in signal.stft(operand, axis=axis, **case))
    compare(device, "signal.stft", frequencies, expected[0], 2 * U * np.abs(expected[0]))
    compare(device, "signal.stft", times, expected[1], 2 * U * np.abs(expected[1]))
    allowed, norm = allowed_spectra(case, len(outer), exact, expected[2])
    compare(device, "signal.stft", spectra, expected[2], allowed, unit=norm)


def allowed_spectra(case: dict[str, Any], axis: int, x: Array, expected: Array) -> Any:
    """Return the allowed error of spectra, and the norm of a frame.

    Each sample is rounded with its window, whose numbers are rounded too. The share of a trend is a
    sum of a frame's products, at most its norm; it and the rest are rounded. In a spectrum errors
    add up, weighed by a window of at most 1 over its scale.
    """
    size, nfft = case["nperseg"], case["nfft"] or case["nperseg"]
    norm = float(np.sqrt(size) * np.abs(x).max())
    allowed = error_along(expected, axis, transform_error(nfft) + 2 * U)
    if not case["detrend"]:
        return allowed, norm
    window = case["window"]
    values = (
        window if isinstance(window, np.ndarray) else window_values(window, size, periodic=True)
    )
    squares = case["fs"] * (values**2).sum()
    scale = values.sum() if case["scaling"] == "spectrum" else np.sqrt(squares)
    return allowed + 2 * (np.log2(size) + 6) * U * norm * np.sqrt(size) / scale, norm


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
    """Run the kernels of GPUs, which cut frames in the transform, and write rows back."""
    x = numbers((2, 200), complex_=complex_)
    exact = x.astype(np.complex128 if complex_ else np.float64)
    expected = scipy.signal.stft(exact, **case, return_onesided=not complex_)[2]
    error = transform_error(80) + 2 * U
    with force_variant("fft", "workgroup", 16000):
        operand = device.buffer_from_array(x)
        poison_pool(device, expected.size * 8)
        spectra = signal.stft(operand, **case)[2]
        compare(device, "signal.stft", spectra.read(), expected, error_along(expected, -2, error))
        if "nfft" not in case:
            options = {k: v for k, v in case.items() if k != "boundary"}
            result = signal.istft(spectra, **options, input_onesided=not complex_)[1].read()
            allowed = 8 * (2 * transform_error(80) + 8 * U) * 80**0.5 * np.abs(x).max()
            compare(device, "signal.istft", result[:, :200], x, allowed)


@settings(max_examples=draws(10), deadline=None)
@given(
    n=st.integers(1, 90),
    size=st.sampled_from([5, 16, 24]),
    share=st.sampled_from([0.0, 0.5, 0.8]),
    complex_=st.booleans(),
)
def test_there_and_back(device: Device, n: int, size: int, share: float, complex_: bool) -> None:
    """The window and its square are in both; the errors of two transforms are left."""
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


@st.composite
def inverses(draw: st.DrawFn) -> tuple[Array, dict[str, Any]]:
    """Draw spectra and arguments of the inverse: any two axes, counted from either end."""
    size = draw(st.sampled_from([5, 8, 15]))
    nfft = 15 if size == 15 else 8
    onesided, rank = draw(st.booleans()), draw(st.integers(2, 3))
    frequencies = nfft // 2 + 1 if onesided else nfft
    extents = {"freq": frequencies, "time": draw(st.sampled_from([1, 2, 7])), "more": 3}
    order = [n for n in draw(st.permutations(sorted(extents))) if n != "more" or rank == 3]
    from_end = rank * draw(st.booleans())
    return numbers(tuple(extents[name] for name in order), complex_=True), {
        "fs": 4.0,
        "window": "hamming",
        "nperseg": size,
        "noverlap": int(draw(st.sampled_from([0.0, 0.5, 0.8])) * size),
        "nfft": nfft,
        "input_onesided": onesided,
        "boundary": draw(st.booleans()),
        "time_axis": order.index("time") - from_end,
        "freq_axis": order.index("freq") - from_end,
        "scaling": draw(st.sampled_from(["spectrum", "psd"])),
    }


@settings(max_examples=draws(20), deadline=None)
@given(drawn=inverses())
def test_the_inverse_as_scipy(device: Device, drawn: tuple[Array, dict[str, Any]]) -> None:
    """These spectra come from no signal; the inverse is the nearest signal."""
    spectra, options = drawn
    size, nfft = options["nperseg"], options["nfft"]
    expected = scipy.signal.istft(spectra.astype(np.complex128), **options)[1]
    operand = device.buffer_from_array(spectra)
    poison_pool(device, expected.size * 4, expected.size * 8)
    times, result = (b.read() for b in signal.istft(operand, **options))
    # The quotient is the frames' largest number at most, over the least of the window; half a
    # spectrum has a root of a half of the norm of all of it. Each of a sample's frames is added.
    window = window_values("hamming", size, periodic=True)
    scale = window.sum() if options["scaling"] == "spectrum" else 2 * np.sqrt((window**2).sum())
    norms = np.linalg.norm(spectra, axis=options["freq_axis"])
    largest = np.sqrt(2) * norms.max() * scale / nfft**0.5
    met = -(-size // (size - options["noverlap"]))
    allowed = (transform_error(nfft) + (6 + met) * U) * largest / window.min()
    compare(device, "signal.istft", result, expected, allowed, unit=float(largest))
    cut = 2 * (size // 2) if options["boundary"] else 0
    length = size + (spectra.shape[options["time_axis"]] - 1) * (size - options["noverlap"]) - cut
    compare(device, "signal.istft", times, np.arange(length) / 4, 2 * U * np.arange(length))


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
    with pytest.raises(ShapeError, match="axis 0 must have samples"):
        signal.stft(device.buffer(f32, 0))
    with pytest.raises(ShapeError, match="axis 1"):
        signal.stft(x, axis=1)
    for axes in ({"time_axis": 0, "freq_axis": -2}, {"time_axis": 0, "freq_axis": 0}):
        with pytest.raises(ShapeError, match="an axis of frequencies and another of times"):
            signal.istft(spectra, **axes)
    with pytest.raises(ShapeError, match="axis 2"):
        signal.istft(spectra, time_axis=2)
    with pytest.raises(DTypeError, match="cast"):
        signal.stft(device.buffer(f16, 40))
    with pytest.raises(ArgumentError, match="more overlap"):
        signal.istft(spectra, noverlap=0)
    with pytest.raises(ShapeError, match="frequencies"):
        signal.istft(spectra, nfft=16)
    with pytest.raises(DTypeError, match="istft"):
        signal.istft(x)  # type: ignore[arg-type]
