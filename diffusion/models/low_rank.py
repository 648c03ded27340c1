"""Low-rank updates of a network's layers while it runs, another one for each image of a batch.

The layers read which updates there are from the context that a caller opens, as they read the
seams of pictures. Without it they compute what they always do.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, NamedTuple

from diffusion.ambient import Ambient
from gpucore import Buffer, u32
from gpustd.matmul.conv import Window
from gpustd.matmul.low_rank import LowRank, low_rank_conv2d

__all__ = ["LayerUpdate", "Updates", "update_of_conv", "update_of_rows", "updates"]


class LayerUpdate(NamedTuple):
    """The matrices of one layer in all slots, as `gpustd.matmul.low_rank` takes them.

    ``groups``: equal parts of the columns, which have ranks of their own.
    """

    down: Buffer[Any]
    up: Buffer[Any]
    groups: int = 1


@dataclass(frozen=True, eq=False)
class Updates:
    """The updates of ``layers``, and the slot of each image (``chosen``)."""

    layers: Mapping[object, LayerUpdate]
    chosen: Buffer[u32]


_updates: Ambient[Updates | None] = Ambient("updates", None)


def updates(found: Updates | None) -> AbstractContextManager[None]:
    """Let networks that are called inside the context have these updates; None for none."""
    return _updates.around(found)


def update_of_rows(layer: object) -> LowRank | None:
    """Return what is added to a layer's product with the rows of images; None for nothing."""
    found = _updates.get()
    if found is None or layer not in found.layers:
        return None
    down, up, groups = found.layers[layer]
    return LowRank(down, up, found.chosen, groups)


def update_of_conv(
    layer: object,
    x: Buffer[Any],
    window: Window,
    second: Buffer[Any] | None,
    residual: Buffer[Any] | None,
) -> Buffer[Any] | None:
    """Return a convolution's ``residual`` with its update added; itself where there is none."""
    found = _updates.get()
    if found is None or layer not in found.layers:
        return residual
    down, up, _ = found.layers[layer]
    return low_rank_conv2d(x, down, up, found.chosen, window, second=second, residual=residual)
