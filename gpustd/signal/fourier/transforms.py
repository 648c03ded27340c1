"""Fourier transforms along one axis, of any length: passes, or Bluestein's rule.

Lengths whose prime factors are at most 13 take mixed-radix passes. Others become convolutions of
few lengths by Bluestein's rule.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gpucore import Buffer, Device, c64
from gpustd.launch.grid import flat_grid
from gpustd.launch.template import kernel
from gpustd.signal.fourier import twiddle
from gpustd.signal.fourier.factors import is_smooth, next_smooth
from gpustd.signal.fourier.pass_ends import Line, PassInput, PassOutput
from gpustd.signal.fourier.passes import MAX_ROW, SMALL, WORKGROUP, Pass, device_limits
from gpustd.signal.fourier.plan import column_tile, pass_lengths, row_tile, turning_tile

__all__ = ["can_convolve", "can_turn", "convolve_rows", "transform"]


def transform(
    x: Buffer[Any], y: Buffer[Any], line: Line, source: PassInput, target: PassOutput
) -> None:
    """Record the forward transform of ``line`` from ``x`` to ``y``. Raises `LimitError`."""
    if not y.size:
        return
    if source.framing is not None or target.rows:
        Pass(line, line.n, 1, source, target).record(x, y)
        return
    if target.kind == "spectrum" and not _makes_spectrum(x.device, line):
        _transform_pairs(x, y, line, source, target)
        return
    if not is_smooth(line.n):
        _transform_bluestein(x, y, line, source, target)
        return
    mirrored = target.kind == "spectrum"
    lengths = pass_lengths(line.n, line.inner, device_limits(x.device), mirrored=mirrored)
    done = 1
    for i, length in enumerate(lengths):
        last = i == len(lengths) - 1
        into: Buffer[Any] = y if last else x.device.buffer(c64, (line.outer, line.n, line.inner))
        reads = source if i == 0 else PassInput("complex", line.n, line.n)
        writes = target if last else PassOutput("complex", line.n, line.n)
        Pass(line, length, done, reads, writes).record(x, into)
        x = into
        done *= length


def can_turn(device: Device, n: int, *, mirrored: bool = False, to_rows: bool = False) -> bool:
    """Tell whether one pass can read frames and write columns, or with ``to_rows`` the reverse."""
    limits = device_limits(device)
    if limits.is_cpu or n <= SMALL or not is_smooth(n):
        return False
    if to_rows:
        return column_tile(n, limits, rows=True) is not None
    return turning_tile(n, limits, mirrored=mirrored) is not None


def can_convolve(device: Device, n: int) -> bool:
    """Tell whether a workgroup can transform a row of ``n`` forth and back."""
    limits = device_limits(device)
    if limits.is_cpu or n <= SMALL or not is_smooth(n):
        return False
    return row_tile(n, limits) is not None


def convolve_rows(
    x: Buffer[Any],
    y: Buffer[Any],
    line: Line,
    source: PassInput,
    target: PassOutput,
    through: Buffer[c64],
) -> None:
    """Record the transform of rows, their product with ``through``, conjugated, and its transform.

    Their length must satisfy `can_convolve`.
    """
    if y.size:
        Pass(line, line.n, 1, source, target, through).record(x, y)


def _makes_spectrum(device: Device, line: Line) -> bool:
    """Tell whether the last pass can take mirrored columns together and write the spectrum."""
    limits = device_limits(device)
    if limits.is_cpu or line.inner > 1 or not is_smooth(line.n):
        return False
    return line.n <= MAX_ROW or pass_lengths(line.n, 1, limits, mirrored=True)[-1] > SMALL


def _transform_pairs(
    x: Buffer[Any], y: Buffer[Any], line: Line, source: PassInput, target: PassOutput
) -> None:
    """Record the transform of pairs, then the spectrum from it by a kernel of its own."""
    device, n = x.device, line.n
    between = device.buffer(c64, (line.outer, n, line.inner))
    transform(x, between, line, source, PassOutput("complex", n, n))
    count = line.outer * (n // 2 + 1) * line.inner
    sizes = {
        "count": count,
        "inner": line.inner,
        "period": (n // 2 + 1) * line.inner,
        "extent": n,
        "scale": target.scale / 2,
        "scale_im": target.scale * target.sign / 2,
    }
    launch = kernel(device, "signal/untangle.wgsl", halves=twiddle.root_levels(2 * n))
    roots = twiddle.roots(device, 2 * n)
    launch(between, roots, y, sizes, grid=flat_grid(count, WORKGROUP))


def _transform_bluestein(
    x: Buffer[Any], y: Buffer[Any], line: Line, source: PassInput, target: PassOutput
) -> None:
    """Record a circular convolution of a smooth length (Bluestein, IEEE Trans. AU 18, 1970).

    ``sum_j x_j w^(jk) = c_k sum_j (x_j c_j) conj(c_(k - j))`` with ``c_k = exp(-pi i k^2 / n)``.
    The convolution's second transform is inverse: the first one stores conjugates, and the result
    is conjugated again.
    """
    n, device = line.n, x.device
    is_cpu = device_limits(device).is_cpu
    size = next_smooth(2 * n - 1, (2,) if is_cpu else (2, 3))
    wide = replace(line, n=size)

    def rising(least: int) -> Buffer[c64]:
        return twiddle.chirp(device, n, least, conjugate=False)

    def falling(least: int) -> Buffer[c64]:
        return twiddle.chirp(device, n, least, conjugate=True)

    def filtering(least: int) -> Buffer[c64]:
        return twiddle.chirp_spectrum(device, n, least)

    back = replace(target, sign=-target.sign, factors=falling)
    if line.inner == 1 and can_convolve(device, size):
        convolve_rows(x, y, wide, replace(source, factors=rising), back, filtering(size))
        return
    between = device.buffer(c64, (line.outer, size, line.inner))
    product = PassOutput("complex", size, size, sign=-1.0, factors=filtering)
    transform(x, between, wide, replace(source, factors=rising), product)
    inverse = PassInput("complex", size, size)
    transform(between, y, wide, inverse, back)
