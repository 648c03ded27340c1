"""Taps of filters against SciPy's, on the host."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

from gpucore import ArgumentError
from gpustd import signal


@st.composite
def bands(draw: st.DrawFn) -> tuple[Any, Any, int]:
    """Draw edges as shares of half the rate, which bands pass, and a number of taps that fits."""
    places = draw(st.lists(st.integers(1, 19), min_size=1, max_size=4, unique=True).map(sorted))
    edges = [place / 20 for place in places]
    names = ["lowpass", "highpass"] if len(edges) == 1 else ["bandpass", "bandstop"]
    zero = draw(st.booleans() | st.sampled_from(names))
    first = zero in ("lowpass", "bandstop") if isinstance(zero, str) else zero
    taps = draw(st.integers(1, 60))
    last_passes = first ^ bool(len(edges) % 2)
    return edges, zero, taps | 1 if last_passes else taps


@given(
    band=bands(),
    fs=st.sampled_from([None, 2.0, 1000.0]),
    window=st.sampled_from(["hamming", "hann", ("kaiser", 4.0), 6.5, ("tukey", 0.3)]),
    width=st.sampled_from([None, None, 0.01, 0.1, 0.2, 0.5]),
    scale=st.booleans(),
    alone=st.booleans(),
)
@settings(max_examples=300, deadline=None)
def test_taps_by_the_window_method(
    band: tuple[Any, Any, int],
    fs: float | None,
    window: Any,
    width: float | None,
    scale: bool,
    alone: bool,
) -> None:
    """In float64, a few roundings are allowed, and those of the gain that divides the taps.

    Kaiser's rule for a width has three cases: little, some and much attenuation.
    """
    edges, zero, taps = band
    half = (fs or 2.0) / 2
    cutoff = np.array([9.0, *edges, 9.0])[1:-1] * half
    options: dict[str, Any] = {
        "width": width and width * half,
        "window": window,
        "pass_zero": zero,
        "scale": scale,
        "fs": fs,
    }
    first = float(cutoff[0]) if alone and len(edges) == 1 else cutoff
    with np.errstate(invalid="ignore", divide="ignore"):
        expected = scipy.signal.firwin(taps, first, **options)
    if not np.isfinite(expected).all():
        with pytest.raises(ArgumentError, match="must let some signal pass"):
            signal.firwin(taps, first, **options)
        return
    plain = np.abs(scipy.signal.firwin(taps, first, **(options | {"scale": False})))
    largest = np.abs(expected).max()
    share = largest / plain.max() if plain.any() else 1.0
    allowed = share * (1e-14 + largest * (taps + 4) * 2.0**-52 * plain.sum())
    result = signal.firwin(taps, first, **options)
    np.testing.assert_allclose(result, expected, rtol=0, atol=allowed)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((8, 0.3), {"pass_zero": False}, "odd"),
        ((9, [0.5, 0.3]), {}, "rise"),
        ((9, 1.5), {}, "between 0 and fs / 2"),
        ((9, float("nan")), {}, "between 0 and fs / 2"),
        ((9, 0.3), {"fs": 0}, "fs must be .*got 0"),
        ((9, 0.3), {"fs": "2"}, "fs .*'2'"),
        ((9, 0.3), {"pass_zero": []}, "must be a bool"),
        ((0, 0.5), {}, "got numtaps 0"),
        ((2.5, 0.5), {}, "numtaps .*2.5"),
        ((9, "a"), {}, "real numbers"),
        ((9, 0.3), {"pass_zero": "low"}, "lowpass"),
        ((9, 0.3), {"pass_zero": "bandpass"}, "two edges"),
        ((9, [0.2, 0.3]), {"pass_zero": "lowpass"}, "one edge"),
        ((9, 0.3), {"width": 0.0}, "must be a finite number > 0"),
        ((2, 0.3), {"window": "hann"}, "must let some signal pass"),
        ((9, 0.3), {"width": "a"}, "width .*'a'"),
    ],
    ids=str,
)
def test_wrong_arguments(arguments: Any, options: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        signal.firwin(*arguments, **options)
