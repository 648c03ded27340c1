"""The variant ``hopper`` of attention: CUDA C++ for cards with wgmma."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from gpucore import Buffer, Device
from gpucore.backends import TileMap
from gpucore.integers import ceil_div
from gpucore.tiled import Tiled
from gpustd.launch.template import Value, kernel
from gpustd.launch.variants import forced_tile
from gpustd.nn.attention.sizes import AttentionSizes, attention_work

__all__ = ["HopperTile", "best_hopper_tile", "launch_hopper", "takes_hopper"]

_ROWS = 64
_GROUP = 64
_WIDEST_HEAD = 160
_FEW_KEYS = 80
_MANY_ROWS = 2048
_MULTIPROCESSORS = 132


class HopperTile(NamedTuple):
    """Keys of a step, warpgroups of 64 rows each, and steps that are loaded ahead.

    ``turns``: two warpgroups make their products in turns.
    """

    keys: int
    teams: int
    stages: int
    turns: bool = False

    def memory(self, head: int) -> int:
        """Return the bytes of shared memory."""
        rows = self.teams * _ROWS + 2 * self.stages * self.keys
        return 1024 + ceil_div(head, _GROUP) * rows * 2 * _GROUP + 8 + 32 * self.stages


def takes_hopper(device: Device, scalar: str, sizes: AttentionSizes) -> bool:
    """Tell whether the variant makes an attention; that does not depend on the batch."""
    fits = sizes.head % 8 == 0 and sizes.head <= _WIDEST_HEAD and not sizes.causal
    return "wgmma" in device.features and scalar == "f16" and fits


def best_hopper_tile(sizes: AttentionSizes) -> HopperTile:
    """Return the fastest tile on an H200 of those whose results were compared on one.

    The keys follow from the sizes of one image, since they order the sums. Where two teams would
    leave multiprocessors idle, one is quicker: by 27 % for 8 heads of 160 and 256 rows.
    """
    head, many = sizes.head, sizes.sq > _MANY_ROWS
    if sizes.sk <= _FEW_KEYS:
        return HopperTile(_FEW_KEYS, 3 if head <= 48 and many else 2, 1)
    if head > 80:
        pairs = ceil_div(sizes.sq, 2 * _ROWS) * sizes.heads * sizes.batch
        return HopperTile(64, 1 if 2 * pairs <= _MULTIPROCESSORS else 2, 2)
    if head <= 48:
        return HopperTile(64, 4, 4)
    if head > 64 or sizes.sk > _MANY_ROWS:
        return HopperTile(128, 2, 2, turns=True)
    return HopperTile(128, 3, 2)


def launch_hopper(
    operands: tuple[tuple[Buffer[Any], int], ...], y: Buffer[Any], sizes: AttentionSizes
) -> None:
    """Record attention over q, k and v, each a buffer and the column in which its heads begin."""
    forced = forced_tile("attention")
    tile = forced if isinstance(forced, HopperTile) else best_hopper_tile(sizes)
    spec: dict[str, Value] = {
        "head": sizes.head,
        **tile._asdict(),
        "threads": 128 * (tile.teams + 1),
        "memory": tile.memory(sizes.head),
        "parts": 1,
        "label": f"attention/hopper {tile.teams * _ROWS}x{tile.keys} head{sizes.head}",
    }
    boxes = tile.teams * _ROWS, tile.keys, tile.keys
    tiled = [_heads(*each, sizes, rows) for each, rows in zip(operands, boxes, strict=True)]
    params = {
        "sq": sizes.sq,
        "sk": sizes.sk,
        "heads": sizes.heads,
        "scale": math.log2(math.e) / math.sqrt(sizes.head),
    }
    launch = kernel(y.device, "nn/attention/hopper.cu", **spec)
    grid = ceil_div(sizes.sq, tile.teams * _ROWS), sizes.heads, sizes.batch
    work = attention_work(sizes, (*(buffer for buffer, _ in operands), y))
    launch(*tiled, y, params, grid=grid, work=work)


def _heads(buffer: Buffer[Any], first: int, sizes: AttentionSizes, rows: int) -> Tiled[Buffer[Any]]:
    """Return an operand, of which ``rows`` rows of 64 channels of a head are copied at a time."""
    images, height, pitch = buffer.shape
    extents = sizes.head, sizes.heads, height, images
    strides = 2 * sizes.head, 2 * pitch, 2 * pitch * height
    return Tiled(buffer, TileMap(extents, strides, (_GROUP, 1, rows, 1), offset=2 * first))
