"""The UNet as a denoiser of latents, with classifier-free guidance in one batch."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from diffusion.models.layers import seamless_padding
from diffusion.models.unet import time_features
from diffusion.pipeline.control import Active, ControlGraph, ControlUnit
from diffusion.pipeline.networks import Networks
from diffusion.samplers import NumpyAlgebra
from diffusion.schedules import Scalings
from diffusion.text.conditioning import Conditioning
from gpucore import Buffer, Graph, f32
from gpustd import cast, combine_into, concat, guidance, linear_combination, slice_axis

__all__ = ["BufferAlgebra", "GuidedDenoiser", "Latents", "apply_guidance"]

Latents = Buffer[f32]


class BufferAlgebra:
    """Linear combinations on the device, for the samplers."""

    def combine(self, terms: Sequence[tuple[float, Latents]]) -> Latents:
        """Return a new buffer: the sum of factor times buffer."""
        return linear_combination(terms)

    def distance(
        self, x: Latents, y: Latents, before: Latents, absolute: float, relative: float
    ) -> float:
        """Return the distance of `Algebra`, computed on the host."""
        return NumpyAlgebra().distance(x.read(), y.read(), before.read(), absolute, relative)


class _Call(NamedTuple):
    """The network captured with some of its controls, and its results."""

    graph: Graph
    unguided: Buffer[Any]
    guided: Latents


class GuidedDenoiser:
    """``denoise(x, sigma)`` for latents (B, h, w, C) in f32, x = x0 + sigma * noise.

    ``conditioning`` has 2 B rows, the negative prompt's first, or B rows when ``scale`` is None,
    which means no guidance. With several ``weights`` the prompt has as many parts, of B rows each,
    whose guidance is added up. (Ho and Salimans 2022, arXiv 2207.12598; Liu et al. 2022, arXiv
    2206.01714.)

    The network and its guidance are captured once as a graph, the prompt's keys and values as
    another. A call writes the latents and the time features and replays the first graph. Nothing is
    read back. `attend` changes to another conditioning of the same shapes, so that one capture
    serves many pictures.

    An inpainting network has more input channels than C. It reads them after the latents; they are
    zero until `write_mask_channels`. ``controls`` are captured with the network; `choose_controls`
    says which of them count.
    """

    def __init__(
        self,
        networks: Networks,
        conditioning: Conditioning,
        shape: tuple[int, int, int, int],
        scale: float | None,
        weights: Sequence[float] = (1.0,),
        controls: Sequence[ControlUnit] = (),
    ) -> None:
        self._networks = networks
        device, dtype = networks.device, networks.dtype
        self._scale, self._weights = scale, tuple(weights)
        self._parts = 1 if scale is None else 1 + len(weights)
        self._controls = ControlGraph(controls, shape, self._parts) if controls else None
        width = networks.folder.unet.block_out_channels[0]
        self._latents: Buffer[Any] = device.buffer(dtype, shape)
        self._features: Buffer[Any] = device.buffer(dtype, (shape[0], width))
        extra = networks.folder.unet.in_channels - shape[3]
        self._mask_channels: Buffer[Any] | None = None
        if extra:
            zeros = np.zeros((*shape[:3], extra))
            self._mask_channels = device.buffer_from_array(zeros, dtype)
        self._conditioning = conditioning.copy()
        self._followed: weakref.ref[Conditioning] | None = weakref.ref(conditioning)
        with device.capture() as prompt_graph, device.region("unet"):
            self._prompt = networks.unet.prompt_keys(self._conditioning.context)
            if self._controls is not None:
                self._controls.record_prompt(self._conditioning)
        self._prompt_graph: Graph = prompt_graph
        self._calls: dict[Active, _Call] = {}
        self._call = self._capture((True,) * len(controls))
        # Last, since a replay waits for its kernels: those of the network compile meanwhile.
        self._prompt_graph.replay()

    def _capture(self, active: Active) -> _Call:
        """Return the captured network, with those controls that count."""
        if active in self._calls:
            return self._calls[active]
        networks = self._networks
        device = networks.device
        with device.capture() as graph, device.region("unet"), seamless_padding(networks.seamless):
            x, residuals = self._latents, None
            if self._controls is not None:
                residuals = self._controls.residuals(active, x, self._features, self._parts)
            if self._mask_channels is not None:
                x = concat([x, self._mask_channels], 3)
            unguided = networks.unet(
                x,
                self._features,
                self._prompt,
                parts=self._parts,
                added=self._conditioning.added,
                guidance=self._conditioning.guidance,
                residuals=residuals,
            )
            guided = unguided
            if self._scale is not None:
                guided = apply_guidance(unguided, self._scale, self._weights)
            guided = cast(guided, f32)
        return self._calls.setdefault(active, _Call(graph, unguided, guided))

    def follow_controls(self, controls: Sequence[ControlUnit]) -> None:
        """Follow other controls from now on, of the keys of those at the capture."""
        if self._controls is not None:
            self._controls.follow(controls)

    def choose_controls(self, active: Active) -> None:
        """Let these controls count from now on: one for each of the denoiser's."""
        self._call = self._capture(active)

    @property
    def size(self) -> int:
        """Latent pixels of the batch."""
        batch, height, width, _ = self._latents.shape
        return batch * height * width

    def attend(self, conditioning: Conditioning) -> None:
        """Follow another conditioning from now on, of the shapes of that at the capture."""
        if self._followed is not None and self._followed() is conditioning:
            return
        self._followed = None  # if this is interrupted, neither conditioning is followed
        self._conditioning.copy_from(conditioning)
        self._prompt_graph.replay()
        self._followed = weakref.ref(conditioning)

    def write_mask_channels(self, channels: NDArray[np.float32]) -> None:
        """Write the input channels (B, h, w, channels) that follow the latents."""
        if self._mask_channels is not None:
            self._mask_channels.write(channels.astype(self._mask_channels.dtype.numpy))

    def __call__(self, x: Latents, sigma: float) -> Latents:
        """Return the estimate of x0."""
        _, skip, out = self._run(x, sigma)
        return linear_combination([(skip, x), (out, self._call.guided)])

    def split(self, x: Latents, sigma: float) -> tuple[Latents, Latents]:
        """Return the estimate of x0, and the one of the negative prompt alone."""
        _, skip, out = self._run(x, sigma)
        rows, batch = self._call.unguided, x.shape[0]
        negative = rows if rows.shape[0] == batch else slice_axis(rows, 0, 0, batch)
        outputs = self._call.guided, cast(negative, f32)
        guided, unguided = (linear_combination([(skip, x), (out, each)]) for each in outputs)
        return guided, unguided

    def _run(self, x: Latents, sigma: float) -> Scalings:
        """Run the network on ``x``; return the scalings of this noise level."""
        noise = self._networks.noise
        scalings = noise.scalings(sigma)
        combine_into(self._latents, [(scalings.into, x)])
        timesteps = [noise.timestep_of(sigma)] * x.shape[0]
        features = time_features(timesteps, self._networks.folder.unet)
        self._features.write(features.astype(self._features.dtype.numpy))
        self._call.graph.replay()
        return scalings

    def release(self) -> None:
        """Give the graphs' memory back."""
        for call in self._calls.values():
            call.graph.release()
        self._prompt_graph.release()


def apply_guidance(output: Buffer[Any], scale: float, weights: Sequence[float]) -> Buffer[Any]:
    """Return U + scale · Σ wᵢ·(Cᵢ - U); ``output`` has the rows of U, then of each part's Cᵢ."""
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
