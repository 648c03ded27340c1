"""The UNet as a denoiser of latents, with classifier-free guidance in one batch."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffusion.models.layers import seamless_padding
from diffusion.models.unet import time_features
from diffusion.pipeline.networks import Networks
from diffusion.samplers import NumpyAlgebra
from diffusion.schedules import Scalings
from diffusion.text.conditioning import Conditioning
from gpucore import Buffer, Graph, f32
from gpustd import (
    cast,
    combine_into,
    concat,
    guidance,
    linear_combination,
    slice_axis,
)

__all__ = ["BufferAlgebra", "GuidedDenoiser", "Latents"]

Latents = Buffer[f32]


class BufferAlgebra:
    """Linear combinations on the device, for the samplers."""

    def combine(self, terms: Sequence[tuple[float, Latents]]) -> Latents:
        """A new buffer: the sum of factor times buffer."""
        return linear_combination(terms)

    def distance(
        self, x: Latents, y: Latents, before: Latents, absolute: float, relative: float
    ) -> float:
        """The distance of `Algebra`, on the host."""
        return NumpyAlgebra().distance(x.read(), y.read(), before.read(), absolute, relative)


class GuidedDenoiser:
    """``denoise(x, sigma)`` for latents (B, h, w, C) in f32, x = x0 + sigma * noise.

    ``conditioning`` has 2 B rows, the negative prompt's first, or B when ``scale`` is None: no
    guidance. With more than one of ``weights`` the prompt has as many parts, of B rows each, whose
    guidance is added up. The network and the guidance are captured once as a graph, the prompt's
    keys and values as another;
    a call writes the input and the time features and replays it: nothing is read back.
    (Ho and Salimans 2022, arXiv 2207.12598; Liu et al. 2022, arXiv 2206.01714.)

    A network of more input channels than C (inpainting models) reads them after the latents':
    zeros until `condition`. `attend` puts another conditioning of the same shapes in its
    place, so that one capture serves many pictures.
    """

    def __init__(
        self,
        networks: Networks,
        conditioning: Conditioning,
        shape: tuple[int, int, int, int],
        scale: float | None,
        weights: Sequence[float] = (1.0,),
    ) -> None:
        self._networks = networks
        device, dtype = networks.device, networks.dtype
        parts = 1 if scale is None else 1 + len(weights)
        width = networks.folder.unet.block_out_channels[0]
        self._input: Buffer[Any] = device.buffer(dtype, shape)
        self._features: Buffer[Any] = device.buffer(dtype, (shape[0], width))
        more = networks.folder.unet.in_channels - shape[3]
        self._more = device.buffer_from_array(np.zeros((*shape[:3], more)), dtype) if more else None
        self._told = conditioning.copied()
        self._attended: weakref.ref[Conditioning] | None = weakref.ref(conditioning)
        with device.capture() as keys, device.region("unet"):
            prompt = networks.unet.prompt_keys(self._told.context)
        self._keys: Graph = keys
        with device.capture() as graph, device.region("unet"), seamless_padding(networks.seamless):
            seen = concat([self._input, self._more], 3) if self._more else self._input
            self._raw = networks.unet(
                seen,
                self._features,
                prompt,
                parts=parts,
                added=self._told.added,
                guidance=self._told.guidance,
            )
            guided = self._raw if scale is None else mixed(self._raw, scale, weights)
            self._output: Latents = cast(guided, f32)
        self._graph: Graph = graph
        self._keys.replay()  # last: it waits for its kernels, and those of the network compile

    def attend(self, conditioning: Conditioning) -> None:
        """Follow another conditioning from now on, of the shapes of that at the capture."""
        if self._attended is not None and self._attended() is conditioning:
            return
        self._attended = None  # of an interrupted call, neither is followed
        self._told.copy_from(conditioning)
        self._keys.replay()
        self._attended = weakref.ref(conditioning)

    def condition(self, more: NDArray[np.float32]) -> None:
        """Write the further input channels: (B, h, w, channels)."""
        if self._more is not None:
            self._more.write(more.astype(self._more.dtype.numpy))

    def __call__(self, x: Latents, sigma: float) -> Latents:
        """Estimate of x0."""
        _, skip, out = self._run(x, sigma)
        return linear_combination([(skip, x), (out, self._output)])

    def split(self, x: Latents, sigma: float) -> tuple[Latents, Latents]:
        """The estimate of x0, and the one of the negative prompt alone."""
        _, skip, out = self._run(x, sigma)
        count = x.shape[0]
        alone = self._raw if self._raw.shape[0] == count else slice_axis(self._raw, 0, 0, count)
        outputs = self._output, cast(alone, f32)
        guided, free = (linear_combination([(skip, x), (out, each)]) for each in outputs)
        return guided, free

    def _run(self, x: Latents, sigma: float) -> Scalings:
        """Run the network on ``x``."""
        noise = self._networks.noise
        scalings = noise.scalings(sigma)
        combine_into(self._input, [(scalings.into, x)])
        timesteps = [noise.timestep_of(sigma)] * x.shape[0]
        features = time_features(timesteps, self._networks.folder.unet)
        self._features.write(features.astype(self._features.dtype.numpy))
        self._graph.replay()
        return scalings

    def release(self) -> None:
        """Give the graph's memory back."""
        self._graph.release()
        self._keys.release()


def mixed(output: Buffer[Any], scale: float, weights: Sequence[float]) -> Buffer[Any]:
    """U + scale · Σ wᵢ·(Cᵢ - U) of the rows of U and then of each part's Cᵢ."""
    if tuple(weights) == (1.0,):
        return guidance(output, scale)
    count = output.shape[0] // (1 + len(weights))
    factors = [1.0 - scale * sum(weights), *(scale * weight for weight in weights)]
    total: Buffer[Any] | None = None
    for part, factor in enumerate(factors):
        rows = cast(slice_axis(output, 0, part * count, (part + 1) * count), f32)
        sum_so_far = [] if total is None else [(1.0, total)]
        total = linear_combination([*sum_so_far, (factor, rows)])
    assert total is not None
    return total
