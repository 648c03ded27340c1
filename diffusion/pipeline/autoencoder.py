"""A VAE on a device, captured as a graph for each size of image."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import Final

from diffusion.checkpoints import SeparateVae
from diffusion.models.config import TinyVaeConfig, VaeConfig
from diffusion.models.graph_cache import CapturedFunction, GraphCache
from diffusion.models.layers import Activations, Part, seamless_axes
from diffusion.models.module import load
from diffusion.models.tiny_vae import TinyVae
from diffusion.models.vae import Vae
from gpucore import Device, DType, f32

__all__ = ["Autoencoder", "vae_of"]

MOST_GRAPHS: Final = 4
LARGEST_GRAPH: Final = 1024 * 1024
"""Image pixels of a batch, beyond which a graph's memory is given back at once."""


def _new_cache() -> GraphCache[CapturedFunction]:
    return GraphCache(MOST_GRAPHS, LARGEST_GRAPH)


@dataclass(frozen=True)
class Autoencoder:
    """A VAE, its checkpoint, and the type that it computes in.

    Graphs share their memory with those of the denoisers, so that keeping them costs little.
    """

    source: SeparateVae
    network: Vae | TinyVae
    dtype: type[DType]
    device: Device
    graphs: GraphCache[CapturedFunction] = field(
        default_factory=_new_cache, init=False, repr=False, compare=False
    )

    def decode(self, latents: Activations) -> Activations:
        """Return images (B, 8 h, 8 w, 3) of latents (B, h, w, C) in the VAE's own scale.

        They hold until the next call. Read a result before that, and record what the input needs
        before this call. Images are seamless along the axes of the `seamless_padding` around.
        """
        return self._run("decode", self.network.decode, latents)

    def moments(self, images: Activations) -> Activations:
        """Return moments (B, h, w, 2 C) of images (B, 8 h, 8 w, 3), as `decode` does."""
        return self._run("encode", self.network.moments, images)

    def _run(self, name: str, function: Part, x: Activations) -> Activations:
        if isinstance(self.network, TinyVae):  # it reads latents back, which no graph can hold
            return function(x)
        key = name, x.shape, seamless_axes()
        with self.graphs.lend(key, lambda: CapturedFunction(function, x)) as captured:
            return captured(x)

    def release(self) -> None:
        """Give the captured graphs' memory back. Call it after the weights change, too."""
        self.graphs.release()

    @functools.cached_property
    def exact(self) -> Vae | TinyVae:
        """The same network in f32, loaded when it is first asked for."""
        if self.dtype is f32:
            return self.network
        network = vae_of(self.source.config)
        with self.device.region("loading"):
            load(network, self.source.weights.read, self.device, f32)
        return network


def vae_of(config: VaeConfig | TinyVaeConfig) -> Vae | TinyVae:
    """Return the network that a config describes, without weights."""
    return TinyVae(config) if isinstance(config, TinyVaeConfig) else Vae(config)
