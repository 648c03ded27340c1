"""The variant ``ampere`` of attention: CUDA C++ for cards from compute capability 8.0 on."""

from __future__ import annotations

from typing import NamedTuple

from gpucore import Device, ShapeError
from gpucore.integers import ceil_div
from gpustd.launch.template import Value
from gpustd.launch.variants import forced_tile
from gpustd.nn.attention.sizes import AttentionSizes, Shader

__all__ = ["AmpereTile", "ampere_shader", "best_ampere_tile", "takes_ampere"]

_WIDEST_HEAD = 160
_FEW_KEYS = 80
# Rows of blocks of an image from which two of 16 rows a warp keep a card busy.
_MANY_ROWS = 64 * 128


class AmpereTile(NamedTuple):
    """Keys of a step, blocks of 16 rows of a warp, warps, and steps in shared memory.

    With one stage there is one step: no more keys than ``keys``.
    """

    keys: int
    blocks: int
    warps: int
    stages: int

    @property
    def rows(self) -> int:
        """Rows of a block of threads."""
        return 16 * self.blocks * self.warps

    def memory(self, head: int) -> int:
        """Return the bytes of shared memory; the rows of q lie in the last stage, or behind one."""
        pitch = 2 * ceil_div(head, 16) + 1
        before = 2 * self.keys * max(self.stages - 1, 1)
        return 16 * pitch * max(2 * self.keys * self.stages, before + self.rows)


def takes_ampere(device: Device, scalar: str, sizes: AttentionSizes) -> bool:
    """Tell whether the variant is the best of a card of 8.x; that does not depend on the batch."""
    fits = scalar == "f16" and sizes.head % 8 == 0 and sizes.head <= _WIDEST_HEAD
    return fits and "ampere" in device.features


def best_ampere_tile(sizes: AttentionSizes) -> AmpereTile:
    """Return the tile that is quickest on an H200 of those that fit every card.

    It follows from the sizes of one image. Its keys, which order the sums, follow from the number
    of keys alone.
    """
    if sizes.sk <= _FEW_KEYS:
        return AmpereTile(_FEW_KEYS, 1, 4, 1)
    has_many = sizes.head <= 80 and sizes.sq * sizes.heads >= _MANY_ROWS
    return AmpereTile(64, 2 if has_many else 1, 4, 2)


def ampere_shader(device: Device, scalar: str, sizes: AttentionSizes) -> Shader:
    """Return the variant for sizes. Raises `ShapeError` for what it does not make."""
    tile = forced_tile("attention")
    if not isinstance(tile, AmpereTile):
        tile = best_ampere_tile(sizes)
    head = sizes.head
    if scalar != "f16" or head % 8 or head > _WIDEST_HEAD:
        raise ShapeError(
            f"attention: ampere's heads must have a multiple of 8 channels up to {_WIDEST_HEAD}, "
            f"in f16, got {head} in {scalar}; force another variant"
        )
    if tile.stages == 1 and sizes.sk > tile.keys:
        raise ShapeError(
            f"attention: with one stage there must be at most {tile.keys} keys, got {sizes.sk}; "
            "give a tile of two stages"
        )
    spec: dict[str, Value] = {
        "matrix": True,
        "head": head,
        **tile._asdict(),
        "threads": 32 * tile.warps,
        "memory": tile.memory(head),
        "parts": 1,
        "label": f"attention/ampere {tile.rows}x{tile.keys} head{head}",
    }
    grid = ceil_div(sizes.sq, tile.rows), sizes.heads, sizes.batch
    return Shader(spec, 8, grid, ".cu")
