"""The variants of attention: the template variables and the grid of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from gpucore import Device, LimitError
from gpucore.integers import ceil_div
from gpustd.launch.grid import flat_grid
from gpustd.launch.subgroups import broadcast_lanes
from gpustd.launch.template import Value
from gpustd.launch.variants import forced_tile
from gpustd.nn.attention.ampere import ampere_shader, takes_ampere
from gpustd.nn.attention.hopper import takes_hopper
from gpustd.nn.attention.matrix import matrix_shader, takes_matrix_units
from gpustd.nn.attention.sizes import AttentionSizes, Shader, workgroup_memory

__all__ = ["VARIANTS", "FlashTile", "best_variant"]

# Channels up to which a row of a head fits the registers of an invocation of "rows".
_NARROW_HEAD = 48
# Channels up to which a head is staged as a whole.
_WIDE_HEAD = 160


class FlashTile(NamedTuple):
    """Rows of an invocation, and channels that are staged at a time."""

    rows: int
    slab: int


def best_variant(device: Device, scalar: str, sizes: AttentionSizes, *, separate: bool) -> str:
    """Return the fastest variant for a device; it depends on the sizes of one image only.

    ``separate``: q, k and v are buffers of their own and every row sees all keys, as "products"
    requires.
    """
    head = sizes.head
    if device.is_cpu:
        return "cpu" if head % 4 == 0 else "naive"
    if takes_hopper(device, scalar, sizes):
        return "hopper"
    if takes_ampere(device, scalar, sizes):
        return "ampere"
    if takes_matrix_units(device, scalar, head):
        return "matrix"
    halves = device.has_matrix_units and scalar == "f16"
    wide = sizes.heads == 1 and head > _WIDE_HEAD and sizes.batch * sizes.sq > 0
    if separate and halves and wide and sizes.sk % 8 == 0 == head % 8:
        return "products"
    if head % 4 == 0 and head <= _NARROW_HEAD:
        return "rows"
    return "flash" if _flash_tile(device, scalar, sizes) else "naive"


def _naive(device: Device, scalar: str, sizes: AttentionSizes) -> Shader:
    """Return the readable variant: an invocation a row."""
    grid = flat_grid(sizes.batch * sizes.sq * sizes.heads, 64)
    return Shader({"vector": False, "head": sizes.head}, 1, grid)


def _cpu(device: Device, scalar: str, sizes: AttentionSizes) -> Shader:
    """Return the variant for software renderers.

    Blocks of keys are as wide as a subgroup whose lanes can broadcast values, else two wide.
    """
    lanes = broadcast_lanes(device)
    rows, keys, widest, workgroup = (2, lanes, 32, lanes) if lanes else (4, 2, 16, 8)
    if sizes.head > _WIDE_HEAD:
        widest = 64
    slices = ceil_div(sizes.head, widest)
    spec: dict[str, Value] = {
        "vector": True,
        "rows": rows,
        "keys": keys,
        "lanes": lanes,
        "workgroup": workgroup,
        "slice": ceil_div(sizes.head, 4 * slices) * 4,
    }
    if lanes and device.info.engine == "dawn":
        spec["broadcast"] = True
    grid = (ceil_div(sizes.sq, rows * workgroup), sizes.heads * slices, sizes.batch)
    return Shader(spec, 4, grid)


def _rows(device: Device, scalar: str, sizes: AttentionSizes) -> Shader:
    """Return the variant for narrow heads, whose invocations have one or two whole rows.

    The order of sums is the same for both.
    """
    rows, threads = 2 if sizes.sq > 64 else 1, 64
    spec: dict[str, Value] = {
        "vector": True,
        "chunks": sizes.head // 4,
        "rows": rows,
        "threads": threads,
        "keys": 32,
        "batch": 8,
    }
    return Shader(spec, 4, (ceil_div(sizes.sq, rows * threads), sizes.heads, sizes.batch))


def _flash(device: Device, scalar: str, sizes: AttentionSizes) -> Shader:
    """Return the variant that stages keys and values in workgroup memory. Raises `LimitError`."""
    tile = _flash_tile(device, scalar, sizes)
    if tile is None:
        raise LimitError(
            f"attention: heads of {sizes.head} channels must fit the registers and the "
            f"{workgroup_memory(device)} bytes of workgroup memory of {device.name}; "
            "split them into more heads"
        )
    unit = 4 if sizes.head % 4 == 0 else 1
    spec: dict[str, Value] = {"vector": unit == 4, "head": sizes.head, **tile._asdict()}
    return Shader(spec, unit, (ceil_div(sizes.sq, 16 * tile.rows), sizes.heads, sizes.batch))


def _flash_tile(device: Device, scalar: str, sizes: AttentionSizes) -> FlashTile | None:
    """Return the largest tile that fits registers and workgroup memory; None where none does."""
    tile = forced_tile("attention")
    if isinstance(tile, FlashTile):
        return tile
    head = ceil_div(sizes.head, 4) * 4
    slabs = [head] if head <= _WIDE_HEAD else []
    # No more rows than leave half of a workgroup idle.
    for rows in (n for n in (4, 2, 1) if n == 1 or 8 * n < sizes.sq):
        for slab in (*slabs, *(n for n in (128, 64, 32) if n < head)):
            registers = rows * ceil_div(head, slab) * ceil_div(slab, 32) * 4
            pitch = slab // 4 | 1
            tiles = (16 * rows + 32) * pitch * (16 if scalar == "f32" else 8)
            nbytes = tiles + 16 * rows * (9 * 16 + 8 * 4)
            if registers <= 128 and nbytes <= workgroup_memory(device):
                return FlashTile(rows, slab)
    return None


def _matrix(device: Device, scalar: str, sizes: AttentionSizes) -> Shader:
    """Return the variant for matrix units."""
    return matrix_shader(device, sizes)


VARIANTS: dict[str, Callable[[Device, str, AttentionSizes], Shader]] = {
    "naive": _naive,
    "cpu": _cpu,
    "rows": _rows,
    "flash": _flash,
    "matrix": _matrix,
    "ampere": ampere_shader,
}
