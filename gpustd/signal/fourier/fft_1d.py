"""Discrete Fourier transforms over one axis: names, arguments and results as in `scipy.fft`.

``X[k] = sum_j x[j] exp(-2 pi i j k / n)``, computed in f32 from roots of unity in float64. The
relative error in the L2 norm grows with the logarithm of n (see the tests for the bound). Lengths
whose prime factors are at most 13 take mixed-radix passes. Others take Bluestein's rule, which
costs about four times as much. Transforms of real numbers of even length cost half of complex ones.

Results are new buffers. The first transform of a length on a device makes tables; do that before
``device.capture()``.
"""

from __future__ import annotations

from typing import Any

from gpucore import Buffer, ShapeError, c64, f32
from gpustd.arrays.axes import axis_of
from gpustd.launch.checks import as_int, require_buffer_fits
from gpustd.signal.arguments import (
    Norm,
    inner_size,
    norm_scale,
    outer_size,
    require_dtype,
    with_extent,
)
from gpustd.signal.fourier.pass_ends import Line, PassInput, PassOutput
from gpustd.signal.fourier.transforms import transform

__all__ = ["fft", "hfft", "ifft", "ihfft", "irfft", "rfft"]


def fft(
    x: Buffer[c64] | Buffer[f32], n: int | None = None, axis: int = -1, norm: Norm = None
) -> Buffer[c64]:
    """Transform along ``axis``, which is cut or filled up with zeros to ``n`` first.

    ``norm`` says which direction is divided by n: "backward" (the inverse, also None), "forward",
    or "ortho" (both, by its root). Raises `ShapeError`, `DTypeError`, `ArgumentError`,
    `LimitError`.

    >>> x = device.buffer_from_array(np.array([1, 0, -1, 0], np.float32))
    >>> signal.fft(x).read().real.tolist()
    [0.0, 2.0, 0.0, 2.0]
    """
    return _transform_complex("fft", x, n, axis, norm, inverse=False)


def ifft(
    x: Buffer[c64] | Buffer[f32], n: int | None = None, axis: int = -1, norm: Norm = None
) -> Buffer[c64]:
    """Transform back: the inverse of `fft`, with the same arguments and errors.

    >>> x = device.buffer_from_array([4, 0, 0, 0], f32)
    >>> print(signal.ifft(x).read().real)
    [1. 1. 1. 1.]
    """
    return _transform_complex("ifft", x, n, axis, norm, inverse=True)


def _transform_complex(
    op: str, x: Buffer[Any], n: int | None, axis: int, norm: Norm, *, inverse: bool
) -> Buffer[c64]:
    """Return the transform of f32 or c64, or its inverse."""
    require_dtype(op, x, c64, f32)
    axis = axis_of(op, axis, x)
    extent = x.shape[axis]
    n = _as_length(op, x, extent if n is None else n)
    scale = norm_scale(op, norm, n, inverse=inverse)
    y = x.device.buffer(c64, with_extent(x.shape, axis, n))
    sign = -1.0 if inverse else 1.0
    kind = "real" if x.dtype is f32 else "complex"
    source = PassInput(kind, extent, min(extent, n), sign=sign)
    transform(x, y, _line_of(x, axis, n), source, PassOutput("complex", n, n, scale, sign))
    return y


def rfft(x: Buffer[f32], n: int | None = None, axis: int = -1, norm: Norm = None) -> Buffer[c64]:
    """Return the first ``n // 2 + 1`` numbers of `fft` of real ``x``.

    The others are their conjugates. Arguments and errors are those of `fft`.

    >>> x = device.buffer_from_array([1, 2, 3, 4], f32)
    >>> print(signal.rfft(x).read().real.round(3))
    [10. -2. -2.]
    """
    return _transform_real("rfft", x, n, axis, norm, hermitian=False)


def ihfft(x: Buffer[f32], n: int | None = None, axis: int = -1, norm: Norm = None) -> Buffer[c64]:
    """Return the first half of `ifft` of real ``x``: the inverse of `hfft`.

    Arguments and errors are those of `rfft`.

    >>> x = device.buffer_from_array([4, 0, 0, 0], f32)
    >>> print(signal.ihfft(x).read().real)
    [1. 1. 1.]
    """
    return _transform_real("ihfft", x, n, axis, norm, hermitian=True)


def _transform_real(
    op: str, x: Buffer[f32], n: int | None, axis: int, norm: Norm, *, hermitian: bool
) -> Buffer[c64]:
    """Return the first half of real numbers' transform, or with ``hermitian`` of its inverse."""
    require_dtype(op, x, f32)
    axis = axis_of(op, axis, x)
    extent = x.shape[axis]
    n = _as_length(op, x, extent if n is None else n)
    half = n // 2 + 1
    scale = norm_scale(op, norm, n, inverse=hermitian)
    sign = -1.0 if hermitian else 1.0
    y = x.device.buffer(c64, with_extent(x.shape, axis, half))
    line = _line_of(x, axis, n)
    count = min(extent, n)
    if n % 2:
        target = PassOutput("complex", half, half, scale, sign)
        transform(x, y, line, PassInput("real", extent, count), target)
        return y
    source = PassInput("pairs", extent, count)
    if line.inner == 1 and extent % 2 == 0:
        source = PassInput("complex", extent // 2, count // 2, as_pairs=True)
    line = Line(line.outer, n // 2, line.inner)
    transform(x, y, line, source, PassOutput("spectrum", half, half, scale, sign))
    return y


def irfft(x: Buffer[c64], n: int | None = None, axis: int = -1, norm: Norm = None) -> Buffer[f32]:
    """Return the ``n`` real numbers whose `rfft` is ``x``: by default 2 (extent - 1).

    The imaginary parts of the first number, and of the last if n is even, do not count. Other
    arguments and errors are those of `fft`.

    >>> x = device.buffer_from_array([4, 0, 0], c64)
    >>> print(signal.irfft(x).read())
    [1. 1. 1. 1.]
    """
    return _transform_to_real("irfft", x, n, axis, norm, hermitian=False)


def hfft(x: Buffer[c64], n: int | None = None, axis: int = -1, norm: Norm = None) -> Buffer[f32]:
    """Return `fft` of a Hermitian signal from its first half.

    Arguments and errors are those of `irfft`.

    >>> x = device.buffer_from_array([1, 0, 0], c64)
    >>> print(signal.hfft(x).read())
    [1. 1. 1. 1.]
    """
    return _transform_to_real("hfft", x, n, axis, norm, hermitian=True)


def _transform_to_real(
    op: str, x: Buffer[c64], n: int | None, axis: int, norm: Norm, *, hermitian: bool
) -> Buffer[f32]:
    """Return the real numbers of a half spectrum, or with ``hermitian`` of half a signal."""
    require_dtype(op, x, c64)
    axis = axis_of(op, axis, x)
    extent = x.shape[axis]
    n = _as_length(op, x, 2 * (extent - 1) if n is None else n)
    count = min(extent, n // 2 + 1)
    scale = norm_scale(op, norm, n, inverse=not hermitian)
    sign = -1.0 if hermitian else 1.0
    y = x.device.buffer(f32, with_extent(x.shape, axis, n))
    line = _line_of(x, axis, n)
    if n % 2:
        source = PassInput("hermitian", extent, count, sign, full_length=n)
        transform(x, y, line, source, PassOutput("real", n, n, scale))
        return y
    half = n // 2
    source = PassInput("hermitian_pairs", extent, count, sign, full_length=half)
    target = PassOutput("pairs", n, half, scale, sign=-1.0)
    if line.inner == 1:
        target = PassOutput("complex", half, half, scale, sign=-1.0, as_pairs=True)
    transform(x, y, Line(line.outer, half, line.inner), source, target)
    return y


def _line_of(x: Buffer[Any], axis: int, n: int) -> Line:
    """Return the line of ``axis`` with the length ``n``."""
    return Line(outer_size(x.shape, axis), n, inner_size(x.shape, axis))


def _as_length(op: str, x: Buffer[Any], n: int) -> int:
    """Return the length of a transform as a number from 1 on.

    Raises `ArgumentError`, `ShapeError`, `LimitError`.
    """
    n = as_int(op, "n", n)
    if n < 1:
        raise ShapeError(f"{op}: the length n must be >= 1, got {n} for an axis of {x!r}")
    require_buffer_fits(op, x.device, f32, (n,))
    return n
