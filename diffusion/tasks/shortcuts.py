"""Choices that spare the UNet work: fewer tokens, attention in tiles, features kept for steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from diffusion.checks import check_integer, check_number

__all__ = ["DeepCache", "HyperTile", "TokenMerging"]

_MOST_RATIO: Final = 1
_MOST_TILE: Final = 4096
_MOST_INTERVAL: Final = 100
_MOST_BRANCH: Final = 24


@dataclass(frozen=True)
class TokenMerging:
    """Self-attention over fewer tokens: the most similar ones are merged, and split again.

    (Bolya and Hoffman 2023, arXiv 2303.17604.) ``ratio``: the share of tokens that go; at most
    three of four can. ``hires``: that of the second pass; 0 for the same. ``downsample``: levels
    up to this scale do so; SDXL has no attention at scale 1.
    """

    ratio: float = 0.5
    hires: float = 0.0
    downsample: int = 1

    def check(self) -> None:
        """Raise `SettingsError` for the first value that is out of range."""
        check_number("token_merging", self.ratio, 0, _MOST_RATIO)
        check_number("token_merging_hires", self.hires, 0, _MOST_RATIO)
        check_integer("token_merging_downsample", self.downsample, 1, 8)


@dataclass(frozen=True)
class HyperTile:
    """Self-attention within tiles of the picture (github.com/tfernd/HyperTile).

    ``tile``: the least side of a tile in pixels, at the level's own scale. ``swap``: the layers of
    a level take so many numbers of tiles in turn, which hides the seams. ``depth``: levels below
    the largest that do so, too.
    """

    tile: int = 256
    swap: int = 2
    depth: int = 0

    def check(self) -> None:
        """Raise `SettingsError` for the first value that is out of range."""
        check_integer("hypertile", self.tile, 32, _MOST_TILE)
        check_integer("hypertile_swap", self.swap, 1, 128)
        check_integer("hypertile_depth", self.depth, 0, 8)


@dataclass(frozen=True)
class DeepCache:
    """Features of the UNet's depth, computed in every ``interval``-th call alone.

    (Ma et al. 2023, arXiv 2312.00858.) ``branch``: how many skip connections below the outermost
    one are computed in each call; 0 spares the most.
    """

    interval: int = 3
    branch: int = 0

    def check(self) -> None:
        """Raise `SettingsError` for the first value that is out of range."""
        check_integer("deep_cache", self.interval, 1, _MOST_INTERVAL)
        check_integer("deep_cache_branch", self.branch, 0, _MOST_BRANCH)
