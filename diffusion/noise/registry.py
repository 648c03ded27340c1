"""Where noise comes from, by name: seeds mean the same pictures as in the tools that draw so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from diffusion.catalogue import Catalogue
from diffusion.noise.philox import Draw, normal
from diffusion.noise.torch import torch_normal

__all__ = ["NOISES", "Noise"]


@dataclass(frozen=True)
class Noise:
    """``draw(seed, stream, shape)``: unit normal noise, f32, draw number ``stream`` of a seed."""

    name: str
    label: str
    aliases: tuple[str, ...]
    draw: Draw


NOISES: Final = Catalogue(
    "rng",
    [
        # A1111's "GPU" on NVIDIA cards draws the same numbers.
        Noise("nv", "NV", ("ours", "philox", "gpu"), normal),
        Noise("cpu", "CPU", ("mt19937", "torch"), torch_normal),
    ],
)
