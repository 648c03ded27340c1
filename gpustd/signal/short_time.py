"""Short-time Fourier transform and its inverse, with the conventions of `scipy.signal`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpucore import ArgumentError, Buffer, Device, ShapeError, T, c64, f32
from gpustd.arrays.arithmetic import multiply, subtract
from gpustd.arrays.axes import axis_of
from gpustd.arrays.creation import linspace
from gpustd.arrays.moving import transpose
from gpustd.arrays.reductions import sum as summed
from gpustd.launch.checks import as_float, as_floats, as_int
from gpustd.launch.elements import launch_each
from gpustd.launch.tables import table, table_copy
from gpustd.launch.template import Value
from gpustd.signal.arguments import check_dtype, float_or_complex, inner_of, outer_of, replaced
from gpustd.signal.boxes import scalar_of
from gpustd.signal.fft_rows import fft, ifft, irfft, rfft
from gpustd.signal.frames import Framing, framed
from gpustd.signal.frequencies import fftfreq, rfftfreq
from gpustd.signal.passes import Line, Source, Target, transform, turns
from gpustd.signal.windows import Window, window_values

__all__ = ["istft", "stft"]

Array = NDArray[np.float64]
_BOUNDARIES = ("constant", "even", "odd", "zeros")
_LEAST_NORM = 1e-10


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
    """Frequencies, times and transforms of frames of ``axis``, as `scipy.signal.stft`.

    Of the transforms ``axis`` is that of frequencies, and a new last one that of times.

    Args:
        x: (..., n, ...), f32 or c64.
        fs: samples a second; frequencies are in its unit, times in the inverse of it.
        window: as of `get_window`, or its ``nperseg`` numbers.
        nperseg: samples of a frame, at most n. noverlap: those it shares with the next, by default
            half. nfft: length of the transform, filled up with zeros; by default nperseg.
        detrend: what is subtracted from each frame before the window: its mean ("constant"), the
            straight line next to it ("linear", which takes three more passes), or nothing.
        return_onesided: of f32 only the first half of the spectrum; of c64 it is always all of it.
        boundary: how the signal goes on for half a frame at both ends: "zeros", "even", "odd",
            "constant", or None where it does not.
        padded: whether zeros fill up the last frame; else it is left out.
        scaling: the result is divided by the sum of the window ("spectrum"), or by the root of the
            rate times the sum of its squares ("psd").

    Raises `ShapeError`, `DTypeError`, `ArgumentError`.

    >>> from gpucore import Device, f32; from gpustd import signal
    >>> x = Device.auto().buffer_from_array([1] * 8, f32)
    >>> frequencies, times, spectra = signal.stft(x, nperseg=4)
    >>> print(frequencies.read(), times.read(), spectra.shape)
    [0.   0.25 0.5 ] [0. 2. 4. 6. 8.] (3, 5)
    """
    float_or_complex("stft", x)
    axis = axis_of("stft", axis, x)
    n = x.shape[axis]
    if not n:
        raise ShapeError(f"stft: {x.shape}: wants samples along axis {axis}")
    fs = _rate("stft", fs)
    if boundary is not None and boundary not in _BOUNDARIES:
        raise ArgumentError(f"stft: boundary {boundary!r}: give {', '.join(_BOUNDARIES)} or None")
    nperseg = min(as_int("stft", "nperseg", nperseg), n)
    cut = _Cut.checked("stft", window, nperseg, noverlap, nfft)
    reach = cut.size // 2 if boundary else 0
    length = n + 2 * reach
    if padded:
        length += -(length - cut.size) % cut.hop
    frames = (length - cut.size) // cut.hop + 1
    framing = Framing(cut.size, cut.hop, frames, reach, boundary or "zeros", reach)
    window = cut.window / cut.scale("stft", scaling, fs)
    onesided = return_onesided and x.dtype is f32
    trends = _trends(detrend, cut.size)
    spectra = _spectra(x, axis, framing, window, trends, cut.nfft, onesided=onesided)
    frequencies = (rfftfreq if onesided else fftfreq)(cut.nfft, 1 / fs, device=x.device)
    times = _times(x.device, frames, 0.0 if boundary else cut.size / 2, cut.hop, fs)
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
    """Times and the signal of transforms as `stft` makes them, as `scipy.signal.istft`.

    The signal is f32 if ``input_onesided``, else c64; with ``boundary`` half a frame is cut off at
    both ends. Its samples take the place of ``time_axis``, once that of frequencies has gone; axes
    that are not the last two, (..., frequency, time), are moved there and back. Perfect where the
    squared windows of all frames add up to more than zero everywhere; `ArgumentError` where they do
    not. Other arguments as of `stft`; ``nperseg`` follows from the number of frequencies. Raises
    `ShapeError`, `DTypeError`.

    >>> from gpucore import Device, f32; from gpustd import signal
    >>> x = Device.auto().buffer_from_array([1, 2, 3, 4, 5, 6, 7, 8], f32)
    >>> _, y = signal.istft(signal.stft(x, nperseg=4)[2], nperseg=4)
    >>> print(y.read().round(3))
    [1. 2. 3. 4. 5. 6. 7. 8.]
    """
    check_dtype("istft", Zxx, c64)
    fs = _rate("istft", fs)
    Zxx, order = _axes_last(Zxx, time_axis, freq_axis)
    given = Zxx.shape[-2]
    least = 2 * (given - 1) if input_onesided else given
    if nperseg is None:
        nperseg = least
    if nfft is None:
        nfft = nperseg if input_onesided and nperseg == least + 1 else least
    nfft = as_int("istft", "nfft", nfft)
    if (nfft // 2 + 1 if input_onesided else nfft) != given:
        raise ShapeError(f"istft: {given} frequencies do not come from transforms of {nfft}")
    cut = _Cut.checked("istft", window, nperseg, noverlap, nfft)
    cut.check_invertible()
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
    weights = _weights(Zxx.device, cut.window)
    spec: dict[str, Value] = {
        "scalar": scalar_of(parts),
        "frames_last": frames_last,
        "taps": cut.size,
        "hop": cut.hop,
        "single": y.size == length,
    }
    launch_each("signal/overlap.wgsl", spec, (parts, weights, y), y.size, sizes)
    times = linspace(Zxx.device, 0.0, (length - 1) / fs, length, dtype=f32)
    return times, _ordered(y, order)


def _axes_last(spectra: Buffer[c64], time: int, freq: int) -> tuple[Buffer[c64], list[int]]:
    """Spectra (..., frequency, time), and the order of the signal's axes that undoes it."""
    time, freq = (axis_of("istft", axis, spectra) for axis in (time, freq))
    if time == freq or not spectra.shape[time]:
        raise ShapeError(f"istft: {spectra.shape}: wants axes of frequencies and of times")
    rank = len(spectra.shape)
    outer = [axis for axis in range(rank) if axis not in (time, freq)]
    back = list(range(rank - 2))
    back.insert(time - (freq < time), rank - 2)
    return _ordered(spectra, [*outer, freq, time]), back


def _ordered(x: Buffer[T], order: list[int]) -> Buffer[T]:
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
    """Transforms (..., frequency, ..., frame) of frames less their trends, times the window."""
    size, boundary = framing.size, framing.boundary
    weights = None if trends else _weights(x.device, window)
    n = nfft // 2 if onesided else nfft
    # One pass cuts frames of a last axis, of pairs of real numbers or of complex ones.
    plain = inner_of(x.shape, axis) == 1 and (onesided or x.dtype is c64)
    odd = onesided and nfft % 2
    if weights is None or not plain or odd or not turns(x.device, n, mirrored=onesided):
        parts = framed(x, axis, framing, weights, last=True)
        if trends:
            parts = multiply(_without(parts, axis, trends), _column(parts, axis, window))
        return (rfft if onesided else fft)(parts, nfft, axis)
    extent = n + 1 if onesided else n
    y = x.device.buffer(c64, (*replaced(x.shape, axis, extent), framing.frames))
    length = x.shape[axis]
    even = not any(k % 2 for k in (length, size, framing.hop, framing.start))
    joined = onesided and even and boundary == "zeros"
    kind = "frame_pairs" if onesided else "frames"
    source = Source(kind, length, size, joined=joined, framing=framing, window=weights)
    target = Target("spectrum" if onesided else "complex", extent, extent)
    transform(x, y, Line(outer_of(x.shape, axis), n, framing.frames), source, target)
    return y


def _parts(spectra: Buffer[c64], nfft: int, *, onesided: bool) -> tuple[Buffer[Any], bool]:
    """Frames of spectra (..., frequency, frame), and whether the frame is still the last axis."""
    n = nfft // 2 if onesided else nfft
    if (onesided and nfft % 2) or not turns(spectra.device, n, to_rows=True):
        return (irfft if onesided else ifft)(spectra, nfft, -2), True
    *outer, extent, frames = spectra.shape
    kind, scale = "hermitian_pairs" if onesided else "complex", 1 / nfft
    source = Source(kind, extent, extent, 1.0 if onesided else -1.0, of=n if onesided else 0)
    y = spectra.device.buffer(f32 if onesided else c64, (*outer, frames, nfft))
    target = Target("complex", n, n, scale, sign=-1.0, joined=onesided, rows=True)
    transform(spectra, y, Line(math.prod(outer), n, frames), source, target)
    return y, False


def _trends(detrend: str | bool, size: int) -> list[Array]:
    """What frames must not hold: orthonormal columns (size,)."""
    if detrend is False:
        return []
    if detrend not in ("constant", "linear"):
        raise ArgumentError(f"stft: detrend {detrend!r}: give 'constant', 'linear' or False")
    line = np.arange(size) - (size - 1) / 2
    columns = [np.ones(size), line] if detrend == "linear" and size > 1 else [np.ones(size)]
    return [column / np.linalg.norm(column) for column in columns]


def _without(parts: Buffer[Any], axis: int, trends: list[Array]) -> Buffer[Any]:
    """Frames (..., size, ..., frames), of which ``axis`` has the samples, less their trends."""
    for trend in trends:
        column = _column(parts, axis, trend)
        share = summed(multiply(parts, column), axis=axis, keepdims=True)
        parts = subtract(parts, multiply(share, column))
    return parts


def _column(parts: Buffer[Any], axis: int, values: Array) -> Buffer[Any]:
    """Numbers (size,) along ``axis``, in the frames' dtype."""
    found = table(parts.device, parts.dtype, ("column", values.tobytes()), lambda: values)
    return found.view((len(values), *(1,) * (len(parts.shape) - axis - 1)))


def _rate(op: str, fs: float) -> float:
    rate = as_float(op, "fs", fs)
    if not 0 < abs(rate) < np.inf:
        raise ArgumentError(f"{op}: fs {fs} samples a second: give another rate")
    return rate


def _weights(device: Device, values: Array) -> Buffer[f32]:
    return table(device, f32, ("weights", values.tobytes()), lambda: values)


def _times(device: Device, count: int, first: float, hop: int, fs: float) -> Buffer[f32]:
    def make() -> Array:
        return np.asarray((first + hop * np.arange(count)) / fs)

    return table_copy(device, f32, ("times", count, first, hop, fs), make)


@dataclass(frozen=True)
class _Cut:
    """How a signal is cut: the window's numbers, a frame's size, the hop to the next, nfft."""

    window: Array
    size: int
    hop: int
    nfft: int

    @classmethod
    def checked(
        cls,
        op: str,
        window: Window | Array | list[float],
        size: int,
        noverlap: int | None,
        nfft: int | None,
    ) -> _Cut:
        """Raises `ArgumentError` or `ShapeError` for what does not fit."""
        size = as_int(op, "nperseg", size)
        if size < 1:
            raise ArgumentError(f"{op}: frames of {size} samples: wants nperseg >= 1")
        shared = size // 2 if noverlap is None else as_int(op, "noverlap", noverlap)
        length = size if nfft is None else as_int(op, "nfft", nfft)
        if not 0 <= shared < size:
            raise ArgumentError(f"{op}: noverlap {shared} of {size} samples: wants 0 to {size - 1}")
        if length < size:
            raise ArgumentError(f"{op}: nfft {length} is less than nperseg {size}")
        if isinstance(window, np.ndarray | list):
            values = as_floats(op, "window", window)
            if values.shape != (size,):
                raise ShapeError(f"{op}: a window of {values.shape} for frames of {size} samples")
        else:
            values = window_values(window, size, periodic=True)
        return cls(values, size, size - shared, length)

    def scale(self, op: str, scaling: str, fs: float) -> float:
        """What transforms are divided by. Raises `ArgumentError`."""
        if scaling == "spectrum":
            return float(self.window.sum())
        if scaling != "psd":
            raise ArgumentError(f"{op}: scaling {scaling!r}: give 'spectrum' or 'psd'")
        return float(np.sqrt(abs(fs) * (self.window**2).sum()))

    def check_invertible(self) -> None:
        """Raise `ArgumentError` where no frame's window reaches some sample."""
        padded = np.pad(self.window**2, (0, -self.size % self.hop))
        if padded.reshape(-1, self.hop).sum(axis=0).min() <= _LEAST_NORM:
            raise ArgumentError(
                "istft: the squared windows add up to zero at some samples: use more overlap"
            )
