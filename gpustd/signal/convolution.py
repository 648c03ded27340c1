"""Convolution and correlation over some or all axes: names and results as in `scipy.signal`.

Short kernels follow the definition, with one read of the kernel for each result. Others take
Fourier transforms of both operands, by blocks where one is much longer.
"""

from __future__ import annotations

from typing import Any, overload

from gpucore import ArgumentError, Buffer, ShapeError, f32
from gpustd.arrays.axes import Axes, axes_of
from gpustd.signal.arguments import (
    MAX_AXES,
    require_float_or_complex,
)
from gpustd.signal.convolution_results import empty_result
from gpustd.signal.direct_convolution import convolve_directly
from gpustd.signal.fourier.factors import next_smooth
from gpustd.signal.regions import reverse_conjugate
from gpustd.signal.spectral_convolution import convolve_blocks, convolve_spectra

__all__ = ["convolve", "correlate", "fftconvolve", "oaconvolve"]

_MODES = ("full", "same", "valid")
# Elements of the smaller operand, at most, for which the definition is faster than transforms.
_MAX_DIRECT = 64
# The length of a block: a multiple of the short operand, and a least number of elements.
_BLOCK, _MIN_BLOCK = 8, 1024


@overload
def convolve(
    in1: Buffer[f32], in2: Buffer[f32], mode: str = "full", method: str = "auto"
) -> Buffer[f32]: ...
@overload
def convolve(
    in1: Buffer[Any], in2: Buffer[Any], mode: str = "full", method: str = "auto"
) -> Buffer[Any]: ...
def convolve(
    in1: Buffer[Any], in2: Buffer[Any], mode: str = "full", method: str = "auto"
) -> Buffer[Any]:
    """Convolve two arrays with the same number of axes, f32 or c64 (c64 where either is).

    ``mode``: "full"; "same", the middle of it, of ``in1``'s shape; or "valid", where one lies
    inside of the other. ``method``: "direct", "fft", or "auto", which is direct where one operand
    has at most 64 elements. Raises `ShapeError`, `DTypeError`, `ArgumentError`.

    >>> x = device.buffer_from_array(np.array([1, 2, 3], np.float32))
    >>> signal.convolve(x, x).read().tolist()
    [1.0, 4.0, 10.0, 12.0, 9.0]
    """
    _check_operands("convolve", in1, in2, mode)
    return _convolve("convolve", in1, in2, mode, method)


@overload
def correlate(
    in1: Buffer[f32], in2: Buffer[f32], mode: str = "full", method: str = "auto"
) -> Buffer[f32]: ...
@overload
def correlate(
    in1: Buffer[Any], in2: Buffer[Any], mode: str = "full", method: str = "auto"
) -> Buffer[Any]: ...
def correlate(
    in1: Buffer[Any], in2: Buffer[Any], mode: str = "full", method: str = "auto"
) -> Buffer[Any]:
    """Correlate: `convolve` with ``in2`` reversed and conjugated. Same arguments and errors.

    >>> x = device.buffer_from_array([1, 2, 3], f32)
    >>> print(signal.correlate(x, x).read())
    [ 3.  8. 14.  8.  3.]
    """
    _check_operands("correlate", in1, in2, mode)
    return _convolve("correlate", in1, reverse_conjugate(in2), mode, method)


def fftconvolve(
    in1: Buffer[Any], in2: Buffer[Any], mode: str = "full", axes: Axes = None
) -> Buffer[Any]:
    """Convolve over ``axes`` (all) by transforms; the other extents agree or are 1.

    Modes, dtypes and errors are those of `convolve`. As in SciPy, an axis where one extent is 1 is
    repeated, like those that ``axes`` leaves out. It counts neither for "valid" nor against it.

    >>> x = device.buffer_from_array([1, 2, 3], f32)
    >>> print(signal.fftconvolve(x, x).read().round(3))
    [ 1.  4. 10. 12.  9.]
    """
    _check_operands("fftconvolve", in1, in2, mode)
    return convolve_spectra(
        "fftconvolve", in1, in2, mode, _convolved_axes("fftconvolve", in1, in2, axes)
    )


def oaconvolve(
    in1: Buffer[Any], in2: Buffer[Any], mode: str = "full", axes: Axes = None
) -> Buffer[Any]:
    """Convolve as `fftconvolve`, by blocks where one operand is much longer along a single axis.

    Blocks overlap by the short operand and keep what it does not wrap around (overlap-save; Press
    et al., Numerical Recipes, 13.1): transforms of some thousand elements instead of all.

    >>> x = device.buffer_from_array([1, 2, 3], f32)
    >>> print(signal.oaconvolve(x, x).read().round(3))
    [ 1.  4. 10. 12.  9.]
    """
    _check_operands("oaconvolve", in1, in2, mode)
    convolved = _convolved_axes("oaconvolve", in1, in2, axes)
    cut = mode == "same" and any(m == 1 < n for m, n in zip(in1.shape, in2.shape, strict=True))
    if len(convolved) == 1 and not cut and in1.size and in2.size and len(in1.shape) < MAX_AXES:
        short, long = sorted((in1.shape[convolved[0]], in2.shape[convolved[0]]))
        size = 2 * next_smooth(max(_BLOCK * short, _MIN_BLOCK) // 2, (2,))
        if long + short - 1 > 2 * size:
            return convolve_blocks(in1, in2, mode, convolved[0], size)
    return convolve_spectra("oaconvolve", in1, in2, mode, convolved)


def _check_operands(op: str, in1: Buffer[Any], in2: Buffer[Any], mode: str) -> None:
    """Raise `ShapeError`, `DTypeError` or `ArgumentError` for what does not fit together."""
    require_float_or_complex(op, in1)
    require_float_or_complex(op, in2)
    if mode not in _MODES:
        raise ArgumentError(f"{op}: mode must be one of {', '.join(_MODES)}, got {mode!r}")
    ranks = {len(in1.shape), len(in2.shape)}
    if len(ranks) > 1 or not 1 <= min(ranks) <= max(ranks) <= MAX_AXES:
        raise ShapeError(
            f"{op}: both operands must have the same number of axes, 1 to {MAX_AXES}, got "
            f"{in1.shape} and {in2.shape}"
        )


def _convolved_axes(op: str, in1: Buffer[Any], in2: Buffer[Any], axes: Axes) -> list[int]:
    """Return the chosen axes along which both have more than one element. Raises as `axes_of`."""
    named = axes_of(op, axes, in1)
    if not named:
        raise ArgumentError(f"{op}: axes must name one at least, or be None for all, got {axes}")
    return [a for a in named if in1.shape[a] != 1 and in2.shape[a] != 1]


def _convolve(op: str, in1: Buffer[Any], in2: Buffer[Any], mode: str, method: str) -> Buffer[Any]:
    """Convolve over all axes by ``method``. Raises `ArgumentError` for an unknown one."""
    if method not in ("auto", "direct", "fft"):
        raise ArgumentError(f"{op}: method must be auto, direct or fft, got {method!r}")
    axes = list(range(len(in1.shape)))
    if not in1.size or not in2.size:
        return empty_result(in1, in2)
    if method == "fft" or (method == "auto" and min(in1.size, in2.size) > _MAX_DIRECT):
        return convolve_spectra(op, in1, in2, mode, axes)
    return convolve_directly(op, in1, in2, mode, axes)
