"""Discrete Fourier transforms along one axis, whatever its length: passes, or Bluestein's rule.

Floor: bytes. A pass reads and writes each number once, 16 bytes for a complex number; arithmetic is
about 5 log2(n) operations a number, far below what a GPU does in that time.

On GPUs a length has kernels of its own: sizes are constants of their texts, so that addresses cost
little. Up to 16384 that is one kernel, for both directions, beyond it one for each pass, two and a
half times as many as if lengths shared them. Bluestein's rule goes through few lengths. On software
renderers all lengths share a kernel for each radix.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from gpucore import Buffer, Device, LimitError, c64
from gpustd.grid import flat_grid
from gpustd.rungs import wanted_rung, wanted_tile
from gpustd.signal import twiddle
from gpustd.signal.plan import (
    Limits,
    Tile,
    column_tile,
    folds,
    is_smooth,
    layout_of,
    most_of,
    passes,
    row_tile,
    smooth_above,
)
from gpustd.template import Value, kernel

__all__ = ["Line", "Source", "Target", "limits_of", "transform"]

_SMALL = 16
_WORKGROUP = 64
# What fills large GPUs.
_WORKGROUPS = 256
_MEMORY = "max_compute_workgroup_storage_size"
_LANES = "max_compute_invocations_per_workgroup"
Table = Callable[[int], Buffer[c64]]


@dataclass(frozen=True)
class Line:
    """The axis of ``n`` numbers that is transformed, in an array (outer, axis, inner)."""

    outer: int
    n: int
    inner: int


@dataclass(frozen=True)
class Source:
    """What the first pass reads.

    Attributes:
        kind: complex, real, pairs, hermitian or hermitian_pairs (see ``shaders/signal/ends.wgsl``).
        extent: of the axis as it lies in memory; count: how many of it are read, then zeros.
        sign: -1.0 to take conjugates. joined: the buffer is f32, its pairs are complex numbers.
        by: the table, given its least length, whose numbers multiply the source's.
        of: numbers (or pairs) whose spectrum a hermitian source is.
    """

    kind: str
    extent: int
    count: int
    sign: float = 1.0
    joined: bool = False
    by: Table | None = None
    of: int = 0


@dataclass(frozen=True)
class Target:
    """What the last pass writes: as `Source`, every number times ``scale`` at the end.

    ``kind`` is complex, real, pairs, or spectrum: the ``extent`` = n + 1 first numbers of the
    transform of the real numbers whose pairs the source was.
    """

    kind: str
    extent: int
    count: int
    scale: float = 1.0
    sign: float = 1.0
    joined: bool = False
    by: Table | None = None


def limits_of(device: Device) -> Limits:
    """What the plans of a device may use.

    The rungs ``column`` and ``workgroup`` can be forced, the latter with bytes of memory as tile.
    """
    wanted, memory = wanted_rung("fft"), wanted_tile("fft")
    is_cpu = device.is_cpu if wanted is None else wanted == "column"
    limits = device.limits
    most = memory if isinstance(memory, int) else limits.get(_MEMORY, 16384)
    workgroups = 1 if device.is_cpu else _WORKGROUPS
    return Limits(most, limits.get(_LANES, 256), workgroups, is_cpu)


def transform(x: Buffer[Any], y: Buffer[Any], line: Line, source: Source, target: Target) -> None:
    """Record the forward transform of ``line`` from ``x`` to ``y``. Raises `LimitError`."""
    if not y.size:
        return
    if target.kind == "spectrum" and not _untangles(x.device, line):
        _spectrum(x, y, line, source, target)
        return
    if not is_smooth(line.n):
        _bluestein(x, y, line, source, target)
        return
    mirrored = target.kind == "spectrum"
    lengths = passes(line.n, line.inner, limits_of(x.device), mirrored=mirrored)
    done = 1
    for i, length in enumerate(lengths):
        last = i == len(lengths) - 1
        into: Buffer[Any] = y if last else x.device.buffer(c64, (line.outer, line.n, line.inner))
        whole = line.n
        reads = source if i == 0 else Source("complex", whole, whole)
        writes = target if last else Target("complex", whole, whole)
        _Pass(line, length, done, reads, writes).record(x, into)
        x = into
        done *= length


def _untangles(device: Device, line: Line) -> bool:
    """Whether the last pass can take mirrored columns together and make the spectrum."""
    limits = limits_of(device)
    if limits.is_cpu or line.inner > 1 or not is_smooth(line.n):
        return False
    return passes(line.n, 1, limits, mirrored=True)[-1] > _SMALL


def _spectrum(x: Buffer[Any], y: Buffer[Any], line: Line, source: Source, target: Target) -> None:
    """The transform of pairs, then the spectrum from it by a pass of its own."""
    device, n = x.device, line.n
    between = device.buffer(c64, (line.outer, n, line.inner))
    transform(x, between, line, source, Target("complex", n, n))
    count = line.outer * (n // 2 + 1) * line.inner
    sizes = {
        "count": count,
        "inner": line.inner,
        "period": (n // 2 + 1) * line.inner,
        "extent": n,
        "scale": target.scale / 2,
        "scale_im": target.scale * target.sign / 2,
    }
    launch = kernel(device, "signal/untangle.wgsl", halves=twiddle.levels_of(2 * n))
    roots = twiddle.roots(device, 2 * n)
    launch(between, roots, y, sizes, grid=flat_grid(count, _WORKGROUP))


def _bluestein(x: Buffer[Any], y: Buffer[Any], line: Line, source: Source, target: Target) -> None:
    """As a circular convolution of a smooth length (Bluestein, IEEE Trans. AU 18, 1970).

    ``sum_j x_j w^(jk) = c_k sum_j (x_j c_j) conj(c_(k - j))`` with ``c_k = exp(-pi i k^2 / n)``.
    The convolution's second transform is inverse: the first stores conjugates, the second's are
    taken.
    """
    n, device = line.n, x.device
    is_cpu = limits_of(device).is_cpu
    size = smooth_above(2 * n - 1, (2,) if is_cpu else (2, 3))
    wide = replace(line, n=size)
    between = device.buffer(c64, (line.outer, size, line.inner))

    def rising(least: int) -> Buffer[c64]:
        return twiddle.chirp(device, n, least, conjugate=False)

    def falling(least: int) -> Buffer[c64]:
        return twiddle.chirp(device, n, least, conjugate=True)

    def filtering(least: int) -> Buffer[c64]:
        return twiddle.chirp_spectrum(device, n, least)

    product = Target("complex", size, size, sign=-1.0, by=filtering)
    transform(x, between, wide, replace(source, by=rising), product)
    inverse = Source("complex", size, size)
    transform(between, y, wide, inverse, replace(target, sign=-target.sign, by=falling))


@dataclass(frozen=True)
class _Pass:
    """One pass: columns of ``length`` of ``line``, after passes whose product is ``done``."""

    line: Line
    length: int
    done: int
    source: Source
    target: Target

    def record(self, x: Buffer[Any], y: Buffer[Any]) -> None:
        line = self.line
        columns = line.n // self.length
        count = line.outer * columns * line.inner
        if max(x.size, y.size, count * self.length) > 2**32 - 2**11:
            raise LimitError(f"fft: {max(x.size, y.size)} elements need more than 32-bit indices")
        if limits_of(x.device).is_cpu or self.length <= _SMALL:
            tables, spec = self._tables(x.device, None)
            launch = kernel(x.device, "signal/column.wgsl", radix=self.length, **spec)
            sizes = self._sizes(columns, count)
            launch(x, *tables, y, sizes, grid=flat_grid(count, _WORKGROUP))
        else:
            self._by_workgroups(x, y, columns, count)

    def _by_workgroups(self, x: Buffer[Any], y: Buffer[Any], columns: int, count: int) -> None:
        device, single = x.device, self.line.inner == 1
        rows = columns == 1 and single
        tile = self._tile(limits_of(device), count, rows=rows)
        tables, spec = self._tables(device, tile)
        spec |= _tile_spec(tile, self.length, rows=rows, rows_out=single and self.done == 1)
        untangled = self.target.kind == "spectrum"
        taken = tile.group
        if untangled and not rows:
            # Columns j and T - j of the T go together: T / 2 + 1 pairs, half of them in a group.
            count = self.line.outer * (columns // 2 + 1)
            taken //= 2
        launch = kernel(
            device,
            "signal/workgroup.wgsl",
            extent=self.length,
            columns=columns,
            done=self.done,
            single=single,
            untangled=untangled,
            folded=untangled and rows and folds(self.length, tile),
            **spec,
        )
        near = twiddle.near_roots(device, tile.radices)
        sizes = self._sizes(columns, count)
        launch(x, *tables, near, y, sizes, grid=flat_grid(-(-count // taken), 1))

    def _tile(self, limits: Limits, count: int, *, rows: bool) -> Tile:
        most = most_of(count, limits)
        mirrored = self.target.kind == "spectrum"
        if rows:
            few = 2 * count <= limits.workgroups
            found = row_tile(self.length, limits, most, mirrored=mirrored, few=few)
        else:
            rows_out = self.line.inner * self.done == 1
            few = count <= 2 * limits.workgroups
            found = column_tile(
                self.length, limits, most, rows=rows_out, quarters=not mirrored, few=few
            )
        if found is None:
            raise LimitError(f"fft: no workgroup holds {self.length} numbers")
        return found

    def _tables(
        self, device: Device, tile: Tile | None
    ) -> tuple[list[Buffer[c64]], dict[str, Value]]:
        """Tables in the order of the shader's bindings, and the specification of both ends."""
        source, target, n = self.source, self.target, self.line.n
        tables = [end.by(n) for end in (source, target) if end.by is not None]
        halves = 0
        turned, far = self._far(device, tile)
        tables += turned
        pairs = source.of if source.kind == "hermitian_pairs" else n
        if source.kind == "hermitian_pairs" or target.kind == "spectrum":
            tables.append(twiddle.roots(device, 2 * pairs))
            halves = twiddle.levels_of(2 * pairs)
        is_cpu = limits_of(device).is_cpu
        whole = source.kind not in ("complex", "real") or source.count == n
        spec: dict[str, Value] = {
            "source": source.kind,
            "target": "complex" if target.kind == "spectrum" else target.kind,
            "joined_source": source.joined,
            "joined_target": target.joined,
            "load_by": source.by is not None,
            "store_by": target.by is not None,
            "cropped_source": is_cpu or not whole,
            "cropped_target": is_cpu or target.count < n,
            "far": far,
            "halves": halves,
        }
        return tables, spec

    def _far(self, device: Device, tile: Tile | None) -> tuple[list[Buffer[c64]], int]:
        """What columns are multiplied by, if passes went before, and its levels."""
        if self.done == 1:
            return [], 0
        if tile is None:
            n = self.done * self.length
            return [twiddle.roots(device, n)], twiddle.levels_of(n)
        sizes = (self.done, self.length, tile.radices[0])
        return [twiddle.far_roots(device, *sizes)], twiddle.far_levels(*sizes)

    def _sizes(self, columns: int, count: int) -> dict[str, int | float]:
        source, target = self.source, self.target
        scale = target.scale / 2 if target.kind == "spectrum" else target.scale
        return {
            "count": count,
            "period": columns * self.line.inner,
            "inner": self.line.inner,
            "columns": columns,
            "done": self.done,
            "extent": source.of,
            "x_extent": source.extent,
            "x_count": source.count,
            "y_extent": target.extent,
            "y_count": target.count,
            "x_sign": source.sign,
            "scale": scale,
            "scale_im": scale * target.sign,
        }


def _tile_spec(tile: Tile, length: int, *, rows: bool, rows_out: bool) -> dict[str, Value]:
    layout = layout_of(length, tile, reads_rows=rows, writes_rows=rows_out)
    return {
        "radices": "x".join(map(str, tile.radices)),
        "lanes": tile.lanes,
        "held": tile.held,
        "group": tile.group,
        "parts": tile.parts,
        "pitch": layout.pitch,
        "skew": layout.skew,
        "slots": layout.slots,
        "reads": "rows" if rows else "columns",
        "writes": "rows" if rows_out else "columns",
    }
