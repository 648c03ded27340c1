"""Discrete Fourier transforms over several axes, as in `scipy.fft`: one axis after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gpucore import ArgumentError, Buffer, ShapeError, c64, f32
from gpustd.arrays.axes import axis_of
from gpustd.launch.checks import as_int, require_buffer_fits
from gpustd.signal.arguments import Norm, require_dtype, require_norm
from gpustd.signal.fourier.fft_1d import fft, ifft, irfft, rfft

__all__ = ["fft2", "fftn", "ifft2", "ifftn", "irfft2", "irfftn", "rfft2", "rfftn"]

Shape = int | Sequence[int] | None
Axes = int | Sequence[int] | None
_LAST_TWO = (-2, -1)


def fftn(
    x: Buffer[c64] | Buffer[f32], s: Shape = None, axes: Axes = None, norm: Norm = None
) -> Buffer[c64]:
    """Transform over ``axes``, cut or filled up with zeros to the lengths ``s``.

    By default these are all axes, or the last ones if ``s`` is shorter. ``norm`` is that of `fft`.
    Raises `ShapeError`, `DTypeError`, `ArgumentError`, `LimitError`.

    >>> x = device.buffer_from_array(np.ones((2, 2), np.float32))
    >>> signal.fftn(x).read().real.tolist()
    [[4.0, 0.0], [0.0, 0.0]]
    """
    return _transform_complex("fftn", x, s, axes, norm, inverse=False)


def ifftn(
    x: Buffer[c64] | Buffer[f32], s: Shape = None, axes: Axes = None, norm: Norm = None
) -> Buffer[c64]:
    """Transform back: the inverse of `fftn`, with the same arguments and errors.

    >>> x = device.buffer_from_array([[4, 0], [0, 0]], f32)
    >>> print(signal.ifftn(x).read().real.tolist())
    [[1.0, 1.0], [1.0, 1.0]]
    """
    return _transform_complex("ifftn", x, s, axes, norm, inverse=True)


def fft2(
    x: Buffer[c64] | Buffer[f32],
    s: Shape = None,
    axes: Sequence[int] = _LAST_TWO,
    norm: Norm = None,
) -> Buffer[c64]:
    """Transform over two axes, by default the last two; see `fftn`.

    >>> x = device.buffer_from_array([[4, 0], [0, 0]], f32)
    >>> print(signal.fft2(x).read().real.tolist())
    [[4.0, 4.0], [4.0, 4.0]]
    """
    return _transform_complex("fft2", x, s, axes, norm, inverse=False)


def ifft2(
    x: Buffer[c64] | Buffer[f32],
    s: Shape = None,
    axes: Sequence[int] = _LAST_TWO,
    norm: Norm = None,
) -> Buffer[c64]:
    """Transform back over two axes, by default the last two; see `ifftn`.

    >>> x = device.buffer_from_array([[4, 0], [0, 0]], f32)
    >>> print(signal.ifft2(x).read().real.tolist())
    [[1.0, 1.0], [1.0, 1.0]]
    """
    return _transform_complex("ifft2", x, s, axes, norm, inverse=True)


def _transform_complex(
    op: str, x: Buffer[Any], s: Shape, axes: Axes, norm: Norm, *, inverse: bool
) -> Buffer[c64]:
    """Return the transform of f32 or c64 over several axes, or its inverse."""
    require_dtype(op, x, c64, f32)
    lengths = _axis_lengths(op, x, s, axes, norm)
    step = ifft if inverse else fft
    for axis, n in reversed(lengths):
        x = step(x, n, axis, norm)
    return x


def rfftn(x: Buffer[f32], s: Shape = None, axes: Axes = None, norm: Norm = None) -> Buffer[c64]:
    """Return `rfft` over the last of ``axes``, then `fft` over the others.

    Arguments and errors are those of `fftn`.

    >>> x = device.buffer_from_array([[4, 0], [0, 0]], f32)
    >>> print(signal.rfftn(x).read().real.tolist())
    [[4.0, 4.0], [4.0, 4.0]]
    """
    return _transform_real("rfftn", x, s, axes, norm)


def rfft2(
    x: Buffer[f32], s: Shape = None, axes: Sequence[int] = _LAST_TWO, norm: Norm = None
) -> Buffer[c64]:
    """Transform real numbers over two axes, by default the last two; see `rfftn`.

    >>> x = device.buffer_from_array([[4, 0], [0, 0]], f32)
    >>> print(signal.rfft2(x).read().real.tolist())
    [[4.0, 4.0], [4.0, 4.0]]
    """
    return _transform_real("rfft2", x, s, axes, norm)


def _transform_real(op: str, x: Buffer[f32], s: Shape, axes: Axes, norm: Norm) -> Buffer[c64]:
    """Return the half spectrum of real numbers over several axes."""
    require_dtype(op, x, f32)
    *others, (axis, n) = _axis_lengths(op, x, s, axes, norm)
    y = rfft(x, n, axis, norm)
    for other, length in reversed(others):
        y = fft(y, length, other, norm)
    return y


def irfftn(x: Buffer[c64], s: Shape = None, axes: Axes = None, norm: Norm = None) -> Buffer[f32]:
    """Transform back to real numbers: the inverse of `rfftn`.

    The last of ``s`` is 2 (extent - 1) by default.

    >>> x = device.buffer_from_array([[4, 0], [0, 0]], c64)
    >>> print(signal.irfftn(x).read().tolist())
    [[1.0, 1.0], [1.0, 1.0]]
    """
    return _transform_to_real("irfftn", x, s, axes, norm)


def irfft2(
    x: Buffer[c64], s: Shape = None, axes: Sequence[int] = _LAST_TWO, norm: Norm = None
) -> Buffer[f32]:
    """Transform back to real numbers over two axes, by default the last two; see `irfftn`.

    >>> x = device.buffer_from_array([[4, 0], [0, 0]], c64)
    >>> print(signal.irfft2(x).read().tolist())
    [[1.0, 1.0], [1.0, 1.0]]
    """
    return _transform_to_real("irfft2", x, s, axes, norm)


def _transform_to_real(op: str, x: Buffer[c64], s: Shape, axes: Axes, norm: Norm) -> Buffer[f32]:
    """Return the real numbers of a half spectrum over several axes."""
    require_dtype(op, x, c64)
    *others, (axis, n) = _axis_lengths(op, x, s, axes, norm)
    for other, length in others:
        x = ifft(x, length, other, norm)
    return irfft(x, None if s is None else n, axis, norm)


def _axis_lengths(
    op: str, x: Buffer[Any], s: Shape, axes: Axes, norm: Norm
) -> list[tuple[int, int]]:
    """Return each axis, counted from the front, with its length; check ``norm``.

    Raises `ShapeError`, `ArgumentError`, `LimitError`.
    """
    require_norm(op, norm)
    ndim = len(x.shape)
    s = s if s is None or isinstance(s, Sequence) else (s,)
    axes = axes if axes is None or isinstance(axes, Sequence) else (axes,)
    if s is not None and axes is None and len(s) > ndim:
        raise ShapeError(f"{op}: s must have at most {ndim} lengths, got {tuple(s)} for {x!r}")
    if axes is None:
        axes = range(ndim) if s is None else range(ndim - len(s), ndim)
    chosen = [axis_of(op, axis, x) for axis in axes]
    if not chosen or len(set(chosen)) < len(chosen):
        raise ArgumentError(
            f"{op}: axes must name each axis once, and at least one, got {tuple(axes)} of {x!r}"
        )
    lengths = [x.shape[axis] for axis in chosen] if s is None else [as_int(op, "s", n) for n in s]
    if s is not None and min(lengths, default=1) < 1:
        raise ShapeError(f"{op}: lengths s must be >= 1, got {tuple(lengths)} for {x!r}")
    if len(lengths) != len(chosen):
        raise ShapeError(
            f"{op}: s must have one length for each axis, got {tuple(lengths)} for axes "
            f"{tuple(axes)}"
        )
    shape = dict(enumerate(x.shape)) | dict(zip(chosen, lengths, strict=True))
    require_buffer_fits(op, x.device, f32, tuple(shape.values()))
    return list(zip(chosen, lengths, strict=True))
