"""Short-time Fourier transform and its inverse, with the conventions of `scipy.signal`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpucore import ArgumentError, Buffer, Device, ShapeError, T, c64, f32
from gpustd.arrays.axes import axis_of
from gpustd.arrays.creation import linspace
from gpustd.arrays.elementwise.arithmetic import multiply
from gpustd.arrays.moving.transposing import transpose
from gpustd.launch.checks import as_float, as_int
from gpustd.launch.elements import launch_each
from gpustd.launch.tables import array_table, table_copy
from gpustd.launch.template import Value
from gpustd.signal.arguments import (
    element_type,
    inner_size,
    outer_size,
    require_dtype,
    require_float_or_complex,
    with_extent,
)
from gpustd.signal.fourier.fft_1d import fft, ifft, irfft, rfft
from gpustd.signal.fourier.frequencies import fftfreq, rfftfreq
from gpustd.signal.fourier.pass_ends import Line, PassInput, PassOutput
from gpustd.signal.fourier.transforms import can_turn, transform
from gpustd.signal.frames import Framing, cut_frames
from gpustd.signal.stft_frames import StftFrames, as_column, remove_trends, trend_columns
from gpustd.signal.windows import Window

__all__ = ["istft", "stft"]

Array = NDArray[np.float64]
_BOUNDARIES = ("constant", "even", "odd", "zeros")


def stft(
    x: Buffer[Any],
    fs: float = 1.0,
    window: Window | Array | list[float] = "hann",
    nperseg: int = 256,
    noverlap: int | None = None,
    nfft: int | None = None,
    detrend: str | bool = False,
    return_onesided: bool = True,
    boundary: str | None = "zeros",
    padded: bool = True,
    axis: int = -1,
    scaling: str = "spectrum",
) -> tuple[Buffer[f32], Buffer[f32], Buffer[c64]]:
    """Return frequencies, times and transforms of frames of ``axis``, as `scipy.signal.stft`.

    In the transforms ``axis`` is that of frequencies, and a new last one that of times.

    Args:
        x: (..., n, ...), f32 or c64.
        fs: samples a second; frequencies are in its unit, times in the inverse of it.
        window: as of `get_window`, or its ``nperseg`` numbers.
        nperseg: samples of a frame, at most n.
        noverlap: samples that a frame shares with the next, by default half.
        nfft: length of the transform, filled up with zeros; by default nperseg.
        detrend: the part of each frame that is subtracted before the window. It is the mean
            ("constant"), the nearest straight line ("linear", which takes three more passes), or
            nothing.
        return_onesided: return only the first half of the spectrum of f32; that of c64 is always
            whole.
        boundary: how the signal goes on for half a frame at both ends: "zeros", "even", "odd",
            "constant", or None where it does not.
        padded: whether zeros fill up the last frame; else it is left out.
        scaling: the divisor of the result: the sum of the window ("spectrum"), or the root of the
            rate times the sum of its squares ("psd").

    Raises `ShapeError`, `DTypeError`, `ArgumentError`.

    >>> x = device.buffer_from_array([1] * 8, f32)
    >>> frequencies, times, spectra = signal.stft(x, nperseg=4)
    >>> print(frequencies.read(), times.read(), spectra.shape)
    [0.   0.25 0.5 ] [0. 2. 4. 6. 8.] (3, 5)
    """
    require_float_or_complex("stft", x)
    axis = axis_of("stft", axis, x)
    n = x.shape[axis]
    if not n:
        raise ShapeError(f"stft: axis {axis} must have samples, got {x!r}")
    fs = _as_rate("stft", fs)
    if boundary is not None and boundary not in _BOUNDARIES:
        raise ArgumentError(
            f"stft: boundary must be one of {', '.join(_BOUNDARIES)} or None, got {boundary!r}"
        )
    nperseg = min(as_int("stft", "nperseg", nperseg), n)
    cut = StftFrames.from_arguments("stft", window, nperseg, noverlap, nfft)
    reach = cut.size // 2 if boundary else 0
    length = n + 2 * reach
    if padded:
        length += -(length - cut.size) % cut.hop
    frames = (length - cut.size) // cut.hop + 1
    framing = Framing(cut.size, cut.hop, frames, reach, boundary or "zeros", reach)
    window = cut.window / cut.scale("stft", scaling, fs)
    onesided = return_onesided and x.dtype is f32
    trends = trend_columns(detrend, cut.size)
    spectra = _spectra(x, axis, framing, window, trends, cut.nfft, onesided=onesided)
    frequencies = (rfftfreq if onesided else fftfreq)(cut.nfft, 1 / fs, device=x.device)
    times = _frame_times(x.device, frames, 0.0 if boundary else cut.size / 2, cut.hop, fs)
    return frequencies, times, spectra


def istft(
    Zxx: Buffer[c64],
    fs: float = 1.0,
    window: Window | Array | list[float] = "hann",
    nperseg: int | None = None,
    noverlap: int | None = None,
    nfft: int | None = None,
    input_onesided: bool = True,
    boundary: bool = True,
    time_axis: int = -1,
    freq_axis: int = -2,
    scaling: str = "spectrum",
) -> tuple[Buffer[f32], Buffer[Any]]:
    """Return times and the signal of transforms from `stft`, as `scipy.signal.istft`.

    The signal is f32 if ``input_onesided``, else c64. With ``boundary`` half a frame is cut off at
    both ends. The samples take the place of ``time_axis``, once the axis of frequencies is gone.
    Axes that are not the last two, (..., frequency, time), are moved there and back.

    The signal is perfect where the squared windows of all frames add up to more than zero
    everywhere; otherwise `ArgumentError` is raised. Other arguments are those of `stft`;
    ``nperseg`` follows from the number of frequencies. Raises `ShapeError`, `DTypeError`.

    >>> x = device.buffer_from_array([1, 2, 3, 4, 5, 6, 7, 8], f32)
    >>> _, y = signal.istft(signal.stft(x, nperseg=4)[2], nperseg=4)
    >>> print(y.read().round(3))
    [1. 2. 3. 4. 5. 6. 7. 8.]
    """
    require_dtype("istft", Zxx, c64)
    fs = _as_rate("istft", fs)
    Zxx, order = _move_axes_last(Zxx, time_axis, freq_axis)
    count = Zxx.shape[-2]
    least = 2 * (count - 1) if input_onesided else count
    if nperseg is None:
        nperseg = least
    if nfft is None:
        nfft = nperseg if input_onesided and nperseg == least + 1 else least
    nfft = as_int("istft", "nfft", nfft)
    if (nfft // 2 + 1 if input_onesided else nfft) != count:
        raise ShapeError(
            f"istft: nfft must be the length of the transforms of {count} frequencies, got {nfft}"
        )
    cut = StftFrames.from_arguments("istft", window, nperseg, noverlap, nfft)
    cut.require_invertible()
    parts, frames_last = _parts(Zxx, cut.nfft, onesided=input_onesided)
    frames = Zxx.shape[-1]
    start = cut.size // 2 if boundary else 0
    length = cut.size + (frames - 1) * cut.hop - 2 * start
    y = Zxx.device.buffer(parts.dtype, (*Zxx.shape[:-2], length))
    sizes: dict[str, int | float] = {
        "length": length,
        "size": cut.nfft,
        "frames": frames,
        "start": start,
        "scale": cut.scale("istft", scaling, fs),
    }
    weights = array_table(Zxx.device, cut.window, f32)
    spec: dict[str, Value] = {
        "scalar": element_type(parts),
        "frames_last": frames_last,
        "taps": cut.size,
        "hop": cut.hop,
        "single": y.size == length,
    }
    launch_each("signal/overlap.wgsl", spec, (parts, weights, y), y.size, sizes)
    times = linspace(Zxx.device, 0.0, (length - 1) / fs, length, dtype=f32)
    return times, _reorder_axes(y, order)


def _move_axes_last(spectra: Buffer[c64], time: int, freq: int) -> tuple[Buffer[c64], list[int]]:
    """Return spectra (..., frequency, time), and the signal's axes in the order before.

    Raises `ShapeError`.
    """
    time, freq = (axis_of("istft", axis, spectra) for axis in (time, freq))
    if time == freq or not spectra.shape[time]:
        raise ShapeError(
            f"istft: Zxx must have an axis of frequencies and another of times, got {spectra!r}"
        )
    rank = len(spectra.shape)
    outer = [axis for axis in range(rank) if axis not in (time, freq)]
    back = list(range(rank - 2))
    back.insert(time - (freq < time), rank - 2)
    return _reorder_axes(spectra, [*outer, freq, time]), back


def _reorder_axes(x: Buffer[T], order: list[int]) -> Buffer[T]:
    """Return ``x`` with its axes in this order."""
    return x if order == sorted(order) else transpose(x, order)


def _spectra(
    x: Buffer[Any],
    axis: int,
    framing: Framing,
    window: Array,
    trends: list[Array],
    nfft: int,
    *,
    onesided: bool,
) -> Buffer[c64]:
    """Return transforms (..., frequency, ..., frame) of frames less trends, times the window."""
    size, boundary = framing.size, framing.boundary
    weights = None if trends else array_table(x.device, window, f32)
    n = nfft // 2 if onesided else nfft
    # One pass can cut frames along the last axis, of pairs of real numbers or of complex numbers.
    plain = inner_size(x.shape, axis) == 1 and (onesided or x.dtype is c64)
    odd = onesided and nfft % 2
    if weights is None or not plain or odd or not can_turn(x.device, n, mirrored=onesided):
        parts = cut_frames(x, axis, framing, weights, last=True)
        if trends:
            parts = multiply(remove_trends(parts, axis, trends), as_column(parts, axis, window))
        return (rfft if onesided else fft)(parts, nfft, axis)
    extent = n + 1 if onesided else n
    y = x.device.buffer(c64, (*with_extent(x.shape, axis, extent), framing.frames))
    length = x.shape[axis]
    even = not any(k % 2 for k in (length, size, framing.hop, framing.start))
    as_pairs = onesided and even and boundary == "zeros"
    kind = "frame_pairs" if onesided else "frames"
    source = PassInput(kind, length, size, as_pairs=as_pairs, framing=framing, window=weights)
    target = PassOutput("spectrum" if onesided else "complex", extent, extent)
    transform(x, y, Line(outer_size(x.shape, axis), n, framing.frames), source, target)
    return y


def _parts(spectra: Buffer[c64], nfft: int, *, onesided: bool) -> tuple[Buffer[Any], bool]:
    """Return frames of spectra (..., frequency, frame), and whether frames are the last axis."""
    n = nfft // 2 if onesided else nfft
    if (onesided and nfft % 2) or not can_turn(spectra.device, n, to_rows=True):
        return (irfft if onesided else ifft)(spectra, nfft, -2), True
    *outer, extent, frames = spectra.shape
    kind, scale = "hermitian_pairs" if onesided else "complex", 1 / nfft
    source = PassInput(
        kind, extent, extent, 1.0 if onesided else -1.0, full_length=n if onesided else 0
    )
    y = spectra.device.buffer(f32 if onesided else c64, (*outer, frames, nfft))
    target = PassOutput("complex", n, n, scale, sign=-1.0, as_pairs=onesided, rows=True)
    transform(spectra, y, Line(math.prod(outer), n, frames), source, target)
    return y, False


def _as_rate(op: str, fs: float) -> float:
    """Return the rate as a float. Raises `ArgumentError` unless it is finite and not 0."""
    rate = as_float(op, "fs", fs)
    if not 0 < abs(rate) < np.inf:
        raise ArgumentError(f"{op}: fs must be finite and not 0, got {fs}")
    return rate


def _frame_times(device: Device, count: int, first: float, hop: int, fs: float) -> Buffer[f32]:
    """Return the times of ``count`` frames, ``hop`` samples apart."""

    def make() -> Array:
        return np.asarray((first + hop * np.arange(count)) / fs)

    return table_copy(device, f32, ("times", count, first, hop, fs), make)
