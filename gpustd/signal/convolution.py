"""Convolution and correlation over some or all axes: names and results as in `scipy.signal`.

Short kernels follow the definition, with one read of the kernel for each result. Others take
Fourier transforms of both operands, by blocks where one is much longer.
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
from gpustd.signal.arguments import (
    MAX_AXES,
    element_type,
    inner_size,
    outer_size,
    require_float_or_complex,
)
from gpustd.signal.factors import next_smooth
from gpustd.signal.fft_1d import fft
from gpustd.signal.fft_nd import fftn, ifftn, irfftn, rfftn
from gpustd.signal.frames import Framing, cut_frames
from gpustd.signal.pass_ends import Line, PassInput, PassOutput
from gpustd.signal.regions import extract_region, multiply_spectra, reverse_conjugate
from gpustd.signal.transforms import can_convolve, convolve_rows

__all__ = ["convolve", "correlate", "fftconvolve", "oaconvolve"]

_MODES = ("full", "same", "valid")
# Elements of the smaller operand, at most, for which the definition is faster than transforms.
_MAX_DIRECT = 64
# The length of a block: a multiple of the short operand, and a least number of elements.
_BLOCK, _MIN_BLOCK = 8, 1024
# Invocations of a workgroup that convolves rows; words from which on each computes two.
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
    return _convolve_spectra(
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
            return _convolve_blocks(in1, in2, mode, convolved[0], size)
    return _convolve_spectra("oaconvolve", in1, in2, mode, convolved)


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
        return _empty(in1, in2)
    if method == "fft" or (method == "auto" and min(in1.size, in2.size) > _MAX_DIRECT):
        return _convolve_spectra(op, in1, in2, mode, axes)
    return _convolve_directly(op, in1, in2, mode, axes)


def _empty(in1: Buffer[Any], in2: Buffer[Any]) -> Buffer[Any]:
    """Return the result where an operand has no elements."""
    return in1.device.buffer(_result_dtype(in1, in2), (0,) * len(in1.shape))


def _result_dtype(in1: Buffer[Any], in2: Buffer[Any]) -> Any:
    """Return c64 where either operand is, else f32."""
    return c64 if c64 in (in1.dtype, in2.dtype) else f32


def _result_region(
    op: str, in1: Buffer[Any], in2: Buffer[Any], mode: str, axes: Sequence[int]
) -> tuple[list[int], list[int]]:
    """Return starts and extents of a mode's part of the full convolution. Raises `ShapeError`."""
    starts, extents = [0] * len(in1.shape), []
    pairs = list(zip(in1.shape, in2.shape, strict=True))
    inside = all(pairs[a][0] >= pairs[a][1] for a in axes)
    outside = all(pairs[a][0] <= pairs[a][1] for a in axes)
    if mode == "valid" and not inside and not outside:
        raise ShapeError(
            f"{op}: one operand must hold the other for mode 'valid', got {in1.shape} and "
            f"{in2.shape}"
        )
    for a, (m, n) in enumerate(pairs):
        if a not in axes:
            if m != n and 1 not in (m, n):
                raise ShapeError(
                    f"{op}: extents of axis {a} must agree or be 1, got {in1.shape} and {in2.shape}"
                )
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


def _convolve_directly(
    op: str, in1: Buffer[Any], in2: Buffer[Any], mode: str, axes: Sequence[int]
) -> Buffer[Any]:
    """Convolve by the definition."""
    starts, extents = _result_region(op, in1, in2, mode, axes)
    x, h = (in1, in2) if in1.size >= in2.size else (in2, in1)
    y = x.device.buffer(_result_dtype(in1, in2), tuple(extents))
    if _fits_row_kernel(x, h, y):
        _launch_rows(x, h, y, starts[-1])
        return y
    sizes: dict[str, int | float] = {}
    for a, extent in enumerate(extents):
        sizes[f"extent{a}"] = extent
        sizes[f"x_extent{a}"] = x.shape[a]
        sizes[f"taps{a}"] = h.shape[a]
        sizes[f"first{a}"] = starts[a]
    spec: dict[str, Value] = {"a": element_type(x), "b": element_type(h), "rank": len(extents)}
    launch_each("signal/direct.wgsl", spec, (x, h, y), y.size, sizes)
    return y


def _fits_row_kernel(x: Buffer[Any], h: Buffer[Any], y: Buffer[Any]) -> bool:
    """Tell whether ``h`` is a row, and rows of real numbers are whole words of four."""
    variant = forced_variant("convolve") or ("direct" if x.device.is_cpu else "direct_rows")
    if h.size != h.shape[-1] or c64 in (x.dtype, h.dtype) or variant == "direct":
        return False
    whole = x.shape[-1] % 4 == y.shape[-1] % 4 == 0
    same_rows = x.shape[:-1] == y.shape[:-1]
    return y.size > 0 and same_rows and (whole or x.size == x.shape[-1])


def _launch_rows(x: Buffer[Any], h: Buffer[Any], y: Buffer[Any], first: int) -> None:
    """Record the convolution of rows of ``x`` with the row ``h``, from element ``first`` on."""
    words = math.prod(y.shape[:-1]) * ceil_div(y.shape[-1], 4)
    sizes: dict[str, int | float] = {
        "count": words,
        "extent": y.shape[-1],
        "x_extent": x.shape[-1],
        "taps": h.shape[-1],
        "first": first,
    }
    words_each = 2 if words >= _MANY_WORDS else 1
    launch = kernel(x.device, "signal/direct_rows.wgsl", rest=(first + 1) % 4, words=words_each)
    launch(x, h, y, sizes, grid=flat_grid(words, _GROUP * words_each))


def _convolve_spectra(
    op: str, in1: Buffer[Any], in2: Buffer[Any], mode: str, axes: Sequence[int]
) -> Buffer[Any]:
    """Convolve by transforms of the whole operands."""
    if not in1.size or not in2.size:
        return _empty(in1, in2)
    starts, extents = _result_region(op, in1, in2, mode, axes)
    convolved = [a for a in axes if in1.shape[a] > 1 and in2.shape[a] > 1]
    full = [in1.shape[a] + in2.shape[a] - 1 for a in convolved]
    lengths = [2 * next_smooth(ceil_div(n, 2), (2, 3, 5)) for n in full]
    if convolved:
        result = _convolve_circular(op, in1, in2, lengths, convolved)
    else:
        dtype = _result_dtype(in1, in2)
        result = multiply(cast(in1, dtype), cast(in2, dtype))
    return extract_region(op, result, starts, extents)


def _convolve_circular(
    op: str, in1: Buffer[Any], in2: Buffer[Any], lengths: Sequence[int], axes: Sequence[int]
) -> Buffer[Any]:
    """Convolve circularly with ``lengths`` along ``axes``."""
    if _result_dtype(in1, in2) is f32:
        spectra = [rfftn(x, lengths, axes) for x in (in1, in2)]
        return irfftn(multiply_spectra(op, *spectra), lengths, axes)
    spectra = [fftn(x, lengths, axes) for x in (in1, in2)]
    return ifftn(multiply_spectra(op, *spectra), lengths, axes)


def _convolve_blocks(
    in1: Buffer[Any], in2: Buffer[Any], mode: str, axis: int, size: int
) -> Buffer[Any]:
    """Convolve blocks of ``size`` along ``axis`` by overlap-save."""
    starts, extents = _result_region("oaconvolve", in1, in2, mode, [axis])
    x, h = (in1, in2) if in1.shape[axis] >= in2.shape[axis] else (in2, in1)
    lost = h.shape[axis] - 1
    length = _paired_block_length(x, h, axis, size)
    if length:
        y = x.device.buffer(f32, tuple(extents))
        _convolve_paired_blocks(x, h, y, axis, length, starts[axis])
        return y
    hop = size - lost
    frames = ceil_div(x.shape[axis] + lost, hop)
    blocks = cut_frames(x, axis, Framing(size, hop, frames, lost), None, last=False)
    taps = h.view((*h.shape[:axis], 1, *h.shape[axis:]))
    circular = _convolve_circular("oaconvolve", blocks, taps, [size], [axis + 1])
    before = circular.shape[: axis + 1]
    after = circular.shape[axis + 2 :]
    skipped = [0] * len(circular.shape)
    skipped[axis + 1] = lost
    valid = extract_region("oaconvolve", circular, skipped, (*before, hop, *after))
    whole = valid.view((*before[:-1], frames * hop, *after))
    return extract_region("oaconvolve", whole, starts, extents)


def _paired_block_length(x: Buffer[Any], h: Buffer[Any], axis: int, size: int) -> int:
    """Return the length of blocks that a workgroup transforms in pairs; 0 unless rows are real."""
    rows = inner_size(x.shape, axis) == 1 and h.size == h.shape[axis]
    if not rows or c64 in (x.dtype, h.dtype):
        return 0
    return next((n for n in (size // 2, size // 4) if can_convolve(x.device, n)), 0)


def _convolve_paired_blocks(
    x: Buffer[f32], h: Buffer[f32], y: Buffer[f32], axis: int, size: int, first: int
) -> None:
    """Convolve rows of ``x`` with the row ``h`` in one launch, from element ``first`` on.

    Two blocks of ``size`` are one complex row: the real filter keeps real and imaginary parts
    apart. So the errors of each are as large as those of the larger of the two.
    """
    lost, length, extent = h.size - 1, x.shape[axis], y.shape[axis]
    hop = size - lost
    frames = ceil_div(first + extent, hop)
    framing = Framing(size, hop, frames, lost)
    source = PassInput("blocks", length, length, framing=framing)
    target = PassOutput("blocks", extent, size, 1 / size, sign=-1.0, first=first)
    line = Line(outer_size(x.shape, axis), size, ceil_div(frames, 2))
    convolve_rows(x, y, line, source, target, fft(h.view((h.size,)), size))
