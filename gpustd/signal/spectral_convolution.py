"""Convolution by Fourier transforms: of whole operands, or by blocks of the longer one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gpucore import Buffer, c64, f32
from gpucore.integers import ceil_div
from gpustd.arrays.elementwise.arithmetic import multiply
from gpustd.arrays.elementwise.conversion import cast
from gpustd.signal.arguments import inner_size, outer_size
from gpustd.signal.convolution_results import empty_result, result_dtype, result_region
from gpustd.signal.fourier.factors import next_smooth
from gpustd.signal.fourier.fft_1d import fft
from gpustd.signal.fourier.fft_nd import fftn, ifftn, irfftn, rfftn
from gpustd.signal.fourier.pass_ends import Line, PassInput, PassOutput
from gpustd.signal.fourier.transforms import can_convolve, convolve_rows
from gpustd.signal.frames import Framing, cut_frames
from gpustd.signal.regions import extract_region, multiply_spectra

__all__ = ["convolve_blocks", "convolve_spectra"]


def convolve_spectra(
    op: str, in1: Buffer[Any], in2: Buffer[Any], mode: str, axes: Sequence[int]
) -> Buffer[Any]:
    """Convolve by transforms of the whole operands."""
    if not in1.size or not in2.size:
        return empty_result(in1, in2)
    starts, extents = result_region(op, in1, in2, mode, axes)
    convolved = [a for a in axes if in1.shape[a] > 1 and in2.shape[a] > 1]
    full = [in1.shape[a] + in2.shape[a] - 1 for a in convolved]
    lengths = [2 * next_smooth(ceil_div(n, 2), (2, 3, 5)) for n in full]
    if convolved:
        result = _convolve_circular(op, in1, in2, lengths, convolved)
    else:
        dtype = result_dtype(in1, in2)
        result = multiply(cast(in1, dtype), cast(in2, dtype))
    return extract_region(op, result, starts, extents)


def _convolve_circular(
    op: str, in1: Buffer[Any], in2: Buffer[Any], lengths: Sequence[int], axes: Sequence[int]
) -> Buffer[Any]:
    """Convolve circularly with ``lengths`` along ``axes``."""
    if result_dtype(in1, in2) is f32:
        spectra = [rfftn(x, lengths, axes) for x in (in1, in2)]
        return irfftn(multiply_spectra(op, *spectra), lengths, axes)
    spectra = [fftn(x, lengths, axes) for x in (in1, in2)]
    return ifftn(multiply_spectra(op, *spectra), lengths, axes)


def convolve_blocks(
    in1: Buffer[Any], in2: Buffer[Any], mode: str, axis: int, size: int
) -> Buffer[Any]:
    """Convolve blocks of ``size`` along ``axis`` by overlap-save."""
    starts, extents = result_region("oaconvolve", in1, in2, mode, [axis])
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
    full = valid.view((*before[:-1], frames * hop, *after))
    return extract_region("oaconvolve", full, starts, extents)


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
