"""Windows, computed in float64 on the host: names and values as in `scipy.signal.windows`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpucore import ArgumentError, Buffer, Device, ShapeError, f32
from gpustd.launch.checks import as_float, as_int, require_buffer_fits
from gpustd.launch.tables import table_copy

__all__ = ["Window", "get_window", "window_values"]

Array = NDArray[np.float64]
Window = str | float | tuple[str, *tuple[float, ...]]

_COSINES: dict[str, Sequence[float]] = {
    "blackman": (0.42, 0.5, 0.08),
    "blackmanharris": (0.35875, 0.48829, 0.14128, 0.01168),
    "flattop": (0.21557895, 0.41663158, 0.277263158, 0.083578947, 0.006947368),
    "hamming": (0.54, 0.46),
    "hann": (0.5, 0.5),
    "nuttall": (0.3635819, 0.4891775, 0.1365995, 0.0106411),
}
"""Weights of cos(0 t), cos(1 t) and so on, for t from -pi to pi.

Sources: Harris, Proc. IEEE 66, 1978; Nuttall, IEEE Trans. ASSP 29, 1981; the flat top of D'Antona
and Ferrero, Digital Signal Processing for Measurement Systems, 2006.
"""


def get_window(window: Window, n: int, fftbins: bool = True, *, device: Device) -> Buffer[f32]:
    """Return a window of ``n`` numbers: periodic for spectra (``fftbins``), else symmetric.

    Symmetric windows are for filters. ``window`` is boxcar, triang, hann, hamming, blackman,
    blackmanharris, nuttall, flattop, bartlett, barthann, bohman, cosine, lanczos or parzen. With
    parameters it is ("kaiser", beta), ("gaussian", deviation), ("general_gaussian", power,
    deviation), ("general_hamming", share of the constant) or ("tukey", tapered share). A number is
    the beta of a Kaiser window. Raises `ArgumentError`, `ShapeError`.

    >>> signal.get_window("hann", 4, device=device).read().tolist()
    [0.0, 0.5, 1.0, 0.5]
    """
    require_buffer_fits("get_window", device, f32, (as_int("get_window", "n", n),))
    values = window_values(window, n, periodic=fftbins)
    return table_copy(device, f32, ("window", values.tobytes()), lambda: values)


def window_values(window: Window, n: int, *, periodic: bool) -> Array:
    """Return the numbers of `get_window`, on the host. Raises `ArgumentError`, `ShapeError`."""
    n = as_int("get_window", "n", n)
    if n < 1:
        raise ShapeError(f"get_window: the length n must be >= 1, got {n}")
    make = _window_function(window)
    if n == 1:
        return np.ones(n)
    with np.errstate(all="ignore"):  # numbers far from the middle may underflow to 0
        values = make(n + 1)[:-1] if periodic else make(n)
    if not (np.abs(values) <= np.finfo(np.float32).max).all():
        raise ArgumentError(
            f"get_window: values must be within f32, got more for {window!r}; give a smaller "
            "parameter"
        )
    return values


def _window_function(window: Any) -> Callable[[int], Array]:
    """Return the symmetric window as a function of its length. Raises `ArgumentError`."""
    if isinstance(window, (int, float)):
        window = ("kaiser", as_float("get_window", "window", window))
    name, *parameters = window if isinstance(window, tuple) and window else (window,)
    name = name if isinstance(name, str) else ""
    if name in _COSINES and not parameters:
        return lambda n: _cosine_sum(n, _COSINES[name])
    if name in _UNSHAPED and not parameters:
        return _UNSHAPED[name]
    if name == "tukey" and not parameters:
        parameters = [0.5]
    if name in _SHAPED and len(parameters) == _SHAPED[name][1]:
        numbers = _as_parameters(window, parameters)
        return lambda n: _SHAPED[name][0](n, *numbers)
    known = ", ".join(sorted({*_COSINES, *_UNSHAPED}))
    shaped = ", ".join(f"({k!r}{', number' * count})" for k, (_, count) in sorted(_SHAPED.items()))
    raise ArgumentError(f"get_window: window must be one of {known}, {shaped}, got {window!r}")


def _as_parameters(window: Window, parameters: Sequence[object]) -> list[float]:
    """Return finite parameters; the last of a Gaussian is its deviation. Raises `ArgumentError`."""
    try:
        numbers = [float(each) for each in parameters]  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        numbers = [np.nan]
    narrow = isinstance(window, tuple) and "gaussian" in window[0] and not numbers[-1]
    if narrow or not np.isfinite(numbers).all():
        raise ArgumentError(
            "get_window: parameters must be finite numbers, and a deviation must not be 0, got "
            f"{window!r}"
        )
    return numbers


def _cosine_sum(n: int, weights: Sequence[float]) -> Array:
    """Return the sum of ``weights[k] cos(k t)`` for ``n`` values of t from -pi to pi."""
    t = np.linspace(-np.pi, np.pi, n)
    return np.asarray(sum(w * np.cos(k * t) for k, w in enumerate(weights)))


def _boxcar(n: int) -> Array:
    """Return ones."""
    return np.ones(n)


def _triang(n: int) -> Array:
    """Return a triangle that does not reach zero at its ends."""
    distance = np.abs(np.arange(n) - (n - 1) / 2)
    return np.asarray(1 - distance / ((n + n % 2) / 2))


def _bartlett(n: int) -> Array:
    """Return a triangle that is zero at its ends."""
    return np.asarray(1 - np.abs(np.arange(n) / ((n - 1) / 2) - 1))


def _cosine(n: int) -> Array:
    """Return half a period of a sine."""
    return np.asarray(np.sin(np.pi / n * (np.arange(n) + 0.5)))


def _kaiser(n: int, beta: float) -> Array:
    """Return Kaiser's window."""
    middle = (n - 1) / 2
    inside = 1 - ((np.arange(n) - middle) / middle) ** 2
    return np.asarray(np.i0(beta * np.sqrt(np.maximum(inside, 0))) / np.i0(beta))


def _gaussian(n: int, deviation: float) -> Array:
    """Return a Gaussian."""
    return _general_gaussian(n, 1.0, deviation)


def _general_gaussian(n: int, power: float, deviation: float) -> Array:
    """Return a Gaussian whose exponent is a power of the distance."""
    distance = np.abs((np.arange(n) - (n - 1) / 2) / deviation)
    return np.asarray(np.exp(-0.5 * distance ** (2 * power)))


def _general_hamming(n: int, share: float) -> Array:
    """Return Hamming's window with another share of the constant."""
    return _cosine_sum(n, (share, 1 - share))


def _barthann(n: int) -> Array:
    """Return Bartlett's triangle and Hann's cosine (Ha and Pearce, IEEE Trans. ASSP 37, 1989)."""
    t = np.abs(np.arange(n) / (n - 1) - 0.5)
    return np.asarray(0.62 - 0.48 * t + 0.38 * np.cos(2 * np.pi * t))


def _bohman(n: int) -> Array:
    """Return half a cosine convolved with itself (Harris 1978), zero at its ends."""
    t = np.abs(np.linspace(-1, 1, n))
    inside = (1 - t) * np.cos(np.pi * t) + np.sin(np.pi * t) / np.pi
    return np.asarray(np.where(t < 1, inside, 0.0))


def _lanczos(n: int) -> Array:
    """Return the main lobe of sin(x) / x."""
    return np.asarray(np.sinc(np.linspace(-1, 1, n)))


def _parzen(n: int) -> Array:
    """Return four boxes convolved (Harris 1978)."""
    t = np.abs(np.arange(n) - (n - 1) / 2) / (n / 2)
    return np.asarray(np.where(t <= 0.5, 1 - 6 * t**2 * (1 - t), 2 * (1 - t) ** 3))


def _tukey(n: int, share: float) -> Array:
    """Return half a Hann window of ``share`` of the length at each end, with ones between."""
    if share <= 0:
        return np.ones(n)
    nearest_end = np.minimum(np.arange(n), np.arange(n)[::-1])
    width = min(share, 1.0) * (n - 1) / 2
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * np.minimum(nearest_end / width, 1)))


_UNSHAPED: dict[str, Callable[[int], Array]] = {
    "barthann": _barthann,
    "bartlett": _bartlett,
    "bohman": _bohman,
    "boxcar": _boxcar,
    "cosine": _cosine,
    "lanczos": _lanczos,
    "parzen": _parzen,
    "triang": _triang,
}
_SHAPED: dict[str, tuple[Callable[..., Array], int]] = {
    "gaussian": (_gaussian, 1),
    "general_gaussian": (_general_gaussian, 2),
    "general_hamming": (_general_hamming, 1),
    "kaiser": (_kaiser, 1),
    "tukey": (_tukey, 1),
}
"""Makers of windows, and how many parameters they take."""
