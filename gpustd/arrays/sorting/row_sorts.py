"""Sorts of short rows, which lanes hold in registers, in one launch."""

from __future__ import annotations

from typing import Any

from gpucore import Buffer, Device, i32
from gpustd.launch.grid import flat_grid
from gpustd.launch.subgroups import row_lanes
from gpustd.launch.template import Value, kernel
from gpustd.launch.variants import forced_tile

__all__ = ["longest_row", "sort_rows"]

_LONGEST_ROW = 8192
_NARROW = ("f16", "i8", "u8")
_SHORTEST = 16
# Elements of a lane in rows up to _MIDDLE and in longer ones; lanes of a workgroup.
_EACH = 16
_MOST_EACH = 32
_MIDDLE = 256
_WORKGROUP = 128


def longest_row(device: Device) -> int:
    """Return the elements of the longest rows that fit the lanes and memory of a workgroup."""
    most = device.limits["max_compute_invocations_per_workgroup"] * _MOST_EACH
    memory = device.limits["max_compute_workgroup_storage_size"] // 4
    return 1 << min(most, memory, _LONGEST_ROW).bit_length() - 1


def sort_rows(x: Buffer[Any], *, places: bool, descending: bool) -> Buffer[Any]:
    """Sort rows (axis 1) of up to `longest_row` elements; with ``places`` return i32 places.

    Rows of f16, i8 and u8 must be a multiple of four long.
    """
    rows, n = x.shape
    side = max(_SHORTEST, 1 << (n - 1).bit_length())
    tile = forced_tile("sort")
    each = _EACH if side <= _MIDDLE else _MOST_EACH
    each = tile if isinstance(tile, int) else each
    lanes = row_lanes(x.device) or 1
    kind = x.dtype.name
    workgroup = max(_WORKGROUP, side // each)
    spec: dict[str, Value] = {
        "kind": kind,
        "mode": "keys" if not places else "packed" if kind in _NARROW else "pairs",
        "descending": descending,
        "aligned": n % 4 == 0,
        "side": side,
        "each": each,
        "workgroup": workgroup,
        "lanes": lanes,
    }
    y: Buffer[Any] = x.device.buffer(i32 if places else x.dtype, x.shape)
    launch = kernel(x.device, "arrays/sort_rows.wgsl", **spec)
    launch(x, y, {"n": n, "count": rows}, grid=flat_grid(rows, workgroup * each // side))
    return y
