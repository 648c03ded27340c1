"""Filters' taps against SciPy's, on the host."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.signal

from gpucore import ArgumentError
from gpustd import signal

BANDS: list[tuple[Any, bool | str]] = [
    (0.3, True),
    (0.3, "lowpass"),
    (0.4, False),
    (0.4, "highpass"),
    ([0.2, 0.5], True),
    ([0.2, 0.5], "bandstop"),
    ([0.1, 0.2, 0.4], False),
    ([0.2, 0.5], "bandpass"),
]


@pytest.mark.parametrize(("cutoff", "zero"), BANDS, ids=str)
def test_taps_by_the_window_method(cutoff: Any, zero: bool | str) -> None:
    """In float64: a few of its roundings are allowed."""
    for options in ({}, {"window": ("kaiser", 4.0)}, {"scale": False}, {"width": 0.1}):
        expected = scipy.signal.firwin(31, cutoff, pass_zero=zero, **options)
        result = signal.firwin(31, cutoff, pass_zero=zero, **options)  # type: ignore[arg-type]
        np.testing.assert_allclose(result, expected, rtol=0, atol=1e-14)


def test_widths_of_each_kind_of_ripple() -> None:
    """Kaiser's rule has three cases: little, some and much attenuation."""
    for width in (0.01, 0.2, 0.5):
        expected = scipy.signal.firwin(30, 20, width=width * 50, fs=100)
        result = signal.firwin(30, 20, width=width * 50, fs=100)
        np.testing.assert_allclose(result, expected, rtol=0, atol=1e-14)


def test_rates() -> None:
    for fs in (None, 2.0, 1000.0):
        edge = 0.2 * (fs or 2.0)
        expected = scipy.signal.firwin(8, edge, fs=fs)
        np.testing.assert_allclose(signal.firwin(8, edge, fs=fs), expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("arguments", "options", "told"),
    [
        ((8, 0.3), {"pass_zero": False}, "odd"),
        ((9, [0.5, 0.3]), {}, "rise"),
        ((9, 1.5), {}, "0 to fs / 2"),
        ((9, float("nan")), {}, "0 to fs / 2"),
        ((9, 0.3), {"fs": 0}, "fs 0"),
        ((9, 0.3), {"fs": "2"}, "fs '2'"),
        ((9, 0.3), {"pass_zero": []}, "a truth"),
        ((0, 0.5), {}, "0 taps"),
        ((2.5, 0.5), {}, "numtaps 2.5"),
        ((9, "a"), {}, "real numbers"),
        ((9, 0.3), {"pass_zero": "low"}, "lowpass"),
        ((9, 0.3), {"pass_zero": "bandpass"}, "two edges"),
        ((9, [0.2, 0.3]), {"pass_zero": "lowpass"}, "one edge"),
        ((9, 0.3), {"width": 0.0}, "more than 0"),
        ((9, 0.3), {"width": "a"}, "width 'a'"),
    ],
    ids=str,
)
def test_wrong_arguments(arguments: Any, options: Any, told: str) -> None:
    with pytest.raises(ArgumentError, match=told):
        signal.firwin(*arguments, **options)
