"""The table of noise generators: a seed gives the same picture as in tools that draw so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from diffusion.catalogue import Catalogue
from diffusion.noise.latent_noise import Draw
from diffusion.noise.philox import philox_normal
from diffusion.noise.torch import torch_normal

__all__ = ["NOISES", "Noise"]


@dataclass(frozen=True)
class Noise:
    """A generator: ``draw(seed, stream, shape)`` is draw number ``stream`` of a seed, f32."""

    name: str
    label: str
    aliases: tuple[str, ...]
    draw: Draw


NOISES: Final = Catalogue(
    "rng",
    [
        # A1111's "GPU" and stable-diffusion.cpp's "cuda" draw the same numbers on NVIDIA cards.
        Noise("nv", "NV", ("ours", "philox", "gpu", "cuda"), philox_normal),
        Noise("cpu", "CPU", ("mt19937", "torch"), torch_normal),
    ],
)
