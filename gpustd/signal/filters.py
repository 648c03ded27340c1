"""Linear filters along one axis: names, arguments and results as in `scipy.signal`.

Coefficients are numbers on the host; signals are buffers, f32 or c64. Filters of finite response
are convolutions; others run in blocks side by side (`gpustd.signal.cascade`), in f32 in SciPy's
form, the transposed direct form II. As there, filters of higher order belong into second-order
sections.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gpucore import ArgumentError, Buffer, ShapeError, T, f32
from gpustd.arrays.axes import axis_of
from gpustd.launch.checks import as_floats, as_int, require_buffers
from gpustd.launch.elements import launch_each
from gpustd.launch.tables import table
from gpustd.signal.arguments import float_or_complex, inner_of, outer_of, replaced
from gpustd.signal.boxes import region, scalar_of
from gpustd.signal.cascade import MOST_STATES, Cascade, Run
from gpustd.signal.convolution import convolve, oaconvolve
from gpustd.signal.frames import Framing, framed

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
    """``a0 y[n] = sum_k b_k x[n - k] - sum_k a_k y[n - k]`` along ``axis``.

    With states ``zi``, of the shape of ``x`` but max(len(a), len(b)) - 1 on the axis, also returns
    those at the end. At most 32 states. Raises `ArgumentError`, `ShapeError`, `DTypeError`.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import signal
    >>> x = Device.auto().buffer_from_array(np.array([1, 0, 0, 0], np.float32))
    >>> signal.lfilter([1], [1, -0.5], x).read().tolist()
    [1.0, 0.5, 0.25, 0.125]
    """
    float_or_complex("lfilter", x)
    axis = axis_of("lfilter", axis, x)
    numerator, denominator = _normalised("lfilter", b, a)
    order = max(len(numerator), len(denominator)) - 1
    if zi is not None:
        _check_states("lfilter", x, zi, replaced(x.shape, axis, order))
    if zi is None and len(denominator) == 1:
        return _convolved(numerator, x, axis)
    cascade = _single("lfilter", numerator, denominator, max(order, 1))
    if zi is None or order == 0:
        y, _ = cascade.run(x, Run(axis), None)
        return y if zi is None else (y, zi)
    outer, inner = outer_of(x.shape, axis), inner_of(x.shape, axis)
    starts = zi.view((1, outer, order, inner))
    y, ends = cascade.run(x, Run(axis, ended=True), starts)
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
    """Second-order sections one behind the other: rows b0 b1 b2 a0 a1 a2, at most 16.

    With states ``zi``, (sections, ...) of the shape of ``x`` but 2 on the axis, also returns those
    at the end. Raises `ArgumentError`, `ShapeError`, `DTypeError`.

    >>> from gpucore import Device, f32; from gpustd import signal
    >>> x = Device.auto().buffer_from_array([1, 0, 0, 0], f32)
    >>> print(signal.sosfilt([[1, 0, 0, 1, -0.5, 0]], x).read())
    [1.    0.5   0.25  0.125]
    """
    float_or_complex("sosfilt", x)
    axis = axis_of("sosfilt", axis, x)
    cascade = _sections("sosfilt", sos)
    if zi is None:
        return cascade.run(x, Run(axis), None)[0]
    _check_states("sosfilt", x, zi, (cascade.sections, *replaced(x.shape, axis, 2)))
    outer, inner = outer_of(x.shape, axis), inner_of(x.shape, axis)
    starts = zi.view((cascade.sections, outer, 2, inner))
    y, ends = cascade.run(x, Run(axis, ended=True), starts)
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
    """`lfilter` forwards and then backwards: no delay, the gain squared.

    The signal first goes on at both ends by ``padlen`` samples (three times the longer of ``a`` and
    ``b``) as ``padtype`` says: "odd", "even", "constant", or None for not at all. The states begin
    as if the first sample had always been. Raises as `lfilter`.

    >>> from gpucore import Device, f32; from gpustd import signal
    >>> x = Device.auto().buffer_from_array([0, 0, 4, 0, 0], f32)
    >>> print(signal.filtfilt([0.5, 0.5], [1], x, padlen=1).read())
    [0. 1. 2. 1. 0.]
    """
    float_or_complex("filtfilt", x)
    numerator, denominator = _normalised("filtfilt", b, a)
    taps = max(len(numerator), len(denominator))
    length = 3 * taps if padlen is None else padlen
    if len(denominator) == 1 and taps - 1 > MOST_STATES:
        step: _Step[T] = partial(_slide, numerator)
    else:
        cascade = _single("filtfilt", numerator, denominator, max(taps - 1, 1))
        step = partial(_settle, "filtfilt", cascade)
    return _both_ways("filtfilt", step, x, axis, padtype, length)


def sosfiltfilt(
    sos: ArrayLike,
    x: Buffer[T],
    axis: int = -1,
    padtype: str | None = "odd",
    padlen: int | None = None,
) -> Buffer[T]:
    """`sosfilt` forwards and then backwards; see `filtfilt` for the arguments.

    >>> from gpucore import Device, f32; from gpustd import signal
    >>> x = Device.auto().buffer_from_array([2, 2, 2, 2], f32)
    >>> print(signal.sosfiltfilt([[0.5, 0.5, 0, 1, 0, 0]], x, padlen=1).read())
    [2. 2. 2. 2.]
    """
    float_or_complex("sosfiltfilt", x)
    cascade = _sections("sosfiltfilt", sos)
    idle = min(int((cascade.b[:, 2] == 0).sum()), int((cascade.a[:, 2] == 0).sum()))
    length = 3 * (2 * cascade.sections + 1 - idle) if padlen is None else padlen
    step: _Step[T] = partial(_settle, "sosfiltfilt", cascade)
    return _both_ways("sosfiltfilt", step, x, axis, padtype, length)


def _both_ways(
    op: str, step: _Step[T], x: Buffer[T], axis: int, padtype: str | None, padlen: int
) -> Buffer[T]:
    axis = axis_of(op, axis, x)
    length = x.shape[axis]
    if padtype is not None and padtype not in _PADS:
        raise ArgumentError(f"{op}: padtype {padtype!r}: give {', '.join(_PADS)} or None")
    pad = 0 if padtype is None else as_int(op, "padlen", padlen)
    if not 0 <= pad < length:
        raise ShapeError(f"{op}: {length} samples: want more than the {pad} of padlen")
    framing = Framing(length + 2 * pad, 1, 1, pad, padtype or "zeros", pad)
    wide = framed(x, axis, framing, None, last=False).view(
        replaced(x.shape, axis, length + 2 * pad)
    )
    for backward in (False, True):
        wide = step(wide, axis, backward)
    begin = [0] * len(x.shape)
    begin[axis] = pad
    return region(op, wide, begin, x.shape)


def _settle(op: str, cascade: Cascade, x: Buffer[T], axis: int, backward: bool) -> Buffer[T]:
    """One run of a cascade that begins as if the first sample had always been."""
    starts = _steady(op, cascade, x, axis, backward=backward)
    return cascade.run(x, Run(axis, backward), starts)[0]


def _slide(taps: Array, x: Buffer[T], axis: int, backward: bool) -> Buffer[T]:
    """The same with a filter of finite response: the first sample goes on before itself."""
    reach = len(taps) - 1
    length, start = x.shape[axis] + reach, 0 if backward else reach
    wide = framed(x, axis, Framing(length, 1, 1, start, "constant", reach), None, last=False)
    flat = wide.view((outer_of(x.shape, axis), length, inner_of(x.shape, axis)))
    h = _kernel(taps[::-1] if backward else taps, x)
    return oaconvolve(flat, h, "valid", axes=1).view(x.shape)


def _steady(op: str, cascade: Cascade, x: Buffer[T], axis: int, *, backward: bool) -> Buffer[T]:
    """States that the first sample, had it always been, would have led to."""
    try:
        unit = cascade.steady()
    except np.linalg.LinAlgError:
        raise ArgumentError(f"{op}: the filter has a pole at 1: it never comes to rest") from None
    outer, inner = outer_of(x.shape, axis), inner_of(x.shape, axis)
    y = x.device.buffer(x.dtype, (cascade.sections, outer, cascade.order, inner))
    sizes: dict[str, int | float] = {
        "inner": inner,
        "outer": outer,
        "length": x.shape[axis],
        "order": cascade.order,
        "first": x.shape[axis] - 1 if backward else 0,
    }
    weights = table(x.device, f32, ("steady", unit.tobytes()), lambda: unit)
    spec = {"scalar": scalar_of(x)}
    launch_each("signal/steady.wgsl", spec, (x, weights, y), y.size, sizes)
    return y


def _convolved(taps: Array, x: Buffer[T], axis: int) -> Buffer[T]:
    """The first of ``x``'s length of its convolution with ``taps``."""
    if not x.size:
        return x.device.buffer(x.dtype, x.shape)
    outer, inner = outer_of(x.shape, axis), inner_of(x.shape, axis)
    h = _kernel(taps, x)
    flat = x.view((outer, x.shape[axis], inner))
    if len(taps) <= _SHORT:
        full = convolve(flat, h, "full", "direct")
    else:
        full = oaconvolve(flat, h, "full", axes=1)
    return region("lfilter", full, (0, 0, 0), flat.shape).view(x.shape)


def _kernel(taps: Array, x: Buffer[Any]) -> Buffer[f32]:
    """Taps (1, taps, 1) for a convolution along the middle axis."""
    found = table(x.device, f32, ("taps", taps.tobytes()), lambda: taps)
    return found.view((1, len(taps), 1))


def _single(op: str, numerator: Array, denominator: Array, order: int) -> Cascade:
    if order > MOST_STATES:
        advice = "leave zi out" if len(denominator) == 1 else "use sections (sosfilt)"
        raise ArgumentError(f"{op}: order {order}: takes up to {MOST_STATES}: {advice}")
    b, a = (np.pad(each, (0, order + 1 - len(each))) for each in (numerator, denominator))
    return Cascade(b[None], a[None])


def _sections(op: str, sos: ArrayLike) -> Cascade:
    rows = _numbers(op, sos)
    if rows.ndim != 2 or rows.shape[1] != 6 or not len(rows):
        raise ShapeError(f"{op}: sos of shape {rows.shape}: wants (sections, 6)")
    if 2 * len(rows) > MOST_STATES:
        raise ArgumentError(f"{op}: {len(rows)} sections: takes up to {MOST_STATES // 2} at once")
    if np.any(rows[:, 3] != 1):
        raise ArgumentError(f"{op}: sos[:, 3], the a0 of each section, must be 1")
    return Cascade(rows[:, :3].copy(), rows[:, 3:].copy())


def _normalised(op: str, b: ArrayLike, a: ArrayLike) -> tuple[Array, Array]:
    """Both divided by a0, without zeros at the end of ``a``. `ArgumentError`, `ShapeError`."""
    numerator, denominator = (np.atleast_1d(_numbers(op, each)) for each in (b, a))
    if numerator.ndim > 1 or denominator.ndim > 1 or not numerator.size or not denominator.size:
        raise ShapeError(
            f"{op}: b of shape {numerator.shape}, a of {denominator.shape}: want one axis each"
        )
    if denominator[0] == 0:
        raise ArgumentError(f"{op}: a[0] is zero: it must not be")
    with np.errstate(over="ignore"):
        return _numbers(op, numerator / denominator[0]), _numbers(op, denominator / denominator[0])


def _numbers(op: str, values: ArrayLike) -> Array:
    """Coefficients in float64. Raises `ArgumentError`."""
    numbers = as_floats(op, "coefficients", values)
    if not (np.abs(numbers) <= np.finfo(np.float32).max).all():
        raise ArgumentError(f"{op}: coefficients {values!r}: want finite numbers of f32")
    return numbers


def _check_states(op: str, x: Buffer[T], zi: Buffer[T], shape: tuple[int, ...]) -> None:
    require_buffers(op, zi)
    if zi.shape != shape or zi.dtype is not x.dtype:
        raise ShapeError(f"{op}: zi {zi!r} for {x!r}: wants {x.dtype.name} of shape {shape}")
