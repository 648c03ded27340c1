"""The UNet as a denoiser of latents, with classifier-free guidance in one batch."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffusion.models.freeu import FeatureScaling, feature_scaling
from diffusion.models.layers import seamless_padding
from diffusion.models.unet import time_features
from diffusion.pipeline.networks import Networks
from diffusion.samplers import NumpyAlgebra
from diffusion.schedules import Scalings
from diffusion.tasks import GuidanceOptions
from diffusion.tasks.guidance_rule import GuidanceRule, Latents
from diffusion.text.conditioning import Conditioning
from gpucore import Buffer, Graph, f32
from gpustd import cast, combine_into, concat, linear_combination, slice_axis

__all__ = ["BufferAlgebra", "GuidedDenoiser", "Latents"]


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


class GuidedDenoiser:
    """``denoise(x, sigma)`` for latents (B, h, w, C) in f32, x = x0 + sigma * noise.

    ``conditioning`` has 2 B rows, the negative prompt's first, or B rows when ``scale`` is None,
    which means no guidance. With several ``weights`` the prompt has as many parts, of B rows each,
    whose guidance is added up. (Ho and Salimans 2022, arXiv 2207.12598; Liu et al. 2022, arXiv
    2206.01714.)

    The network and its guidance are captured once as a graph, the prompt's keys and values as
    another. A call writes the latents and the time features and replays the first graph. Nothing is
    read back. `attend` changes to another conditioning of the same shapes, so that one capture
    serves many pictures. ``options``: see `GuidanceOptions`.

    An inpainting network has more input channels than C. It reads them after the latents; they are
    zero until `write_mask_channels`.
    """

    def __init__(
        self,
        networks: Networks,
        conditioning: Conditioning,
        shape: tuple[int, int, int, int],
        scale: float | None,
        weights: Sequence[float] = (1.0,),
        options: GuidanceOptions = GuidanceOptions(),  # noqa: B008 - it is frozen
    ) -> None:
        self._networks = networks
        self._rule = GuidanceRule(scale, tuple(weights), options)
        device, dtype, config = networks.device, networks.dtype, networks.folder.unet
        scaling = None
        if options.freeu is not None:
            freeu = options.freeu
            factors = (freeu.b1, freeu.s1), (freeu.b2, freeu.s2)
            size = shape[1], shape[2]
            scaling = FeatureScaling.make(device, dtype, factors, config, size, freeu.version)
        width = config.block_out_channels[0]
        self._latents: Buffer[Any] = device.buffer(dtype, shape)
        self._features: Buffer[Any] = device.buffer(dtype, (shape[0], width))
        extra = config.in_channels - shape[3]
        self._mask_channels: Buffer[Any] | None = None
        if extra:
            zeros = np.zeros((*shape[:3], extra))
            self._mask_channels = device.buffer_from_array(zeros, dtype)
        self._conditioning = self._complete(conditioning).copy()
        self._without_negative: GuidedDenoiser | None = None
        self._followed: weakref.ref[Conditioning] | None = weakref.ref(conditioning)
        with device.capture() as prompt_graph, device.region("unet"):
            prompt = networks.unet.prompt_keys(self._conditioning.context)
        self._prompt_graph: Graph = prompt_graph
        with (
            device.capture() as graph,
            device.region("unet"),
            seamless_padding(networks.seamless),
            feature_scaling(scaling),
        ):
            x = self._latents
            if self._mask_channels is not None:
                x = concat([x, self._mask_channels], 3)
            self._unguided = networks.unet(
                x,
                self._features,
                prompt,
                parts=self._rule.parts,
                added=self._conditioning.added,
                guidance=self._conditioning.guidance,
                perturbed=shape[0] if self._rule.perturbed else 0,
            )
            self._guided = self._rule.output(self._unguided)
        self._graph: Graph = graph
        # Last, since a replay waits for its kernels: those of the network compile meanwhile.
        self._prompt_graph.replay()

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
        self._conditioning.copy_from(self._complete(conditioning))
        self._prompt_graph.replay()
        self._followed = weakref.ref(conditioning)
        if self._without_negative is not None:
            self._without_negative.attend(conditioning.last(self._latents.shape[0]))

    def _complete(self, conditioning: Conditioning) -> Conditioning:
        """Return a conditioning with the rows of the perturbed prompt, if there are any."""
        images = self._latents.shape[0]
        return conditioning.repeat_last(images) if self._rule.perturbed else conditioning

    def write_mask_channels(self, channels: NDArray[np.float32]) -> None:
        """Write the input channels (B, h, w, channels) that follow the latents."""
        if self._mask_channels is not None:
            self._mask_channels.write(channels.astype(self._mask_channels.dtype.numpy))
            if self._without_negative is not None:
                self._without_negative.write_mask_channels(channels)

    def __call__(self, x: Latents, sigma: float) -> Latents:
        """Return the estimate of x0."""
        scalings = self._run(x, sigma)
        return self._rule.estimate(x, scalings, self._unguided, self._guided)

    def without_negative(self, conditioning: Conditioning) -> GuidedDenoiser:
        """Return a denoiser of the prompt alone, which shares this one's mask; made once.

        ``conditioning``: what this one follows.
        """
        if self._without_negative is None:
            batch, height, width, channels = self._latents.shape
            made = GuidedDenoiser(
                self._networks,
                conditioning.last(batch),
                (batch, height, width, channels),
                None,
                options=self._rule.options,
            )
            if made._mask_channels is not None and self._mask_channels is not None:
                made._mask_channels.copy_from(self._mask_channels)
            self._without_negative = made
        return self._without_negative

    def split(self, x: Latents, sigma: float) -> tuple[Latents, Latents]:
        """Return the estimate of x0, and the one of the negative prompt alone."""
        scalings = self._run(x, sigma)
        rows, batch = self._unguided, x.shape[0]
        negative = cast(rows if rows.shape[0] == batch else slice_axis(rows, 0, 0, batch), f32)
        guided = self._rule.estimate(x, scalings, rows, self._guided)
        return guided, linear_combination([(scalings.skip, x), (scalings.out, negative)])

    def _run(self, x: Latents, sigma: float) -> Scalings:
        """Run the network on ``x``; return the scalings of this noise level."""
        noise = self._networks.noise
        scalings = noise.scalings(sigma)
        combine_into(self._latents, [(scalings.into, x)])
        timesteps = [noise.timestep_of(sigma)] * x.shape[0]
        features = time_features(timesteps, self._networks.folder.unet)
        self._features.write(features.astype(self._features.dtype.numpy))
        self._graph.replay()
        return scalings

    def release(self) -> None:
        """Give the graphs' memory back."""
        self._graph.release()
        self._prompt_graph.release()
        if self._without_negative is not None:
            self._without_negative.release()
