"""A VAE on a device, captured as a graph for each size of image."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from diffusion.checkpoints import SeparateVae
from diffusion.models.config import TinyVaeConfig, VaeConfig
from diffusion.models.graph_cache import GraphCache
from diffusion.models.layers import Activations, seamless_axes
from diffusion.models.module import load
from diffusion.models.tiny_vae import TinyVae
from diffusion.models.vae import Vae
from gpucore import Device, DType, Graph, f32

__all__ = ["Autoencoder", "vae_of"]

MOST_GRAPHS: Final = 4
LARGEST_GRAPH: Final = 1024 * 1024
"""Image pixels of a batch, beyond which a graph's memory is given back at once."""

VaeFunction = Callable[[Activations], Activations]
"""A VAE's ``decode`` or ``moments``."""


class CapturedVae:
    """One function of a VAE, captured for inputs (B, H, W, C) of one shape."""

    def __init__(self, function: VaeFunction, x: Activations) -> None:
        self._input: Activations = x.device.buffer(x.dtype, x.shape)
        with x.device.capture() as graph:
            self._output = function(self._input)
        self._graph: Graph = graph

    @property
    def size(self) -> int:
        """Pixels of a batch of images: the larger of input and output."""
        shapes = self._input.shape, self._output.shape
        return max(batch * height * width for batch, height, width, _ in shapes)

    def __call__(self, x: Activations) -> Activations:
        """Return the function's result; it holds until the next call."""
        self._input.copy_from(x)
        self._graph.replay()
        return self._output

    def release(self) -> None:
        """Give the graph's memory back."""
        self._graph.release()


def _new_cache() -> GraphCache[CapturedVae]:
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
    graphs: GraphCache[CapturedVae] = field(
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

    def _run(self, name: str, function: VaeFunction, x: Activations) -> Activations:
        if isinstance(self.network, TinyVae):  # it reads latents back, which no graph can hold
            return function(x)
        key = name, x.shape, seamless_axes()
        with self.graphs.lend(key, lambda: CapturedVae(function, x)) as captured:
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
