"""The events of a run: stages, steps and the result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diffusion.pipeline.denoiser import Latents
from diffusion.pipeline.networks import Networks
from diffusion.pipeline.overflow import OverflowWatch
from diffusion.pipeline.run_queue import queue_of
from diffusion.pipeline.vae import decode
from diffusion.settings import Settings

__all__ = ["Event", "Result", "Stage", "Step"]


@dataclass(frozen=True)
class Stage:
    """A part of a run begins.

    ``name``: ``encoding prompt``, ``encoding picture``, ``preparing``, ``enlarging`` or
    ``decoding``. Where LoRAs change, ``drawing with merged LoRAs``, or ``… at run time``.
    """

    name: str


@dataclass(frozen=True)
class Step:
    """A sampler's step is recorded.

    ``index`` counts from 1 to ``total`` over all batches and passes. An adaptive sampler may stop
    before ``total``, or raise it. ``sigma`` is the noise level that is left. ``image_numbers`` are
    the images that are being made.
    """

    index: int
    total: int
    sigma: float
    image_numbers: tuple[int, ...]
    _x: Latents = field(repr=False)
    _denoised: Latents = field(repr=False)
    _networks: Networks = field(repr=False)
    _watch: OverflowWatch = field(repr=False)
    _tiling: str = field(default="auto", repr=False)

    def wait(self) -> None:
        """Block until the device has finished this step.

        Raises `NotFiniteError` where this step or an earlier one gave infinities or NaN.
        """
        self._watch.check()

    def begin_wait(self) -> Callable[[], None]:
        """Submit this step; return the function that waits for it, and raises as `wait`.

        What is recorded in between goes on while it waits.
        """
        return self._watch.begin_check()

    def preview(self) -> list[Image.Image]:
        """Decode the images as the network sees them now, with the quick VAE if there is one.

        Raises `NotFiniteError`.
        """
        networks = self._networks.for_preview
        with queue_of(networks.device).turn:
            return [each.image for each in decode(networks, self._denoised, self._tiling)]

    def latents(self) -> NDArray[np.float32]:
        """Read the denoised latents (images, h, w, C)."""
        return self._denoised.read()

    def noisy_latents(self) -> NDArray[np.float32]:
        """Read the latents (images, h, w, C) from which the next step starts."""
        return self._x.read()

    def write_noisy_latents(self, latents: NDArray[np.floating]) -> None:
        """Let the next step start from other ``latents`` of the same shape and noise level.

        After the last step, what is decoded is replaced. Raises ``gpucore.ArgumentError`` for
        another shape.
        """
        self._x.write(latents.astype(np.float32))


@dataclass(frozen=True)
class Result:
    """The finished images in order, their seeds, and the settings with all defaults filled in.

    ``decoded_in_f32_from``: for each image, the layer of the VAE where f16 overflowed and from
    which on it was decoded again in f32; None where nothing overflowed. ``latents``: (images, h, w,
    C), in the UNet's scale, from which the images were decoded.
    """

    images: list[Image.Image]
    seeds: list[int]
    settings: Settings
    decoded_in_f32_from: list[str | None]
    latents: NDArray[np.float32] = field(repr=False)


Event = Stage | Step | Result
