"""The wide half of a low-rank update as a matrix product adds it: more of K behind its own."""

from __future__ import annotations

from typing import Any, NamedTuple

from gpucore import Buffer, u32
from gpustd.launch.template import Value

__all__ = ["RankUpdate"]


class RankUpdate(NamedTuple):
    """What a product adds to its sums: ``ranks @ up[chosen[image]]``.

    ``ranks``: (images, rows, groups * ranks), the narrow half. ``up``: (slots, ranks, columns).
    ``chosen``: a slot for each image, or `NO_UPDATE`. ``groups``: equal parts of the columns, which
    have ranks of their own.
    """

    ranks: Buffer[Any]
    up: Buffer[Any]
    chosen: Buffer[u32]
    groups: int

    @property
    def buffers(self) -> list[Buffer[Any]]:
        """The buffers in the order of the shaders' bindings."""
        return [self.ranks, self.up, self.chosen]

    @property
    def columns(self) -> int:
        """The columns of a group."""
        return self.up.shape[2] // self.groups

    @property
    def spec(self) -> dict[str, Value]:
        """The template variables of kernels that add it."""
        return {
            "update": True,
            "up_rows": self.ranks.shape[1],
            "up_groups": self.groups,
            "up_ranks": self.up.shape[1],
            "up_columns": self.columns,
        }
