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
# Enough for any filter, and little for the host, where taps are made.
_MOST_TAPS = 2**26
# Whether the first band passes, and whether there are several edges.
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
    """Taps of a filter of finite response, by the window method, for `lfilter`'s ``b``.

    Args:
        cutoff: edges of bands, between 0 and ``fs`` / 2, rising.
        width: of the transitions; a Kaiser window that gives it takes the place of ``window``
            (Kaiser, Proc. IEEE Int. Symp. Circuits and Systems, 1974).
        pass_zero: whether the first band passes; then every other does. Or "lowpass", "highpass"
            (of one edge), "bandpass", "bandstop" (of two or more).
        scale: make the gain 1 at the first passing band's middle (at 0 or ``fs`` / 2 if it begins
            or ends there).
        fs: samples in a unit of ``cutoff``, 2 by default: then edges are shares of half of that.

    On the host, as `scipy.signal.firwin`. Raises `ArgumentError`.

    >>> from gpustd import signal
    >>> print(signal.firwin(3, 0.5).round(3))
    [0.046 0.908 0.046]
    """
    half = 1.0 if fs is None else _number("fs", fs) / 2
    edges = _edges(cutoff) / half
    numtaps = as_int("firwin", "numtaps", numtaps)
    if numtaps > _MOST_TAPS:
        raise ArgumentError(f"firwin: {numtaps} taps: wants at most {_MOST_TAPS}")
    if numtaps < 1 or edges.ndim > 1 or not (edges.size and edges.min() > 0 and edges.max() < 1):
        raise ArgumentError(
            f"firwin: {numtaps} taps, cutoff {cutoff!r}: wants edges in 0 to fs / 2"
        )
    if np.any(np.diff(edges) <= 0):
        raise ArgumentError(f"firwin: cutoff {cutoff!r} does not rise")
    first_passes = _first_passes(pass_zero, edges.size)
    last_passes = first_passes ^ bool(edges.size % 2)
    if last_passes and numtaps % 2 == 0:
        raise ArgumentError(
            f"firwin: {numtaps} taps: a band that passes fs / 2 needs an odd number"
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
                f"firwin: {numtaps} taps of window {shaped!r} let nothing pass: use more, or scale "
                "False"
            )
        taps = taps / gain
    return taps


def _first_passes(pass_zero: Any, edges: int) -> bool:
    """Whether the first band passes. Raises `ArgumentError` for a name that does not fit."""
    if isinstance(pass_zero, bool | np.bool_):
        return bool(pass_zero)
    if not isinstance(pass_zero, str) or pass_zero not in _BANDS:
        raise ArgumentError(f"firwin: pass_zero {pass_zero!r}: a truth, or one of {list(_BANDS)}")
    passes, several = _BANDS[pass_zero]
    if several != (edges > 1):
        wanted = "two edges or more" if several else "one edge"
        raise ArgumentError(f"firwin: {pass_zero} of {edges} edges: give {wanted}")
    return passes


def _kaiser_beta(numtaps: int, width: float, half: float) -> float:
    """Of the Kaiser window with transitions of ``width``, where ``half`` is half the rate."""
    ripple = 2.285 * (numtaps - 1) * np.pi * _number("width", width) / half + 7.95
    if ripple > 50:
        return float(0.1102 * (ripple - 8.7))
    return float(0.5842 * (ripple - 21) ** 0.4 + 0.07886 * (ripple - 21)) if ripple > 21 else 0.0


def _edges(cutoff: float | ArrayLike) -> Array:
    """Numbers in float64. Raises `ArgumentError`."""
    return np.atleast_1d(as_floats("firwin", "cutoff", cutoff))


def _number(name: str, value: Any) -> float:
    """``value`` itself. Raises `ArgumentError` for what is no number above 0."""
    number = as_float("firwin", name, value)
    if not 0 < number < np.inf:
        raise ArgumentError(f"firwin: {name} {value!r}: wants a number, more than 0")
    return number
