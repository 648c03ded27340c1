"""Pairs of pictures whose colours are matched: one that was drawn, and one that lends them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np
from PIL import Image

__all__ = ["COLOUR_CASES", "ColourCase"]


class ColourCase(NamedTuple):
    """Two smooth pictures by seed and size."""

    seeds: tuple[int, int]
    sizes: tuple[tuple[int, int], tuple[int, int]]

    @property
    def drawn(self) -> Image.Image:
        """The picture that was drawn."""
        return _smooth(self.seeds[0], self.sizes[0])

    @property
    def other(self) -> Image.Image:
        """The picture that lends its colours."""
        return _smooth(self.seeds[1], self.sizes[1])


COLOUR_CASES: Final[Mapping[str, ColourCase]] = {
    "same-size": ColourCase((1, 2), ((40, 24), (40, 24))),
    "other-size": ColourCase((3, 4), ((24, 32), (36, 24))),
}


def _smooth(seed: int, size: tuple[int, int]) -> Image.Image:
    levels = np.random.default_rng(seed).integers(0, 256, (5, 5, 3)).astype(np.uint8)
    return Image.fromarray(levels).resize(size, Image.Resampling.BICUBIC)
