"""Windows against SciPy: one rounding to f32 apart."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

from gpucore import ArgumentError, Device, ShapeError
from gpustd import signal
from gpustd.signal.windows import Window, window_values
from tests.draws import draws
from tests.gpustd.compare import compare
from tests.gpustd.signal.tolerance import U

NAMES = (
    *("boxcar triang hann hamming blackman blackmanharris nuttall".split()),
    *("flattop bartlett barthann bohman cosine lanczos parzen tukey".split()),
)
SHAPE = st.floats(0.1, 20)
WINDOWS: st.SearchStrategy[Window] = (
    st.sampled_from(NAMES)
    | st.floats(0, 20)
    | st.tuples(st.sampled_from(("kaiser", "gaussian")), SHAPE)
    | st.tuples(st.just("general_gaussian"), st.floats(0.5, 4), SHAPE)
    | st.tuples(st.just("general_hamming"), st.floats(0.5, 1))
    | st.tuples(st.just("tukey"), st.sampled_from((0.0, 0.3, 1.0, 1.5)))
)


@given(window=WINDOWS, n=st.integers(1, 70), periodic=st.booleans())
@settings(max_examples=300, deadline=None)
def test_values(window: Window, n: int, periodic: bool) -> None:
    """On the host, in float64, only a few of its roundings are allowed."""
    expected = scipy.signal.get_window(window, n, periodic)
    result = window_values(window, n, periodic=periodic)
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-14)


@given(window=WINDOWS, n=st.integers(1, 70), fftbins=st.booleans())
@settings(max_examples=draws(20), deadline=None)
def test_on_the_device(device: Device, window: Window, n: int, fftbins: bool) -> None:
    result = signal.get_window(window, n, fftbins, device=device)
    expected = scipy.signal.get_window(window, n, fftbins)
    # One rounding, below 2^-126 to zero.
    allowed = U * np.abs(expected) + 1e-14
    compare(device, "signal.get_window", result.read(), expected, allowed)


def test_wrong_arguments(device: Device) -> None:
    for wrong in ("hanning", ("hann", 2.0), "kaiser", ("gaussian", 1.0, 2.0)):
        with pytest.raises(ArgumentError, match="window must be one of"):
            signal.get_window(wrong, 4, device=device)  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="must be >= 1"):
        signal.get_window("hann", 0, device=device)


def test_parameters_are_numbers(device: Device) -> None:
    for window in (
        ("kaiser", "a"),
        ("gaussian", 0),
        ("general_gaussian", 2, 0),
        ("tukey", float("nan")),
    ):
        with pytest.raises(ArgumentError, match="must be finite numbers"):
            signal.get_window(window, 8, device=device)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match=r"window must be one of .*got None"):
        signal.get_window(None, 8, device=device)  # type: ignore[arg-type]
