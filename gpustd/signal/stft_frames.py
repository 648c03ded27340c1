"""Frames of short-time transforms: their window, hop and length, and the trends to remove."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpucore import ArgumentError, Buffer, ShapeError
from gpustd.arrays.elementwise.arithmetic import multiply, subtract
from gpustd.arrays.folds.reductions import sum as sum_over
from gpustd.launch.checks import as_floats, as_int
from gpustd.launch.tables import array_table
from gpustd.signal.windows import Window, window_values

__all__ = ["StftFrames", "as_column", "remove_trends", "trend_columns"]

Array = NDArray[np.float64]
_MIN_NORM = 1e-10


@dataclass(frozen=True)
class StftFrames:
    """The frames of a signal: the window's numbers, a frame's size, the hop to the next, nfft."""

    window: Array
    size: int
    hop: int
    nfft: int

    @classmethod
    def from_arguments(
        cls,
        op: str,
        window: Window | Array | list[float],
        size: int,
        noverlap: int | None,
        nfft: int | None,
    ) -> StftFrames:
        """Return the frames of `stft`'s arguments. Raises `ArgumentError`, `ShapeError`."""
        size = as_int(op, "nperseg", size)
        if size < 1:
            raise ArgumentError(f"{op}: nperseg must be >= 1, got {size}")
        shared = size // 2 if noverlap is None else as_int(op, "noverlap", noverlap)
        length = size if nfft is None else as_int(op, "nfft", nfft)
        if not 0 <= shared < size:
            raise ArgumentError(f"{op}: noverlap must be from 0 to {size - 1}, got {shared}")
        if length < size:
            raise ArgumentError(f"{op}: nfft must be at least nperseg {size}, got {length}")
        if isinstance(window, np.ndarray | list):
            values = as_floats(op, "window", window)
            if values.shape != (size,):
                raise ShapeError(f"{op}: window must be ({size},), as nperseg, got {values.shape}")
        else:
            values = window_values(window, size, periodic=True)
        return cls(values, size, size - shared, length)

    def scale(self, op: str, scaling: str, fs: float) -> float:
        """Return the divisor of transforms. Raises `ArgumentError`."""
        if scaling == "spectrum":
            return float(self.window.sum())
        if scaling != "psd":
            raise ArgumentError(f"{op}: scaling must be 'spectrum' or 'psd', got {scaling!r}")
        return float(np.sqrt(abs(fs) * (self.window**2).sum()))

    def require_invertible(self) -> None:
        """Raise `ArgumentError` where no frame's window reaches some sample."""
        padded = np.pad(self.window**2, (0, -self.size % self.hop))
        if padded.reshape(-1, self.hop).sum(axis=0).min() <= _MIN_NORM:
            raise ArgumentError(
                "istft: squared windows must add up to more than zero at each sample, got zero; "
                "use more overlap"
            )


def trend_columns(detrend: str | bool, size: int) -> list[Array]:
    """Return the trends that frames must not hold: orthonormal columns (size,).

    Raises `ArgumentError`.
    """
    if detrend is False:
        return []
    if detrend not in ("constant", "linear"):
        raise ArgumentError(f"stft: detrend must be 'constant', 'linear' or False, got {detrend!r}")
    line = np.arange(size) - (size - 1) / 2
    columns = [np.ones(size), line] if detrend == "linear" and size > 1 else [np.ones(size)]
    return [column / np.linalg.norm(column) for column in columns]


def remove_trends(parts: Buffer[Any], axis: int, trends: list[Array]) -> Buffer[Any]:
    """Return frames (..., size, ..., frames) less their trends; ``axis`` has the samples."""
    for trend in trends:
        column = as_column(parts, axis, trend)
        share = sum_over(multiply(parts, column), axis=axis, keepdims=True)
        parts = subtract(parts, multiply(share, column))
    return parts


def as_column(parts: Buffer[Any], axis: int, values: Array) -> Buffer[Any]:
    """Return numbers (size,) along ``axis``, in the dtype of ``parts``."""
    column = array_table(parts.device, values, parts.dtype)
    return column.view((len(values), *(1,) * (len(parts.shape) - axis - 1)))
