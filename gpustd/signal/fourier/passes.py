"""One pass of a Fourier transform, over the whole array.

Memory sets its least time: a pass reads and writes each number once, 16 bytes for a complex number.
Arithmetic is about 5 log2(n) operations a number, far below what a GPU does in that time.

On GPUs a length has kernels of its own: sizes are constants of their texts, so that addresses cost
little. Up to 16384 that is one kernel, for both directions; beyond it one for each pass, two and a
half times as many as if lengths shared them. On software renderers all lengths share a kernel for
each radix.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gpucore import Buffer, Device, LimitError, c64
from gpucore.integers import ceil_div
from gpustd.launch.grid import flat_grid
from gpustd.launch.template import Value, kernel
from gpustd.launch.variants import forced_tile, forced_variant
from gpustd.signal.fourier import twiddle
from gpustd.signal.fourier.pass_ends import Line, PassInput, PassOutput
from gpustd.signal.fourier.plan import (
    column_tile,
    max_columns,
    pairs_mirror_images,
    row_tile,
    turning_tile,
)
from gpustd.signal.fourier.workgroups import ROWS, Ends, Limits, Tile, choose_layout

__all__ = ["MAX_ROW", "SMALL", "WORKGROUP", "Pass", "device_limits"]

SMALL = 16
"""Numbers that one invocation transforms alone."""

MAX_ROW = 32
"""Numbers of a row, at most, that the registers of one lane hold."""

WORKGROUP = 64
# Rows of a workgroup whose lanes each hold one row: more rows where these are tiny.
_ROWS, _TINY_ROW, _TINY_ROWS = 64, 4, 256
# Workgroups that fill large GPUs.
_WORKGROUPS = 256
_MEMORY = "max_compute_workgroup_storage_size"
_LANES = "max_compute_invocations_per_workgroup"


def device_limits(device: Device) -> Limits:
    """Return the limits of a device's plans.

    `force_variant` takes the variants ``column`` and ``workgroup`` of ``fft``, the latter with
    bytes of memory as tile.
    """
    forced, forced_memory = forced_variant("fft"), forced_tile("fft")
    is_cpu = device.is_cpu if forced is None else forced == "column"
    limits = device.limits
    memory = forced_memory if isinstance(forced_memory, int) else limits.get(_MEMORY, 16384)
    workgroups = 1 if device.is_cpu else _WORKGROUPS
    return Limits(memory, limits.get(_LANES, 256), workgroups, is_cpu)


@dataclass(frozen=True)
class Pass:
    """One pass: columns of ``length`` of ``line``, after passes whose product is ``done``.

    ``through`` is a spectrum that rows are multiplied with before they are transformed again.
    """

    line: Line
    length: int
    done: int
    source: PassInput
    target: PassOutput
    through: Buffer[c64] | None = None

    def record(self, x: Buffer[Any], y: Buffer[Any]) -> None:
        """Record the pass from ``x`` to ``y``. Raises `LimitError`."""
        line = self.line
        columns = line.n // self.length
        count = line.outer * columns * line.inner
        if max(x.size, y.size, count * self.length) > 2**32 - 2**11:
            raise LimitError(
                "fft: arrays must have at most 2**32 - 2**11 elements, for 32-bit indices, got "
                f"{max(x.size, y.size)}; split them"
            )
        is_cpu, rows = device_limits(x.device).is_cpu, columns * line.inner == 1
        if rows and self.length <= MAX_ROW and not is_cpu and self.through is None:
            self._record_lanes(x, y, count)
        elif is_cpu or self.length <= SMALL:
            tables, spec = self._tables(x.device, None)
            launch = kernel(x.device, "signal/column.wgsl", radix=self.length, **spec)
            sizes = self._uniform(columns, count)
            launch(x, *tables, y, sizes, grid=flat_grid(count, WORKGROUP))
        else:
            self._record_workgroups(x, y, columns, count)

    def _record_lanes(self, x: Buffer[Any], y: Buffer[Any], count: int) -> None:
        """Record the pass with a short row in the registers of each lane."""
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
        sizes = self._uniform(1, count)
        launch(x, *tables, y, sizes, grid=flat_grid(count, rows))

    def _record_workgroups(self, x: Buffer[Any], y: Buffer[Any], columns: int, count: int) -> None:
        """Record the pass with columns in workgroup memory."""
        device, single = x.device, self.line.inner == 1
        source, target = self.source, self.target
        ends = Ends(
            reads_rows=(single and columns == 1) or source.framing is not None,
            writes_rows=(single and self.done == 1) or target.rows or target.kind == "blocks",
        )
        limits = device_limits(device)
        tile, few = self._tile(limits, count, ends), self._has_few_workgroups(limits, count, ends)
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
            folded=untangled and ends.reads_rows and pairs_mirror_images(self.length, tile),
            ahead=few and self.through is None,
            **spec,
        )
        tables += [] if self.through is None else [self.through]
        near = twiddle.near_roots(device, tile.radices, back=self.through is not None)
        sizes = self._uniform(columns, count)
        launch(x, *tables, near, y, sizes, grid=flat_grid(ceil_div(count, taken), 1))

    def _tile(self, limits: Limits, count: int, ends: Ends) -> Tile:
        """Return the tile of a workgroup. Raises `LimitError`."""
        columns, n = max_columns(count, limits), self.length
        mirrored, few = (
            self.target.kind == "spectrum",
            self._has_few_workgroups(limits, count, ends),
        )
        if ends == ROWS:
            tile = row_tile(n, limits, columns, mirrored=mirrored, few=few)
        elif ends.reads_rows:
            tile = turning_tile(n, limits, columns, mirrored=mirrored, few=few)
        else:
            rows, quarters = ends.writes_rows, not mirrored
            tile = column_tile(n, limits, columns, rows=rows, quarters=quarters, few=few)
        if tile is None:
            raise LimitError(
                f"fft: a pass must fit the memory of a workgroup, got {self.length} numbers"
            )
        return tile

    def _has_few_workgroups(self, limits: Limits, count: int, ends: Ends) -> bool:
        """Tell whether each workgroup has a multiprocessor of its own."""
        return (2 * count if ends == ROWS else count / 2) <= limits.workgroups

    def _tables(
        self, device: Device, tile: Tile | None
    ) -> tuple[list[Buffer[Any]], dict[str, Value]]:
        """Return tables in the order of the shader's bindings, and the variables of both ends."""
        source, target, n = self.source, self.target, self.line.n
        tables: list[Buffer[Any]] = [] if source.window is None else [source.window]
        tables += [end.factors(n) for end in (source, target) if end.factors is not None]
        halves = 0
        turned, far = self._far_tables(device, tile)
        tables += turned
        pairs = source.full_length if source.kind == "hermitian_pairs" else n
        if source.kind == "hermitian_pairs" or target.kind == "spectrum":
            tables.append(twiddle.roots(device, 2 * pairs))
            halves = twiddle.root_levels(2 * pairs)
        is_cpu = device_limits(device).is_cpu
        spec: dict[str, Value] = {
            "source": source.kind,
            "target": "complex" if target.kind == "spectrum" else target.kind,
            "joined_source": source.as_pairs,
            "joined_target": target.as_pairs,
            "load_by": source.factors is not None,
            "store_by": target.factors is not None,
            "cropped_source": is_cpu or source.count < _read_count(source, n),
            "cropped_target": is_cpu or target.count < n,
            "rows_target": target.rows,
            "framed": source.framing is not None,
            "through": self.through is not None,
            "boundary": "none" if source.framing is None else source.framing.boundary,
            "far": far,
            "halves": halves,
        }
        return tables, spec

    def _far_tables(self, device: Device, tile: Tile | None) -> tuple[list[Buffer[c64]], int]:
        """Return the factors of columns, if passes went before, and the levels of their table."""
        if self.done == 1:
            return [], 0
        if tile is None:
            n = self.done * self.length
            return [twiddle.roots(device, n)], twiddle.root_levels(n)
        sizes = (self.done, self.length, tile.radices[0])
        return [twiddle.far_roots(device, *sizes)], twiddle.far_levels(*sizes)

    def _uniform(self, columns: int, count: int) -> dict[str, int | float]:
        """Return the kernel's uniform."""
        source, target = self.source, self.target
        scale = target.scale / 2 if target.kind == "spectrum" else target.scale
        framing = source.framing
        sizes: dict[str, int | float] = {
            "count": count,
            "period": columns * self.line.inner,
            "inner": self.line.inner,
            "columns": columns,
            "done": self.done,
            "extent": source.full_length,
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


def _read_count(source: PassInput, n: int) -> int:
    """Return how many numbers a transform of ``n`` reads, where the kernel can test for it."""
    match source.kind:
        case "complex" | "real":
            return n
        case "hermitian":
            return n // 2 + 1
        case "hermitian_pairs":
            return source.full_length + 1
        case _:  # pairs and frames are cropped in any case
            return 0


def _tile_spec(tile: Tile, length: int, ends: Ends) -> dict[str, Value]:
    """Return the template's variables of a tile."""
    layout = choose_layout(length, tile, ends)
    return {
        "radices": "x".join(map(str, tile.radices)),
        "lanes": tile.lanes,
        "held": tile.per_lane,
        "group": tile.group,
        "parts": tile.parts,
        "pitch": layout.pitch,
        "skew": layout.skew,
        "slots": layout.slots,
        "reads": "rows" if ends.reads_rows else "columns",
        "writes": "rows" if ends.writes_rows else "columns",
    }
