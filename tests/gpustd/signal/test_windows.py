"""Windows against SciPy: one rounding to f32 apart."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal

from gpucore import ArgumentError, Device, ShapeError
from gpustd import signal
from gpustd.signal.windows import Window, window_values
from tests.gpustd.compare import compare
from tests.gpustd.signal.tolerance import U

WINDOWS: list[Window] = [
    *("boxcar triang hann hamming blackman blackmanharris nuttall".split()),
    *("flattop bartlett barthann bohman cosine lanczos parzen tukey".split()),
    ("kaiser", 3.5),
    8.6,
    ("gaussian", 2.0),
    ("general_gaussian", 1.5, 3.0),
    ("general_hamming", 0.6),
    ("tukey", 0.3),
    ("tukey", 0.0),
    ("tukey", 1.5),
]


@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_values(window: Window) -> None:
    """On the host: float64, so that only a few roundings of it are allowed."""
    for n in (1, 2, 3, 7, 8, 51):
        for periodic in (True, False):
            expected = scipy.signal.get_window(window, n, periodic)
            result = window_values(window, n, periodic=periodic)
            np.testing.assert_allclose(result, expected, rtol=0, atol=1e-14)


def test_on_the_device(device: Device) -> None:
    for fftbins in (True, False):
        result = signal.get_window("hann", 11, fftbins, device=device)
        expected = scipy.signal.get_window("hann", 11, fftbins)
        compare(device, "signal.get_window", result.read(), expected, U * expected + 1e-15)


def test_wrong_arguments(device: Device) -> None:
    for wrong in ("hanning", ("hann", 2.0), "kaiser", ("gaussian", 1.0, 2.0)):
        with pytest.raises(ArgumentError, match="there are"):
            signal.get_window(wrong, 4, device=device)  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="n >= 1"):
        signal.get_window("hann", 0, device=device)


def test_parameters_are_numbers(device: Device) -> None:
    for window in (
        ("kaiser", "a"),
        ("gaussian", 0),
        ("general_gaussian", 2, 0),
        ("tukey", float("nan")),
    ):
        with pytest.raises(ArgumentError, match="wants a number"):
            signal.get_window(window, 8, device=device)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="None: there are"):
        signal.get_window(None, 8, device=device)  # type: ignore[arg-type]
