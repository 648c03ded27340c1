"""The sizes of upscalers, which follow from the shapes in their files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

__all__ = ["COLOURS", "CompactConfig", "RrdbConfig", "UpscalerConfig"]

COLOURS: Final = 3


@dataclass(frozen=True, slots=True)
class RrdbConfig:
    """Residual-in-residual dense blocks (Wang et al. 2018, arXiv 1809.00219).

    ``width``: channels of the features; ``growth``: of each dense layer. ``blocks``: how many.
    ``doublings``: of the size, at the end. ``unshuffle``: squares of so many pixels a side are the
    channels of one (Wang et al. 2021, arXiv 2107.10833); 1 for none. ``shortcuts``: dense layers
    are added to earlier ones, too (ESRGAN+, Rakotonirina and Rasoanaivo 2020, arXiv 2001.08073).
    """

    width: int
    growth: int
    blocks: int
    doublings: int
    unshuffle: int = 1
    shortcuts: bool = False

    @property
    def scale(self) -> int:
        """The factor by which pictures become wider and higher."""
        return (1 << self.doublings) // self.unshuffle

    @property
    def channels_a_pixel(self) -> float:
        """The most channels that the network holds at once, for each pixel it reads."""
        inner = (self.width + 4 * self.growth) / self.unshuffle**2
        return max(inner, self.width * self.scale**2)


@dataclass(frozen=True, slots=True)
class CompactConfig:
    """A chain of convolutions that works at the picture's own size (Real-ESRGAN's small ones).

    ``width``: channels of the features. ``layers``: convolutions between the first and the last.
    ``scale``: how many times as wide and high pictures become. ``activation``: ``leaky_relu`` has a
    slope of 0.1.
    """

    width: int
    layers: int
    scale: int
    activation: Literal["prelu", "relu", "leaky_relu"] = "prelu"

    @property
    def channels_a_pixel(self) -> float:
        """The most channels that the network holds at once, for each pixel it reads."""
        return max(self.width, COLOURS * self.scale**2)


UpscalerConfig: TypeAlias = RrdbConfig | CompactConfig
