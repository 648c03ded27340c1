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

from gpucore import Buffer, Device, LimitError, c64, f32
from gpucore.integers import ceil_div
from gpustd.launch.grid import flat_grid
from gpustd.launch.template import Value, kernel
from gpustd.launch.variants import forced_tile, forced_variant
from gpustd.signal import twiddle
from gpustd.signal.frames import Framing
from gpustd.signal.plan import (
    ROWS,
    Ends,
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
    turning_tile,
)

__all__ = [
    "Line",
    "Source",
    "Target",
    "convolve_rows",
    "convolves",
    "limits_of",
    "transform",
    "turns",
]

_SMALL = 16
# Rows that a lane's registers hold, and such rows of a workgroup: more where they are tiny.
_MOST_ROW, _TINY_ROW = 32, 4
_ROWS, _TINY_ROWS = 64, 256
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
        kind: complex, real, pairs, hermitian, hermitian_pairs, frames, frame_pairs or blocks
        (see ``shaders/signal/ends.wgsl``).
        extent: of the axis as it lies in memory; count: how many of it are read, then zeros.
        sign: -1.0 to take conjugates. joined: the buffer is f32, its pairs are complex numbers.
        by: the table, given its least length, whose numbers multiply the source's.
        of: numbers (or pairs) whose spectrum a hermitian source is.
        framing: how frames, the inner axis, are cut from a signal; window: what they are times.
    """

    kind: str
    extent: int
    count: int
    sign: float = 1.0
    joined: bool = False
    by: Table | None = None
    of: int = 0
    framing: Framing | None = None
    window: Buffer[f32] | None = None


@dataclass(frozen=True)
class Target:
    """What the last pass writes: as `Source`, every number times ``scale`` at the end.

    ``kind`` is complex, real, pairs, blocks (a row of them that begins at ``first``), or spectrum:
    the ``extent`` = n + 1 first numbers of the transform of the real numbers whose pairs the source
    was. With ``rows`` the transformed axis is the last, behind the inner one.
    """

    kind: str
    extent: int
    count: int
    scale: float = 1.0
    sign: float = 1.0
    joined: bool = False
    by: Table | None = None
    rows: bool = False
    first: int = 0


def limits_of(device: Device) -> Limits:
    """What the plans of a device may use.

    Variants ``column`` and ``workgroup`` can be forced, the latter with bytes of memory as tile.
    """
    wanted, memory = forced_variant("fft"), forced_tile("fft")
    is_cpu = device.is_cpu if wanted is None else wanted == "column"
    limits = device.limits
    most = memory if isinstance(memory, int) else limits.get(_MEMORY, 16384)
    workgroups = 1 if device.is_cpu else _WORKGROUPS
    return Limits(most, limits.get(_LANES, 256), workgroups, is_cpu)


def transform(x: Buffer[Any], y: Buffer[Any], line: Line, source: Source, target: Target) -> None:
    """Record the forward transform of ``line`` from ``x`` to ``y``. Raises `LimitError`."""
    if not y.size:
        return
    if source.framing is not None or target.rows:
        _Pass(line, line.n, 1, source, target).record(x, y)
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


def turns(device: Device, n: int, *, mirrored: bool = False, to_rows: bool = False) -> bool:
    """Whether one pass can read frames and write columns, or with ``to_rows`` the reverse."""
    limits = limits_of(device)
    if limits.is_cpu or n <= _SMALL or not is_smooth(n):
        return False
    if to_rows:
        return column_tile(n, limits, rows=True) is not None
    return turning_tile(n, limits, mirrored=mirrored) is not None


def convolves(device: Device, n: int) -> bool:
    """Whether a workgroup can transform a row of ``n`` there and back."""
    limits = limits_of(device)
    if limits.is_cpu or n <= _SMALL or not is_smooth(n):
        return False
    return row_tile(n, limits) is not None


def convolve_rows(
    x: Buffer[Any],
    y: Buffer[Any],
    line: Line,
    source: Source,
    target: Target,
    through: Buffer[c64],
) -> None:
    """Record the transform of rows times ``through``, conjugated, and transformed again.

    `convolves` holds of their length.
    """
    if y.size:
        _Pass(line, line.n, 1, source, target, through).record(x, y)


def _untangles(device: Device, line: Line) -> bool:
    """Whether the last pass can take mirrored columns together and make the spectrum."""
    limits = limits_of(device)
    if limits.is_cpu or line.inner > 1 or not is_smooth(line.n):
        return False
    return line.n <= _MOST_ROW or passes(line.n, 1, limits, mirrored=True)[-1] > _SMALL


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

    def rising(least: int) -> Buffer[c64]:
        return twiddle.chirp(device, n, least, conjugate=False)

    def falling(least: int) -> Buffer[c64]:
        return twiddle.chirp(device, n, least, conjugate=True)

    def filtering(least: int) -> Buffer[c64]:
        return twiddle.chirp_spectrum(device, n, least)

    back = replace(target, sign=-target.sign, by=falling)
    if line.inner == 1 and convolves(device, size):
        convolve_rows(x, y, wide, replace(source, by=rising), back, filtering(size))
        return
    between = device.buffer(c64, (line.outer, size, line.inner))
    product = Target("complex", size, size, sign=-1.0, by=filtering)
    transform(x, between, wide, replace(source, by=rising), product)
    inverse = Source("complex", size, size)
    transform(between, y, wide, inverse, back)


@dataclass(frozen=True)
class _Pass:
    """One pass: columns of ``length`` of ``line``, after passes whose product is ``done``."""

    line: Line
    length: int
    done: int
    source: Source
    target: Target
    through: Buffer[c64] | None = None

    def record(self, x: Buffer[Any], y: Buffer[Any]) -> None:
        line = self.line
        columns = line.n // self.length
        count = line.outer * columns * line.inner
        if max(x.size, y.size, count * self.length) > 2**32 - 2**11:
            raise LimitError(f"fft: {max(x.size, y.size)} elements need more than 32-bit indices")
        is_cpu, rows = limits_of(x.device).is_cpu, columns * line.inner == 1
        if rows and self.length <= _MOST_ROW and not is_cpu and self.through is None:
            self._by_lanes(x, y, count)
        elif is_cpu or self.length <= _SMALL:
            tables, spec = self._tables(x.device, None)
            launch = kernel(x.device, "signal/column.wgsl", radix=self.length, **spec)
            sizes = self._sizes(columns, count)
            launch(x, *tables, y, sizes, grid=flat_grid(count, _WORKGROUP))
        else:
            self._by_workgroups(x, y, columns, count)

    def _by_lanes(self, x: Buffer[Any], y: Buffer[Any], count: int) -> None:
        tables, spec = self._tables(x.device, None)
        rows = _TINY_ROWS if self.length <= _TINY_ROW else _ROWS
        launch = kernel(
            x.device,
            "signal/rows.wgsl",
            radix=self.length,
            lanes=rows,
            untangled=self.target.kind == "spectrum",
            **spec,
        )
        sizes = self._sizes(1, count)
        launch(x, *tables, y, sizes, grid=flat_grid(count, rows))

    def _by_workgroups(self, x: Buffer[Any], y: Buffer[Any], columns: int, count: int) -> None:
        device, single = x.device, self.line.inner == 1
        source, target = self.source, self.target
        ends = Ends(
            reads_rows=(single and columns == 1) or source.framing is not None,
            writes_rows=(single and self.done == 1) or target.rows or target.kind == "blocks",
        )
        limits = limits_of(device)
        tile, few = self._tile(limits, count, ends), self._few(limits, count, ends)
        tables, spec = self._tables(device, tile)
        spec |= _tile_spec(tile, self.length, ends)
        untangled = target.kind == "spectrum"
        taken = tile.group
        if untangled and not ends.reads_rows:
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
            folded=untangled and ends.reads_rows and folds(self.length, tile),
            ahead=few and self.through is None,
            **spec,
        )
        tables += [] if self.through is None else [self.through]
        near = twiddle.near_roots(device, tile.radices, back=self.through is not None)
        sizes = self._sizes(columns, count)
        launch(x, *tables, near, y, sizes, grid=flat_grid(ceil_div(count, taken), 1))

    def _tile(self, limits: Limits, count: int, ends: Ends) -> Tile:
        most, n = most_of(count, limits), self.length
        mirrored, few = self.target.kind == "spectrum", self._few(limits, count, ends)
        if ends == ROWS:
            found = row_tile(n, limits, most, mirrored=mirrored, few=few)
        elif ends.reads_rows:
            found = turning_tile(n, limits, most, mirrored=mirrored, few=few)
        else:
            rows, quarters = ends.writes_rows, not mirrored
            found = column_tile(n, limits, most, rows=rows, quarters=quarters, few=few)
        if found is None:
            raise LimitError(f"fft: no workgroup holds {self.length} numbers")
        return found

    def _few(self, limits: Limits, count: int, ends: Ends) -> bool:
        """Whether workgroups have multiprocessors of their own."""
        return (2 * count if ends == ROWS else count / 2) <= limits.workgroups

    def _tables(
        self, device: Device, tile: Tile | None
    ) -> tuple[list[Buffer[Any]], dict[str, Value]]:
        """Tables in the order of the shader's bindings, and the specification of both ends."""
        source, target, n = self.source, self.target, self.line.n
        tables: list[Buffer[Any]] = [] if source.window is None else [source.window]
        tables += [end.by(n) for end in (source, target) if end.by is not None]
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
            "rows_target": target.rows,
            "framed": source.framing is not None,
            "through": self.through is not None,
            "boundary": "none" if source.framing is None else source.framing.boundary,
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
        framing = source.framing
        sizes: dict[str, int | float] = {
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
        if framing is not None:
            length, hop = source.extent, framing.hop
            sizes |= {"length": length, "hop": hop, "start": framing.start, "reach": framing.reach}
            sizes["first"] = target.first
        return sizes


def _tile_spec(tile: Tile, length: int, ends: Ends) -> dict[str, Value]:
    layout = layout_of(length, tile, ends)
    return {
        "radices": "x".join(map(str, tile.radices)),
        "lanes": tile.lanes,
        "held": tile.held,
        "group": tile.group,
        "parts": tile.parts,
        "pitch": layout.pitch,
        "skew": layout.skew,
        "slots": layout.slots,
        "reads": "rows" if ends.reads_rows else "columns",
        "writes": "rows" if ends.writes_rows else "columns",
    }
