"""Discrete Fourier transforms over several axes, as in `scipy.fft`: one axis after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gpucore import ArgumentError, Buffer, ShapeError, c64, f32
from gpustd.arrays.axes import axis_of
from gpustd.launch.checks import as_int, require_buffer_fits
from gpustd.signal.arguments import Norm, check_dtype, check_norm
from gpustd.signal.fft_rows import fft, ifft, irfft, rfft

__all__ = ["fft2", "fftn", "ifft2", "ifftn", "irfft2", "irfftn", "rfft2", "rfftn"]

Shape = int | Sequence[int] | None
Axes = int | Sequence[int] | None
_LAST_TWO = (-2, -1)


def fftn(
    x: Buffer[c64] | Buffer[f32], s: Shape = None, axes: Axes = None, norm: Norm = None
) -> Buffer[c64]:
    """Transform over ``axes`` (all; the last of them if ``s`` is shorter), cut or filled to ``s``.

    ``norm`` as of `fft`. Raises `ShapeError`, `DTypeError`, `ArgumentError`, `LimitError`.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import signal
    >>> x = Device.auto().buffer_from_array(np.ones((2, 2), np.float32))
    >>> signal.fftn(x).read().real.tolist()
    [[4.0, 0.0], [0.0, 0.0]]
    """
    return _complex("fftn", x, s, axes, norm, inverse=False)


def ifftn(
    x: Buffer[c64] | Buffer[f32], s: Shape = None, axes: Axes = None, norm: Norm = None
) -> Buffer[c64]:
    """Inverse of `fftn`, with the same arguments and errors.

    >>> from gpucore import Device, f32; from gpustd import signal
    >>> x = Device.auto().buffer_from_array([[4, 0], [0, 0]], f32)
    >>> print(signal.ifftn(x).read().real.tolist())
    [[1.0, 1.0], [1.0, 1.0]]
    """
    return _complex("ifftn", x, s, axes, norm, inverse=True)


def fft2(
    x: Buffer[c64] | Buffer[f32],
    s: Shape = None,
    axes: Sequence[int] = _LAST_TWO,
    norm: Norm = None,
) -> Buffer[c64]:
    """`fftn` over two axes, the last two by default.

    >>> from gpucore import Device, f32; from gpustd import signal
    >>> x = Device.auto().buffer_from_array([[4, 0], [0, 0]], f32)
    >>> print(signal.fft2(x).read().real.tolist())
    [[4.0, 4.0], [4.0, 4.0]]
    """
    return _complex("fft2", x, s, axes, norm, inverse=False)


def ifft2(
    x: Buffer[c64] | Buffer[f32],
    s: Shape = None,
    axes: Sequence[int] = _LAST_TWO,
    norm: Norm = None,
) -> Buffer[c64]:
    """`ifftn` over two axes, the last two by default.

    >>> from gpucore import Device, f32; from gpustd import signal
    >>> x = Device.auto().buffer_from_array([[4, 0], [0, 0]], f32)
    >>> print(signal.ifft2(x).read().real.tolist())
    [[1.0, 1.0], [1.0, 1.0]]
    """
    return _complex("ifft2", x, s, axes, norm, inverse=True)


def _complex(
    op: str, x: Buffer[Any], s: Shape, axes: Axes, norm: Norm, *, inverse: bool
) -> Buffer[c64]:
    check_dtype(op, x, c64, f32)
    lengths = _lengths(op, x, s, axes, norm)
    step = ifft if inverse else fft
    for axis, n in reversed(lengths):
        x = step(x, n, axis, norm)
    return x


def rfftn(x: Buffer[f32], s: Shape = None, axes: Axes = None, norm: Norm = None) -> Buffer[c64]:
    """`rfft` over the last of ``axes``, then `fft` over the others. Arguments as of `fftn`.

    >>> from gpucore import Device, f32; from gpustd import signal
    >>> x = Device.auto().buffer_from_array([[4, 0], [0, 0]], f32)
    >>> print(signal.rfftn(x).read().real.tolist())
    [[4.0, 4.0], [4.0, 4.0]]
    """
    return _of_real("rfftn", x, s, axes, norm)


def rfft2(
    x: Buffer[f32], s: Shape = None, axes: Sequence[int] = _LAST_TWO, norm: Norm = None
) -> Buffer[c64]:
    """`rfftn` over two axes, the last two by default.

    >>> from gpucore import Device, f32; from gpustd import signal
    >>> x = Device.auto().buffer_from_array([[4, 0], [0, 0]], f32)
    >>> print(signal.rfft2(x).read().real.tolist())
    [[4.0, 4.0], [4.0, 4.0]]
    """
    return _of_real("rfft2", x, s, axes, norm)


def _of_real(op: str, x: Buffer[f32], s: Shape, axes: Axes, norm: Norm) -> Buffer[c64]:
    check_dtype(op, x, f32)
    *others, (axis, n) = _lengths(op, x, s, axes, norm)
    y = rfft(x, n, axis, norm)
    for other, length in reversed(others):
        y = fft(y, length, other, norm)
    return y


def irfftn(x: Buffer[c64], s: Shape = None, axes: Axes = None, norm: Norm = None) -> Buffer[f32]:
    """Inverse of `rfftn`; the last of ``s`` is 2 (extent - 1) by default.

    >>> from gpucore import Device, c64; from gpustd import signal
    >>> x = Device.auto().buffer_from_array([[4, 0], [0, 0]], c64)
    >>> print(signal.irfftn(x).read().tolist())
    [[1.0, 1.0], [1.0, 1.0]]
    """
    return _to_real("irfftn", x, s, axes, norm)


def irfft2(
    x: Buffer[c64], s: Shape = None, axes: Sequence[int] = _LAST_TWO, norm: Norm = None
) -> Buffer[f32]:
    """`irfftn` over two axes, the last two by default.

    >>> from gpucore import Device, c64; from gpustd import signal
    >>> x = Device.auto().buffer_from_array([[4, 0], [0, 0]], c64)
    >>> print(signal.irfft2(x).read().tolist())
    [[1.0, 1.0], [1.0, 1.0]]
    """
    return _to_real("irfft2", x, s, axes, norm)


def _to_real(op: str, x: Buffer[c64], s: Shape, axes: Axes, norm: Norm) -> Buffer[f32]:
    check_dtype(op, x, c64)
    *others, (axis, n) = _lengths(op, x, s, axes, norm)
    for other, length in others:
        x = ifft(x, length, other, norm)
    return irfft(x, None if s is None else n, axis, norm)


def _lengths(op: str, x: Buffer[Any], s: Shape, axes: Axes, norm: Norm) -> list[tuple[int, int]]:
    """Each axis, counted from the front, with its length; the steps' norm is checked."""
    check_norm(op, norm)
    rank = len(x.shape)
    s = s if s is None or isinstance(s, Sequence) else (s,)
    axes = axes if axes is None or isinstance(axes, Sequence) else (axes,)
    if s is not None and axes is None and len(s) > rank:
        raise ShapeError(f"{op}: s {tuple(s)} of {x.shape}: it has {rank} axes")
    if axes is None:
        axes = range(rank) if s is None else range(rank - len(s), rank)
    found = [axis_of(op, axis, x) for axis in axes]
    if not found or len(set(found)) < len(found):
        raise ArgumentError(f"{op}: axes {tuple(axes)} of {x.shape}: give each once, at least one")
    lengths = [x.shape[axis] for axis in found] if s is None else [as_int(op, "s", n) for n in s]
    if s is not None and min(lengths, default=1) < 1:
        raise ShapeError(f"{op}: s {tuple(lengths)} for axes of {x.shape}: give lengths >= 1")
    if len(lengths) != len(found):
        raise ShapeError(f"{op}: s {tuple(lengths)} for axes {tuple(axes)}: give as many")
    shape = dict(enumerate(x.shape)) | dict(zip(found, lengths, strict=True))
    require_buffer_fits(op, x.device, f32, tuple(shape.values()))
    return list(zip(found, lengths, strict=True))
