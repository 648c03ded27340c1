"""Filters of finite response, designed on the host: names and values as in `scipy.signal`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gpucore import ArgumentError
from gpustd.launch.checks import as_float, as_floats, as_int
from gpustd.signal.windows import Window, window_values

__all__ = ["firwin"]

Array = NDArray[np.float64]
# Enough for any filter, and little for the host, which computes the taps.
_MAX_TAPS = 2**26
# For each name: whether the first band passes, and whether there are several edges.
_BANDS = {
    "lowpass": (True, False),
    "highpass": (False, False),
    "bandpass": (False, True),
    "bandstop": (True, True),
}


def firwin(
    numtaps: int,
    cutoff: float | ArrayLike,
    *,
    width: float | None = None,
    window: Window = "hamming",
    pass_zero: bool | str = True,
    scale: bool = True,
    fs: float | None = None,
) -> Array:
    """Return the taps of a filter of finite response, by the window method, for `lfilter`'s ``b``.

    Args:
        cutoff: edges of bands, between 0 and ``fs`` / 2, rising.
        width: of the transitions. A Kaiser window with this width takes the place of ``window``
            (Kaiser, Proc. IEEE Int. Symp. Circuits and Systems, 1974).
        pass_zero: whether the first band passes; then every other does. Or "lowpass", "highpass"
            (of one edge), "bandpass", "bandstop" (of two or more).
        scale: make the gain 1 at the first passing band's middle (at 0 or ``fs`` / 2 if it begins
            or ends there).
        fs: samples per unit of ``cutoff``. By default it is 2: then edges are shares of half the
            rate.

    The result is a host array, as that of `scipy.signal.firwin`. Raises `ArgumentError`.

    >>> print(signal.firwin(3, 0.5).round(3))
    [0.046 0.908 0.046]
    """
    half = 1.0 if fs is None else _as_positive("fs", fs) / 2
    edges = np.atleast_1d(as_floats("firwin", "cutoff", cutoff)) / half
    numtaps = as_int("firwin", "numtaps", numtaps)
    if numtaps > _MAX_TAPS:
        raise ArgumentError(f"firwin: numtaps must be at most {_MAX_TAPS}, got {numtaps}")
    if numtaps < 1 or edges.ndim > 1 or not (edges.size and edges.min() > 0 and edges.max() < 1):
        raise ArgumentError(
            "firwin: numtaps must be >= 1 and cutoff lie between 0 and fs / 2, got numtaps "
            f"{numtaps}, cutoff {cutoff!r}"
        )
    if np.any(np.diff(edges) <= 0):
        raise ArgumentError(f"firwin: cutoff must rise, got {cutoff!r}")
    first_passes = _first_passes(pass_zero, edges.size)
    last_passes = first_passes ^ bool(edges.size % 2)
    if last_passes and numtaps % 2 == 0:
        raise ArgumentError(
            f"firwin: numtaps must be odd where a band passes fs / 2, got {numtaps}"
        )
    bounds = np.concatenate([[0.0] * first_passes, edges, [1.0] * last_passes]).reshape(-1, 2)
    t = np.arange(numtaps) - (numtaps - 1) / 2
    bands = [high * np.sinc(high * t) - low * np.sinc(low * t) for low, high in bounds]
    shaped = window if width is None else ("kaiser", _kaiser_beta(numtaps, width, half))
    taps: Array = np.sum(bands, axis=0) * window_values(shaped, numtaps, periodic=False)
    if scale:
        low, high = bounds[0]
        middle = 0.0 if low == 0 else 1.0 if high == 1 else (low + high) / 2
        gain = np.sum(taps * np.cos(np.pi * t * middle))
        if gain == 0:
            raise ArgumentError(
                "firwin: taps must let some signal pass to be scaled, got none from "
                f"{numtaps} taps of window {shaped!r}; use more, or scale=False"
            )
        taps = taps / gain
    return taps


def _first_passes(pass_zero: Any, edges: int) -> bool:
    """Tell whether the first band passes. Raises `ArgumentError` for a name that does not fit."""
    if isinstance(pass_zero, bool | np.bool_):
        return bool(pass_zero)
    if not isinstance(pass_zero, str) or pass_zero not in _BANDS:
        raise ArgumentError(
            f"firwin: pass_zero must be a bool or one of {list(_BANDS)}, got {pass_zero!r}"
        )
    passes, several = _BANDS[pass_zero]
    if several != (edges > 1):
        count = "two edges or more" if several else "one edge"
        raise ArgumentError(f"firwin: cutoff must have {count} for {pass_zero}, got {edges}")
    return passes


def _kaiser_beta(numtaps: int, width: float, half: float) -> float:
    """Return the beta of the Kaiser window with transitions of ``width``.

    ``half`` is half the rate of samples.
    """
    ripple = 2.285 * (numtaps - 1) * np.pi * _as_positive("width", width) / half + 7.95
    if ripple > 50:
        return float(0.1102 * (ripple - 8.7))
    return float(0.5842 * (ripple - 21) ** 0.4 + 0.07886 * (ripple - 21)) if ripple > 21 else 0.0


def _as_positive(name: str, value: Any) -> float:
    """Return ``value`` as a float. Raises `ArgumentError` unless it is a finite number above 0."""
    number = as_float("firwin", name, value)
    if not 0 < number < np.inf:
        raise ArgumentError(f"firwin: {name} must be a finite number > 0, got {value!r}")
    return number
