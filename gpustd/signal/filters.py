"""Linear filters along one axis: names, arguments and results as in `scipy.signal`.

Coefficients are numbers on the host; signals are buffers, f32 or c64. Filters of finite response
are convolutions. Others run in blocks side by side (`gpustd.signal.cascade`), in f32 and in SciPy's
form, the transposed direct form II. As in SciPy, filters of higher order should be split into
second-order sections.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gpucore import ArgumentError, Buffer, ShapeError, T, f32
from gpustd.arrays.axes import axis_of
from gpustd.launch.checks import as_int
from gpustd.launch.elements import launch_each
from gpustd.launch.tables import array_table
from gpustd.signal.arguments import (
    element_type,
    inner_size,
    outer_size,
    require_float_or_complex,
    with_extent,
)
from gpustd.signal.cascade import MAX_STATES, Cascade
from gpustd.signal.convolution import convolve, oaconvolve
from gpustd.signal.filter_arguments import as_sections, normalise, one_section, require_states
from gpustd.signal.frames import Framing, cut_frames
from gpustd.signal.regions import extract_region

__all__ = ["filtfilt", "lfilter", "sosfilt", "sosfiltfilt"]

Array = NDArray[np.float64]
_SHORT = 64
_PADS = ("constant", "even", "odd")

_Step = Callable[[Buffer[T], int, bool], Buffer[T]]
"""Filters along an axis, backwards or not."""


@overload
def lfilter(
    b: ArrayLike, a: ArrayLike, x: Buffer[T], axis: int = -1, zi: None = None
) -> Buffer[T]: ...
@overload
def lfilter(
    b: ArrayLike, a: ArrayLike, x: Buffer[T], axis: int = -1, *, zi: Buffer[T]
) -> tuple[Buffer[T], Buffer[T]]: ...
def lfilter(
    b: ArrayLike, a: ArrayLike, x: Buffer[T], axis: int = -1, zi: Buffer[T] | None = None
) -> Buffer[T] | tuple[Buffer[T], Buffer[T]]:
    """Filter along ``axis``: ``a0 y[n] = sum_k b_k x[n - k] - sum_k a_k y[n - k]``.

    ``zi`` are states of the shape of ``x``, but with max(len(a), len(b)) - 1 on the axis. With
    them, the states at the end are returned too. A filter has at most 32 states. Raises
    `ArgumentError`, `ShapeError`, `DTypeError`.

    >>> x = device.buffer_from_array(np.array([1, 0, 0, 0], np.float32))
    >>> signal.lfilter([1], [1, -0.5], x).read().tolist()
    [1.0, 0.5, 0.25, 0.125]
    """
    require_float_or_complex("lfilter", x)
    axis = axis_of("lfilter", axis, x)
    numerator, denominator = normalise("lfilter", b, a)
    order = max(len(numerator), len(denominator)) - 1
    if zi is not None:
        require_states("lfilter", x, zi, with_extent(x.shape, axis, order))
    if zi is None and len(denominator) == 1:
        return _convolve(numerator, x, axis)
    cascade = one_section("lfilter", numerator, denominator, max(order, 1))
    if zi is None or order == 0:
        y, _ = cascade.run(x, axis)
        return y if zi is None else (y, zi)
    outer, inner = outer_size(x.shape, axis), inner_size(x.shape, axis)
    starts = zi.view((1, outer, order, inner))
    y, ends = cascade.run(x, axis, starts, return_states=True)
    assert ends is not None
    return y, ends.view(zi.shape)


@overload
def sosfilt(sos: ArrayLike, x: Buffer[T], axis: int = -1, zi: None = None) -> Buffer[T]: ...
@overload
def sosfilt(
    sos: ArrayLike, x: Buffer[T], axis: int = -1, *, zi: Buffer[T]
) -> tuple[Buffer[T], Buffer[T]]: ...
def sosfilt(
    sos: ArrayLike, x: Buffer[T], axis: int = -1, zi: Buffer[T] | None = None
) -> Buffer[T] | tuple[Buffer[T], Buffer[T]]:
    """Filter by second-order sections one behind the other: rows b0 b1 b2 a0 a1 a2, at most 16.

    ``zi`` are states (sections, ...) of the shape of ``x``, but with 2 on the axis. With them, the
    states at the end are returned too. Raises `ArgumentError`, `ShapeError`, `DTypeError`.

    >>> x = device.buffer_from_array([1, 0, 0, 0], f32)
    >>> print(signal.sosfilt([[1, 0, 0, 1, -0.5, 0]], x).read())
    [1.    0.5   0.25  0.125]
    """
    require_float_or_complex("sosfilt", x)
    axis = axis_of("sosfilt", axis, x)
    cascade = as_sections("sosfilt", sos)
    if zi is None:
        return cascade.run(x, axis)[0]
    require_states("sosfilt", x, zi, (cascade.sections, *with_extent(x.shape, axis, 2)))
    outer, inner = outer_size(x.shape, axis), inner_size(x.shape, axis)
    starts = zi.view((cascade.sections, outer, 2, inner))
    y, ends = cascade.run(x, axis, starts, return_states=True)
    assert ends is not None
    return y, ends.view(zi.shape)


def filtfilt(
    b: ArrayLike,
    a: ArrayLike,
    x: Buffer[T],
    axis: int = -1,
    padtype: str | None = "odd",
    padlen: int | None = None,
) -> Buffer[T]:
    """Filter by `lfilter` forwards and then backwards: no delay, and the gain squared.

    The signal is first extended at both ends by ``padlen`` samples (three times the longer of ``a``
    and ``b``). ``padtype`` says how: "odd", "even", "constant", or None for not at all. The states
    begin as if the first sample had always been there. Raises as `lfilter`.

    >>> x = device.buffer_from_array([0, 0, 4, 0, 0], f32)
    >>> print(signal.filtfilt([0.5, 0.5], [1], x, padlen=1).read())
    [0. 1. 2. 1. 0.]
    """
    require_float_or_complex("filtfilt", x)
    numerator, denominator = normalise("filtfilt", b, a)
    taps = max(len(numerator), len(denominator))
    length = 3 * taps if padlen is None else padlen
    if len(denominator) == 1 and taps - 1 > MAX_STATES:
        step: _Step[T] = partial(_run_fir, numerator)
    else:
        cascade = one_section("filtfilt", numerator, denominator, max(taps - 1, 1))
        step = partial(_run_settled, "filtfilt", cascade)
    return _filter_both_ways("filtfilt", step, x, axis, padtype, length)


def sosfiltfilt(
    sos: ArrayLike,
    x: Buffer[T],
    axis: int = -1,
    padtype: str | None = "odd",
    padlen: int | None = None,
) -> Buffer[T]:
    """Filter by `sosfilt` forwards and then backwards; see `filtfilt` for the arguments.

    >>> x = device.buffer_from_array([2, 2, 2, 2], f32)
    >>> print(signal.sosfiltfilt([[0.5, 0.5, 0, 1, 0, 0]], x, padlen=1).read())
    [2. 2. 2. 2.]
    """
    require_float_or_complex("sosfiltfilt", x)
    cascade = as_sections("sosfiltfilt", sos)
    idle = min(int((cascade.b[:, 2] == 0).sum()), int((cascade.a[:, 2] == 0).sum()))
    length = 3 * (2 * cascade.sections + 1 - idle) if padlen is None else padlen
    step: _Step[T] = partial(_run_settled, "sosfiltfilt", cascade)
    return _filter_both_ways("sosfiltfilt", step, x, axis, padtype, length)


def _filter_both_ways(
    op: str, step: _Step[T], x: Buffer[T], axis: int, padtype: str | None, padlen: int
) -> Buffer[T]:
    """Extend ``x``, apply ``step`` forwards and backwards, and return the part of ``x``."""
    axis = axis_of(op, axis, x)
    length = x.shape[axis]
    if padtype is not None and padtype not in _PADS:
        raise ArgumentError(
            f"{op}: padtype must be one of {', '.join(_PADS)} or None, got {padtype!r}"
        )
    pad = 0 if padtype is None else as_int(op, "padlen", padlen)
    if not 0 <= pad < length:
        raise ShapeError(f"{op}: padlen must be from 0 to below {length} samples, got {pad}")
    framing = Framing(length + 2 * pad, 1, 1, pad, padtype or "zeros", pad)
    wide = cut_frames(x, axis, framing, None, last=False).view(
        with_extent(x.shape, axis, length + 2 * pad)
    )
    for backward in (False, True):
        wide = step(wide, axis, backward)
    begin = [0] * len(x.shape)
    begin[axis] = pad
    return extract_region(op, wide, begin, x.shape)


def _run_settled(op: str, cascade: Cascade, x: Buffer[T], axis: int, backward: bool) -> Buffer[T]:
    """Run a cascade that begins as if the first sample had always been there."""
    starts = _settled_states(op, cascade, x, axis, backward=backward)
    return cascade.run(x, axis, starts, backward=backward)[0]


def _run_fir(taps: Array, x: Buffer[T], axis: int, backward: bool) -> Buffer[T]:
    """Run a filter of finite response that begins as if the first sample had always been there."""
    reach = len(taps) - 1
    length, start = x.shape[axis] + reach, 0 if backward else reach
    wide = cut_frames(x, axis, Framing(length, 1, 1, start, "constant", reach), None, last=False)
    flat = wide.view((outer_size(x.shape, axis), length, inner_size(x.shape, axis)))
    h = _fir_kernel(taps[::-1] if backward else taps, x)
    return oaconvolve(flat, h, "valid", axes=1).view(x.shape)


def _settled_states(
    op: str, cascade: Cascade, x: Buffer[T], axis: int, *, backward: bool
) -> Buffer[T]:
    """Return the states to which the first sample leads if it has always been there."""
    try:
        unit = cascade.steady()
    except np.linalg.LinAlgError:
        raise ArgumentError(
            f"{op}: the filter must come to rest on a constant signal, got one with a pole at 1"
        ) from None
    outer, inner = outer_size(x.shape, axis), inner_size(x.shape, axis)
    y = x.device.buffer(x.dtype, (cascade.sections, outer, cascade.order, inner))
    sizes: dict[str, int | float] = {
        "inner": inner,
        "outer": outer,
        "length": x.shape[axis],
        "order": cascade.order,
        "first": x.shape[axis] - 1 if backward else 0,
    }
    weights = array_table(x.device, unit, f32)
    launch_each("signal/steady.wgsl", {"scalar": element_type(x)}, (x, weights, y), y.size, sizes)
    return y


def _convolve(taps: Array, x: Buffer[T], axis: int) -> Buffer[T]:
    """Return the first part, of ``x``'s length, of its convolution with ``taps``."""
    if not x.size:
        return x.device.buffer(x.dtype, x.shape)
    outer, inner = outer_size(x.shape, axis), inner_size(x.shape, axis)
    h = _fir_kernel(taps, x)
    flat = x.view((outer, x.shape[axis], inner))
    if len(taps) <= _SHORT:
        full = convolve(flat, h, "full", "direct")
    else:
        full = oaconvolve(flat, h, "full", axes=1)
    return extract_region("lfilter", full, (0, 0, 0), flat.shape).view(x.shape)


def _fir_kernel(taps: Array, x: Buffer[Any]) -> Buffer[f32]:
    """Return taps (1, taps, 1) for a convolution along the middle axis."""
    return array_table(x.device, taps, f32).view((1, len(taps), 1))
