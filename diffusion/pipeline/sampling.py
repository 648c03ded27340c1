"""The steps of one pass for one batch of images."""

from __future__ import annotations

from collections.abc import Generator, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diffusion.errors import NotFiniteError
from diffusion.noise import LatentNoise
from diffusion.pipeline.denoiser import BufferAlgebra, GuidedDenoiser, Latents
from diffusion.pipeline.init_image import EncodedImage, reads_mask
from diffusion.pipeline.overflow import OverflowWatch, is_finite
from diffusion.pipeline.passes import Pass
from diffusion.samplers import Step as SamplerStep
from diffusion.tasks.blend import Blend
from diffusion.tasks.init_image import PreparedImage
from gpucore import f32
from gpustd import linear_combination
from gpustd.matmul.conv import Wrap

__all__ = ["PassStart", "overflow_watch", "sample"]

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class PassStart:
    """The state of a batch before a pass.

    ``noise``: of the batch's images. ``unit_noise``: (B, h, w, C), the noise to begin with.
    ``latents``: what it is added to; None for nothing.
    """

    noise: LatentNoise
    unit_noise: Array
    latents: Array | Latents | None


class DenoiserKey(NamedTuple):
    """All that a captured denoiser depends on."""

    shape: tuple[int, int, int, int]
    context: tuple[int, ...]
    scale: float | None
    weights: tuple[float, ...]
    seamless: Wrap
    zero_snr: bool
    controls: tuple[Hashable, ...] = ()


class PromptedDenoiser:
    """A denoiser that counts its calls, and follows what the pass has for each."""

    def __init__(self, denoiser: GuidedDenoiser, current: Pass, images: int) -> None:
        self._denoiser = denoiser
        self._pass = current
        self._images = images
        self._calls = 0

    def __call__(self, x: Latents, sigma: float) -> Latents:
        """Return the guided estimate of x0."""
        self._attend()
        return self._denoiser(x, sigma)

    def split(self, x: Latents, sigma: float) -> tuple[Latents, Latents]:
        """Return the guided estimate, and the one without the prompt."""
        self._attend()
        return self._denoiser.split(x, sigma)

    def _attend(self) -> None:
        """Follow the controls of this call, and the texts where they have changed."""
        call, self._calls = self._calls, self._calls + 1
        if self._pass.controls:
            self._denoiser.choose_controls(self._pass.active_controls(call))
        if call and self._pass.variant(call) != self._pass.variant(call - 1):
            self._denoiser.attend(self._pass.conditioning(call).for_batch(self._images))


def sample(
    current: Pass, start: PassStart, watch: OverflowWatch
) -> Generator[SamplerStep[Latents]]:
    """Record the sampler's steps of a pass for a batch; the last one's x is without noise.

    ``watch`` counts in every step. The caller asks it at the end, and closes this generator, which
    gives the denoiser back. (In Python 3.12.3 a closed generator refers to what it iterates over:
    CPython's issue 118272.)
    """
    schedule, device = current.schedule, current.networks.device
    upload = device.buffer_from_array
    x = linear_combination([(schedule.noise_scale, upload(start.unit_noise))])
    blend = None
    if start.latents is not None:
        given = start.latents
        old = upload(given) if isinstance(given, np.ndarray) else given
        x = linear_combination([(1.0, old), (1.0, x)])
        if current.init_image is not None and current.init_image.mask is not None:
            assert isinstance(given, np.ndarray)
            blend = Blend(device, current.init_image.mask, given)
    with _lend_denoiser(current, start.noise) as denoiser:
        prompted = PromptedDenoiser(denoiser, current, len(start.noise.seeds))
        for step in schedule.sampler.run(
            blend.denoiser(prompted) if blend else prompted,
            x,
            schedule.sigmas,
            BufferAlgebra(),
            lambda index: upload(start.noise.step(current.steps_before + index)),
            schedule.options,
        ):
            watch.count(step.index, step.x)
            is_last = schedule.reaches_end and step.sigma <= schedule.last_sigma
            yield _finish(current, step, blend) if is_last else step


def overflow_watch(current: Pass) -> OverflowWatch:
    """Return a watch for `sample` of this pass."""
    device, steps = current.networks.device, current.schedule.steps_made
    return OverflowWatch(device, steps, partial(_not_finite_error, current))


def _not_finite_error(current: Pass, step: int) -> NotFiniteError:
    """Return the error for a pass whose latents are not finite after ``step``, from 1."""
    networks = current.networks
    hint = "compute in f32 (--dtype f32)"
    if networks.dtype is f32:
        hint = "check the weights (avila model verify)"
    calls = step * current.schedule.sampler.calls
    conditionings = [current.conditioning(call) for call in range(calls)]
    if not all(is_finite(each.context) for each in conditionings):
        return NotFiniteError("text encoder", "in what it makes of the prompt", hint)
    which = " of the second pass" if current.kind == "hires" else ""
    place = f"after step {step} of {current.schedule.steps_made}{which}"
    return NotFiniteError("UNet", place, hint)


def _finish(current: Pass, step: SamplerStep[Latents], blend: Blend | None) -> SamplerStep[Latents]:
    """Return the last step; DDIM may leave a little noise, whose scale is undone."""
    factor = current.networks.noise.scalings(step.sigma).into
    x = step.x if factor == 1 else linear_combination([(factor, step.x)])
    return replace(step, x=blend(x) if blend else x)


@contextmanager
def _lend_denoiser(current: Pass, noise: LatentNoise) -> Iterator[GuidedDenoiser]:
    """Lend a denoiser that follows the pass's first prompt."""
    networks, weights = current.networks, current.prompts.weights
    conditioning = current.conditioning().for_batch(len(noise.seeds))
    shape = (len(noise.seeds), noise.height, noise.width, noise.channels)
    key = DenoiserKey(
        shape=shape,
        context=conditioning.context.shape,
        scale=current.scale,
        weights=weights,
        seamless=networks.seamless,
        zero_snr=current.settings.zero_snr,
        controls=tuple(each.key for each in current.controls),
    )

    def capture() -> GuidedDenoiser:
        controls = current.controls
        return GuidedDenoiser(networks, conditioning, shape, current.scale, weights, controls)

    with current.cache.denoisers.lend(key, capture) as denoiser:
        denoiser.attend(conditioning)
        denoiser.follow_controls(current.controls)
        if reads_mask(networks):
            denoiser.write_mask_channels(_mask_channels(current, noise))
        yield denoiser


def _mask_channels(current: Pass, noise: LatentNoise) -> Array:
    """Return an inpainting UNet's input beside the latents; without a mask, all is drawn."""
    encoded = current.init_image
    if encoded is None:
        blank = PreparedImage(Image.new("RGB", current.size))
        encoded = EncodedImage(current.networks, blank, tiling=current.settings.vae_tiling)
    return encoded.mask_channels(noise)
