"""Convolution and correlation over all axes or some: names and results as in `scipy.signal`.

Short kernels go by the definition, one read of the kernel for each result, others through Fourier
transforms of both operands; by blocks where one is much longer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, overload

from gpucore import ArgumentError, Buffer, ShapeError, c64, f32
from gpucore.integers import ceil_div
from gpustd.arrays.axes import Axes, axes_of
from gpustd.arrays.elementwise.arithmetic import multiply
from gpustd.arrays.elementwise.conversion import cast
from gpustd.launch.elements import launch_each
from gpustd.launch.grid import flat_grid
from gpustd.launch.template import Value, kernel
from gpustd.launch.variants import forced_variant
from gpustd.signal.arguments import float_or_complex, inner_of, outer_of
from gpustd.signal.boxes import MOST_AXES, product, region, reversed_conjugate, scalar_of
from gpustd.signal.fft_axes import fftn, ifftn, irfftn, rfftn
from gpustd.signal.fft_rows import fft
from gpustd.signal.frames import Framing, framed
from gpustd.signal.passes import Line, Source, Target, convolve_rows, convolves
from gpustd.signal.plan import smooth_above

__all__ = ["convolve", "correlate", "fftconvolve", "oaconvolve"]

_MODES = ("full", "same", "valid")
# Elements of the smaller operand up to which the definition is quicker than transforms.
_MOST_DIRECT = 64
# Blocks hold so many times the short operand, and at least so many elements.
_BLOCK, _LEAST_BLOCK = 8, 1024
# Invocations of a workgroup that convolves rows; words from which on each makes two.
_GROUP = 256
_MANY_WORDS = 2**20


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
    """Convolution of two arrays of as many axes, f32 or c64 (c64 where either is).

    ``mode``: "full"; "same", the middle of it, of ``in1``'s shape; "valid", where one lies inside
    of the other. ``method``: "direct", "fft", or "auto": direct where one has at most 64 elements.
    Raises `ShapeError`, `DTypeError`, `ArgumentError`.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import signal
    >>> device = Device.auto()
    >>> x = device.buffer_from_array(np.array([1, 2, 3], np.float32))
    >>> signal.convolve(x, x).read().tolist()
    [1.0, 4.0, 10.0, 12.0, 9.0]
    """
    _check("convolve", in1, in2, mode)
    return _convolved("convolve", in1, in2, mode, method)


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
    """Correlation: `convolve` with ``in2`` reversed and conjugated. Same arguments and errors.

    >>> from gpucore import Device, f32; from gpustd import signal
    >>> x = Device.auto().buffer_from_array([1, 2, 3], f32)
    >>> print(signal.correlate(x, x).read())
    [ 3.  8. 14.  8.  3.]
    """
    _check("correlate", in1, in2, mode)
    return _convolved("correlate", in1, reversed_conjugate(in2), mode, method)


def fftconvolve(
    in1: Buffer[Any], in2: Buffer[Any], mode: str = "full", axes: Axes = None
) -> Buffer[Any]:
    """Convolution over ``axes`` (all) through transforms; other extents agree or are 1.

    Modes, dtypes and errors as of `convolve`. As in SciPy, an axis where one extent is 1 is
    repeated as those left out are: it counts neither for "valid" nor against it.

    >>> from gpucore import Device, f32; from gpustd import signal
    >>> x = Device.auto().buffer_from_array([1, 2, 3], f32)
    >>> print(signal.fftconvolve(x, x).read().round(3))
    [ 1.  4. 10. 12.  9.]
    """
    _check("fftconvolve", in1, in2, mode)
    return _by_transforms("fftconvolve", in1, in2, mode, _moving("fftconvolve", in1, in2, axes))


def oaconvolve(
    in1: Buffer[Any], in2: Buffer[Any], mode: str = "full", axes: Axes = None
) -> Buffer[Any]:
    """As `fftconvolve`, by blocks where one operand is much longer along a single axis.

    Blocks overlap by the short operand and keep what it does not wrap around (overlap-save; Press
    et al., Numerical Recipes, 13.1): transforms of some thousand elements instead of all.

    >>> from gpucore import Device, f32; from gpustd import signal
    >>> x = Device.auto().buffer_from_array([1, 2, 3], f32)
    >>> print(signal.oaconvolve(x, x).read().round(3))
    [ 1.  4. 10. 12.  9.]
    """
    _check("oaconvolve", in1, in2, mode)
    moving = _moving("oaconvolve", in1, in2, axes)
    cut = mode == "same" and any(m == 1 < n for m, n in zip(in1.shape, in2.shape, strict=True))
    if len(moving) == 1 and not cut and in1.size and in2.size and len(in1.shape) < MOST_AXES:
        short, long = sorted((in1.shape[moving[0]], in2.shape[moving[0]]))
        size = 2 * smooth_above(max(_BLOCK * short, _LEAST_BLOCK) // 2, (2,))
        if long + short - 1 > 2 * size:
            return _by_blocks(in1, in2, mode, moving[0], size)
    return _by_transforms("oaconvolve", in1, in2, mode, moving)


def _check(op: str, in1: Buffer[Any], in2: Buffer[Any], mode: str) -> None:
    float_or_complex(op, in1)
    float_or_complex(op, in2)
    if mode not in _MODES:
        raise ArgumentError(f"{op}: mode {mode!r}: give one of {', '.join(_MODES)}")
    ranks = {len(in1.shape), len(in2.shape)}
    if len(ranks) > 1 or not 1 <= min(ranks) <= max(ranks) <= MOST_AXES:
        raise ShapeError(f"{op}: {in1.shape} and {in2.shape}: want as many axes, 1 to {MOST_AXES}")


def _moving(op: str, in1: Buffer[Any], in2: Buffer[Any], axes: Axes) -> list[int]:
    """The chosen axes along which both have more than one element. Raises as `axes_of`."""
    chosen = axes_of(op, axes, in1)
    if not chosen:
        raise ArgumentError(f"{op}: axes {axes}: name one at least, or None for all")
    return [a for a in chosen if in1.shape[a] != 1 and in2.shape[a] != 1]


def _convolved(op: str, in1: Buffer[Any], in2: Buffer[Any], mode: str, method: str) -> Buffer[Any]:
    if method not in ("auto", "direct", "fft"):
        raise ArgumentError(f"{op}: method {method!r}: give auto, direct or fft")
    axes = list(range(len(in1.shape)))
    if not in1.size or not in2.size:
        return _empty(in1, in2)
    if method == "fft" or (method == "auto" and min(in1.size, in2.size) > _MOST_DIRECT):
        return _by_transforms(op, in1, in2, mode, axes)
    return _by_definition(op, in1, in2, mode, axes)


def _empty(in1: Buffer[Any], in2: Buffer[Any]) -> Buffer[Any]:
    return in1.device.buffer(_result_dtype(in1, in2), (0,) * len(in1.shape))


def _result_dtype(in1: Buffer[Any], in2: Buffer[Any]) -> Any:
    return c64 if c64 in (in1.dtype, in2.dtype) else f32


def _box(
    op: str, in1: Buffer[Any], in2: Buffer[Any], mode: str, axes: Sequence[int]
) -> tuple[list[int], list[int]]:
    """Starts and extents of a mode's part of the full convolution. Raises `ShapeError`."""
    starts, extents = [0] * len(in1.shape), []
    pairs = list(zip(in1.shape, in2.shape, strict=True))
    inside = all(pairs[a][0] >= pairs[a][1] for a in axes)
    outside = all(pairs[a][0] <= pairs[a][1] for a in axes)
    if mode == "valid" and not inside and not outside:
        raise ShapeError(f"{op}: valid: neither of {in1.shape} and {in2.shape} holds the other")
    for a, (m, n) in enumerate(pairs):
        if a not in axes:
            if m != n and 1 not in (m, n):
                raise ShapeError(f"{op}: {in1.shape} and {in2.shape} do not agree in axis {a}")
            repeated = n if m == 1 else m
            extents.append(m if mode == "same" else repeated)
            starts[a] = (repeated - extents[a]) // 2
        elif mode == "full":
            extents.append(m + n - 1)
        elif mode == "same":
            starts[a] = (n - 1) // 2
            extents.append(m)
        else:
            starts[a] = min(m, n) - 1
            extents.append(abs(m - n) + 1)
    return starts, extents


def _by_definition(
    op: str, in1: Buffer[Any], in2: Buffer[Any], mode: str, axes: Sequence[int]
) -> Buffer[Any]:
    starts, extents = _box(op, in1, in2, mode, axes)
    x, h = (in1, in2) if in1.size >= in2.size else (in2, in1)
    y = x.device.buffer(_result_dtype(in1, in2), tuple(extents))
    if _by_rows(x, h, y):
        _rows(x, h, y, starts[-1])
        return y
    sizes: dict[str, int | float] = {}
    for a, extent in enumerate(extents):
        sizes[f"extent{a}"] = extent
        sizes[f"x_extent{a}"] = x.shape[a]
        sizes[f"taps{a}"] = h.shape[a]
        sizes[f"first{a}"] = starts[a]
    spec: dict[str, Value] = {"a": scalar_of(x), "b": scalar_of(h), "rank": len(extents)}
    launch_each("signal/direct.wgsl", spec, (x, h, y), y.size, sizes)
    return y


def _by_rows(x: Buffer[Any], h: Buffer[Any], y: Buffer[Any]) -> bool:
    """Whether ``h`` is a row and rows of real numbers are made of whole words of four."""
    variant = forced_variant("convolve") or ("direct" if x.device.is_cpu else "direct_rows")
    if h.size != h.shape[-1] or c64 in (x.dtype, h.dtype) or variant == "direct":
        return False
    whole = x.shape[-1] % 4 == y.shape[-1] % 4 == 0
    alike = x.shape[:-1] == y.shape[:-1]
    return y.size > 0 and alike and (whole or x.size == x.shape[-1])


def _rows(x: Buffer[Any], h: Buffer[Any], y: Buffer[Any], first: int) -> None:
    """Record the convolution of rows of ``x`` with the row ``h``, from element ``first`` on."""
    words = math.prod(y.shape[:-1]) * ceil_div(y.shape[-1], 4)
    sizes: dict[str, int | float] = {
        "count": words,
        "extent": y.shape[-1],
        "x_extent": x.shape[-1],
        "taps": h.shape[-1],
        "first": first,
    }
    each = 2 if words >= _MANY_WORDS else 1
    launch = kernel(x.device, "signal/direct_rows.wgsl", rest=(first + 1) % 4, words=each)
    launch(x, h, y, sizes, grid=flat_grid(words, _GROUP * each))


def _by_transforms(
    op: str, in1: Buffer[Any], in2: Buffer[Any], mode: str, axes: Sequence[int]
) -> Buffer[Any]:
    if not in1.size or not in2.size:
        return _empty(in1, in2)
    starts, extents = _box(op, in1, in2, mode, axes)
    moving = [a for a in axes if in1.shape[a] > 1 and in2.shape[a] > 1]
    full = [in1.shape[a] + in2.shape[a] - 1 for a in moving]
    lengths = [2 * smooth_above(ceil_div(n, 2), (2, 3, 5)) for n in full]
    if moving:
        result = _transformed(op, in1, in2, lengths, moving)
    else:
        dtype = _result_dtype(in1, in2)
        result = multiply(cast(in1, dtype), cast(in2, dtype))
    return region(op, result, starts, extents)


def _transformed(
    op: str, in1: Buffer[Any], in2: Buffer[Any], lengths: Sequence[int], axes: Sequence[int]
) -> Buffer[Any]:
    """Circular convolution of ``lengths`` along ``axes``."""
    if _result_dtype(in1, in2) is f32:
        spectra = [rfftn(x, lengths, axes) for x in (in1, in2)]
        return irfftn(product(op, *spectra), lengths, axes)
    spectra = [fftn(x, lengths, axes) for x in (in1, in2)]
    return ifftn(product(op, *spectra), lengths, axes)


def _by_blocks(in1: Buffer[Any], in2: Buffer[Any], mode: str, axis: int, size: int) -> Buffer[Any]:
    starts, extents = _box("oaconvolve", in1, in2, mode, [axis])
    x, h = (in1, in2) if in1.shape[axis] >= in2.shape[axis] else (in2, in1)
    lost = h.shape[axis] - 1
    length = _complex_length(x, h, axis, size)
    if length:
        y = x.device.buffer(f32, tuple(extents))
        _pairs_of_blocks(x, h, y, axis, length, starts[axis])
        return y
    hop = size - lost
    frames = ceil_div(x.shape[axis] + lost, hop)
    blocks = framed(x, axis, Framing(size, hop, frames, lost), None, last=False)
    taps = h.view((*h.shape[:axis], 1, *h.shape[axis:]))
    rounds = _transformed("oaconvolve", blocks, taps, [size], [axis + 1])
    before = rounds.shape[: axis + 1]
    behind = rounds.shape[axis + 2 :]
    skipped = [0] * len(rounds.shape)
    skipped[axis + 1] = lost
    kept = region("oaconvolve", rounds, skipped, (*before, hop, *behind))
    whole = kept.view((*before[:-1], frames * hop, *behind))
    return region("oaconvolve", whole, starts, extents)


def _complex_length(x: Buffer[Any], h: Buffer[Any], axis: int, size: int) -> int:
    """Length of blocks that a workgroup transforms in pairs, for rows of real numbers; else 0."""
    rows = inner_of(x.shape, axis) == 1 and h.size == h.shape[axis]
    if not rows or c64 in (x.dtype, h.dtype):
        return 0
    return next((n for n in (size // 2, size // 4) if convolves(x.device, n)), 0)


def _pairs_of_blocks(
    x: Buffer[f32], h: Buffer[f32], y: Buffer[f32], axis: int, size: int, first: int
) -> None:
    """Rows of ``x`` with the row ``h`` in one launch; ``y`` begins at element ``first`` of all.

    Two blocks of ``size`` are one complex row: what is real in front of a real filter is real
    behind it. So the errors of each are as large as those of the larger of the two.
    """
    lost, length, extent = h.size - 1, x.shape[axis], y.shape[axis]
    hop = size - lost
    frames = ceil_div(first + extent, hop)
    framing = Framing(size, hop, frames, lost)
    source = Source("blocks", length, length, framing=framing)
    target = Target("blocks", extent, size, 1 / size, sign=-1.0, first=first)
    line = Line(outer_of(x.shape, axis), size, ceil_div(frames, 2))
    convolve_rows(x, y, line, source, target, fft(h.view((h.size,)), size))
