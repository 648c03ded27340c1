"""Upscalers of random weights, whose pictures are in ``upscalers.npz``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from tests.goldens.weights import Array, uniform, weight

__all__ = ["COMPACTS", "RRDBS", "CompactCase", "RrdbCase", "picture", "upscaler_weight"]

Naming = Literal["new", "old", "trunk"]


@dataclass(frozen=True)
class RrdbCase:
    """Residual-in-residual dense blocks, and how their file names them."""

    name: str
    naming: Naming = "new"
    width: int = 16
    growth: int = 32
    blocks: int = 2
    doublings: int = 2
    unshuffle: int = 1
    shortcuts: bool = False
    wrapper: str = ""
    size: tuple[int, int] = (7, 10)

    @property
    def scale(self) -> int:
        """The factor of both sides."""
        return (1 << self.doublings) // self.unshuffle


@dataclass(frozen=True)
class CompactCase:
    """A chain of convolutions with an activation of PyTorch's name."""

    name: str
    activation: Literal["prelu", "relu", "leakyrelu"] = "prelu"
    width: int = 12
    layers: int = 3
    scale: int = 4
    notes: Mapping[str, str] = field(default_factory=dict)
    size: tuple[int, int] = (6, 9)


RRDBS = (
    RrdbCase("x4", wrapper="params_ema."),
    RrdbCase("x4_old", "old"),
    RrdbCase("x8_old", "old", blocks=1, doublings=3),
    RrdbCase("x2_old", "old", blocks=1, doublings=1),
    RrdbCase("x1_old", "old", growth=8, blocks=3, doublings=0),
    RrdbCase("x4_trunk", "trunk", wrapper="params."),
    RrdbCase("plus", "old", shortcuts=True, blocks=1),
    RrdbCase("x2_unshuffled", unshuffle=2, size=(8, 6)),
    RrdbCase("x1_unshuffled", unshuffle=4, blocks=1, size=(8, 12)),
)
COMPACTS = (
    CompactCase("general"),
    CompactCase("double", scale=2, layers=1),
    CompactCase("single", scale=1),
    CompactCase("noted", "relu", notes={"act_type": "relu"}),
    CompactCase("small_leakyrelu", "leakyrelu", scale=3),
)


def upscaler_weight(network: str, name: str, shape: tuple[int, ...]) -> Array:
    """Return a parameter by rule; slopes of PReLU lie within 0..0.5."""
    if name.startswith("body.") and len(shape) == 1 and name.endswith("weight"):
        drawn = np.abs(uniform(f"upscaler/{network}/{name}", shape)) / 2
        slopes: Array = drawn.astype(np.float16).astype(np.float32)
        return slopes
    return weight("upscaler", network, name, shape)


def picture(name: str, size: tuple[int, int]) -> Array:
    """Return a picture (2, height, width, 3) of levels from 0 to 1."""
    drawn: Array = np.abs(uniform(f"upscaler/{name}/picture", (2, *size, 3)))
    return drawn
