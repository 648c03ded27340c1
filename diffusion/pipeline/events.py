"""The events of a run: stages, steps and the result."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diffusion.pipeline.denoiser import Latents
from diffusion.pipeline.networks import Networks
from diffusion.pipeline.overflow import OverflowWatch
from diffusion.pipeline.run_queue import queue_of
from diffusion.pipeline.vae import decode
from diffusion.settings import Settings
from gpucore import Device
from gpustd import nn

__all__ = ["Event", "Result", "Stage", "Step"]

_SHRINK: Final = 2
"""Latents a side that become one in a small preview."""

_LOOK_SECONDS: Final = 0.002


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

    def preview(
        self, small: bool = False, is_unwanted: Callable[[], bool] | None = None
    ) -> list[Image.Image]:
        """Decode the images as the network sees them now, with the quick VAE if there is one.

        ``small``: with half the sides, in a quarter of the time. Once ``is_unwanted()`` is true,
        what the device has not finished is not waited for. Raises `NotFiniteError`.
        """
        colours, latents = self._networks.colours, self._denoised
        if colours is not None:
            return colours.images(latents.read(), self._networks.folder.vae.downscale)
        networks = self._networks.for_preview
        with queue_of(networks.device).turn:
            if small and min(latents.shape[1:3]) >= _SHRINK:
                latents = nn.avg_pool2d(latents, _SHRINK)
            images = list[Image.Image]()
            decoding = decode(networks, latents, self._tiling)
            while _reach(networks.device, is_unwanted):
                decoded = next(decoding, None)
                if decoded is None:
                    return images
                images.append(decoded.image)
            return images

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


def _reach(device: Device, is_unwanted: Callable[[], bool] | None) -> bool:
    """Wait for what is recorded; tell whether it is reached before it is unwanted."""
    if is_unwanted is None:
        return True
    event = device.new_event().record()
    while not event.is_complete:
        if is_unwanted():
            return False
        time.sleep(_LOOK_SECONDS)
    return not is_unwanted()


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
