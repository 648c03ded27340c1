"""The UNet as a denoiser of latents, with classifier-free guidance in one batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from diffusion.models.layers import Activations
from diffusion.models.unet import time_features
from diffusion.networks import Networks
from gpucore import Buffer, Graph, f32
from gpustd import cast, guidance, linear_combination, repeat_batch

__all__ = ["BufferAlgebra", "GuidedDenoiser"]

Latents = Buffer[f32]


class BufferAlgebra:
    """Linear combinations on the device, for the samplers."""

    def combine(self, terms: Sequence[tuple[float, Latents]]) -> Latents:
        """A new buffer: the sum of factor times buffer."""
        return linear_combination(terms)


class GuidedDenoiser:
    """``denoise(x, sigma)`` for latents (B, h, w, 4) in f32, x = x0 + sigma * noise.

    ``context`` holds text embeddings (2 B, S, width), the negative ones first, or (B, S, width)
    when ``scale`` is None: no guidance. The network and the guidance are captured once as a graph;
    a call writes the input and the time features and replays it: nothing is read back.
    (Ho and Salimans 2022, arXiv 2207.12598.)
    """

    def __init__(
        self,
        networks: Networks,
        context: Activations,
        shape: tuple[int, int, int, int],
        scale: float | None,
    ) -> None:
        self._networks = networks
        device, dtype = networks.device, networks.dtype
        self._rows = shape[0] * (1 if scale is None else 2)
        width = networks.folder.unet.block_out_channels[0]
        self._input: Buffer[Any] = device.buffer(dtype, shape)
        self._features: Buffer[Any] = device.buffer(dtype, (self._rows, width))
        with device.region("unet"):
            prompt = networks.unet.prompt_keys(context)
        with device.capture() as graph, device.region("unet"):
            latents = self._input if scale is None else repeat_batch(self._input, 2)
            output = networks.unet(latents, self._features, prompt)
            guided = output if scale is None else guidance(output, scale)
            self._output: Latents = cast(guided, f32)
        self._graph: Graph = graph

    def __call__(self, x: Latents, sigma: float) -> Latents:
        """Estimate of x0."""
        noise = self._networks.noise
        into, skip, out = noise.scalings(sigma)
        scaled = cast(linear_combination([(into, x)]), self._input.dtype)
        self._input.copy_from(scaled)
        timesteps = [noise.timestep_of(sigma)] * self._rows
        features = time_features(timesteps, self._networks.folder.unet)
        self._features.write(features.astype(self._features.dtype.numpy))
        self._graph.replay()
        return linear_combination([(skip, x), (out, self._output)])

    def release(self) -> None:
        """Give the graph's memory back."""
        self._graph.release()
