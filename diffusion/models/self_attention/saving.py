"""Self-attention over merged tokens, or within tiles, in the UNets that are called inside."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from diffusion.ambient import Ambient
from diffusion.models.layers import Activations
from diffusion.models.self_attention.merging import MergePlan
from diffusion.models.unet_config import UNetConfig
from gpucore import Device
from gpustd import add, arrays

__all__ = ["Saving", "TokenSaving", "attend", "token_saving"]

Attend = Callable[[Activations, Activations | None], Activations]
"""A function from tokens, and what is added to the result, to the result."""


@dataclass(frozen=True)
class Saving:
    """The choices. ``ratio``: of tokens that are merged, at levels up to ``downsample``.

    ``tile``: the least side of tiles in tokens, 0 for none; ``swap``: how many numbers of tiles the
    layers take in turn; ``depth``: levels below the first that have tiles.
    """

    ratio: float = 0.0
    downsample: int = 1
    tile: int = 0
    swap: int = 1
    depth: int = 0


@dataclass
class TokenSaving:
    """The choices for latents of one size, whose levels follow from the UNet's config.

    ``levels``: number and size (height, width) of each level by its tokens. ``plans``: of merging,
    by images and tokens; None where there is too little to merge.
    """

    saving: Saving
    levels: Mapping[int, tuple[int, tuple[int, int]]]
    plans: Mapping[tuple[int, int], MergePlan | None] = field(default_factory=dict)
    _layers: dict[int, int] = field(default_factory=dict, init=False)

    @classmethod
    def make(
        cls,
        device: Device,
        saving: Saving,
        config: UNetConfig,
        size: tuple[int, int],
        images: Iterable[int],
    ) -> TokenSaving:
        """Return the choices for latents of a ``size`` (height, width), before a capture.

        ``images``: the numbers of images that a call may have in its batch.
        """
        levels: dict[int, tuple[int, tuple[int, int]]] = {}
        for level in range(len(config.block_out_channels)):
            levels.setdefault(size[0] * size[1], (level, size))
            height, width = ((side + config.downsample_padding) // 2 for side in size)
            size = height, width
        plans = {
            (batch, tokens): MergePlan.make(device, batch, place, saving.ratio)
            for tokens, (level, place) in levels.items()
            for batch in set(images)
            if saving.ratio and 1 << level <= saving.downsample
        }
        return cls(saving, levels, plans)

    def attend(self, function: Attend, tokens: Activations, residual: Activations) -> Activations:
        """Return the sum of ``residual`` and what attention makes of ``tokens`` (B, S, C)."""
        found = self.levels.get(tokens.shape[1])
        if found is None:
            return function(tokens, residual)
        level, size = found
        if self.saving.tile and level <= self.saving.depth:
            return self._in_tiles(function, tokens, residual, size)
        plan = self.plans.get((tokens.shape[0], tokens.shape[1]))
        if plan is None:
            return function(tokens, residual)
        merging = plan.merge(residual, tokens)
        return add(merging.split(function(merging.tokens, None)), residual)

    def _in_tiles(
        self,
        function: Attend,
        tokens: Activations,
        residual: Activations,
        size: tuple[int, int],
    ) -> Activations:
        batch, count, width = tokens.shape
        layer = self._layers[count] = self._layers.get(count, -1) + 1
        down, across = (
            tile_count(side, self.saving.tile, self.saving.swap, layer) for side in size
        )
        if down * across == 1:
            return function(tokens, residual)
        high, wide = size[0] // down, size[1] // across
        parts = tokens.view((batch, down, high, across, wide, width))
        tiles = arrays.transpose(parts, (0, 1, 3, 2, 4, 5))
        made = function(tiles.view((batch * down * across, high * wide, width)), None)
        made = made.view((batch, down, across, high, wide, width))
        whole = arrays.transpose(made, (0, 1, 3, 2, 4, 5)).view(tokens.shape)
        return add(whole, residual)


def tile_count(side: int, least: int, swap: int, layer: int) -> int:
    """Return the number of tiles along a side: layers take those of ``swap`` divisors in turn.

    The divisors are those of the side from ``least`` on, as in the published code, which draws one.
    """
    divisors = [each for each in range(min(least, side), side + 1) if side % each == 0][:swap]
    return side // divisors[layer % len(divisors)]


_saving: Ambient[TokenSaving | None] = Ambient("saving", None)


def token_saving(saving: TokenSaving | None) -> AbstractContextManager[None]:
    """Save tokens in the self-attention of UNets that are called inside the context."""
    return _saving.around(saving)


def attend(function: Attend, tokens: Activations, residual: Activations) -> Activations:
    """Return self-attention of ``tokens`` and ``residual``, as the `token_saving` around has it."""
    saving = _saving.get()
    return (
        function(tokens, residual) if saving is None else saving.attend(function, tokens, residual)
    )
