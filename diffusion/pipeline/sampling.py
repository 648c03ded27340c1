"""The steps of one pass for one batch of images, and the calls of the UNet that they wait for."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diffusion.adapters.rank_bank import RankBank
from diffusion.errors import NotFiniteError
from diffusion.noise import LatentNoise
from diffusion.pipeline.calls import LatentsEstimate, UNetCall, WithCalls
from diffusion.pipeline.denoiser import BufferAlgebra, GuidedDenoiser, Latents
from diffusion.pipeline.init_image import EncodedImage, reads_mask
from diffusion.pipeline.overflow import OverflowWatch, is_finite
from diffusion.pipeline.passes import Pass
from diffusion.samplers import Estimate, NetworkCall
from diffusion.samplers import Step as SamplerStep
from diffusion.tasks import GuidanceOptions
from diffusion.tasks.blend import Blend
from diffusion.tasks.init_image import PreparedImage
from diffusion.text.conditioning import Conditioning
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
    options: GuidanceOptions
    leading: tuple[Hashable, ...]
    bank: int | None


class PassCalls(ExitStack):
    """The calls of the UNet that a pass makes for a batch, each with the texts of its number.

    Those that are made alone have a captured denoiser, lent at the first of them and given back at
    the end of this context.
    """

    def __init__(self, current: Pass, noise: LatentNoise) -> None:
        super().__init__()
        self._pass, self._noise = current, noise
        self._conditioning = current.conditioning()
        self._followed = self._conditioning
        self._rows = self._conditioning
        self._denoiser: GuidedDenoiser | None = None
        self._lent = self.enter_context(ExitStack())
        self._calls = 0
        changed = current.settings.guidance_options != GuidanceOptions()
        self._is_alone = changed or bool(current.controls or current.image_prompts)
        self._mask_channels: Array | None = None
        if reads_mask(current.networks):
            self._mask_channels = _mask_channels(current, noise)

    def next(self, asked: NetworkCall[Latents]) -> UNetCall:
        """Return the next call, by what the sampler asks for."""
        current, call = self._pass, self._calls
        self._calls += 1
        if call and current.variant(call) != current.variant(call - 1):
            self._conditioning = current.conditioning(call)
        return UNetCall(
            networks=current.networks,
            x=asked.x,
            sigma=asked.sigma,
            both=asked.both,
            conditioning=self._conditioning,
            scale=current.scale,
            weights=current.prompts.weights,
            mask_channels=self._mask_channels,
            traits=current.networks.seamless,
            shared=current.cache.shared,
            alone=self._is_alone,
            number=call,
            loras=current.loras_at(call),
            _make=self._make,
        )

    def _make(self, call: UNetCall) -> LatentsEstimate:
        """Make a call of this pass alone."""
        current = self._pass
        placed = None if call.loras is None else call.loras.place()
        bank = None if placed is None else placed.bank
        if self._denoiser is None or self._denoiser.bank is not bank:
            self._lent.close()  # a bank that grew is another one
            self._rows = self._followed.for_batch(call.x.shape[0])
            lent = _lend_denoiser(current, self._noise, self._rows, self._mask_channels, bank)
            self._denoiser = self._lent.enter_context(lent)
        if placed is not None:
            self._denoiser.choose_loras(placed)
        if current.controls or current.image_prompts:
            self._denoiser.choose_controls(current.active_controls(call.number))
        self._denoiser.choose_features(call.number)
        if call.conditioning is not self._followed:
            self._rows = call.conditioning.for_batch(call.x.shape[0])
            self._denoiser.attend(self._rows)
            self._followed = call.conditioning
        if call.both:
            return Estimate(*self._denoiser.split(call.x, call.sigma))
        denoise = self._denoiser
        if current.skips_negative(call.number, call.sigma):
            denoise = denoise.without_negative(self._rows)
        return Estimate(denoise(call.x, call.sigma))


def sample(
    current: Pass, start: PassStart, watch: OverflowWatch
) -> WithCalls[SamplerStep[Latents]]:
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
    sampling = schedule.sampler.steps_and_calls(
        x,
        schedule.sigmas,
        BufferAlgebra(),
        lambda index: upload(start.noise.step(current.steps_before + index)),
        schedule.options,
    )
    with PassCalls(current, start.noise) as calls, closing(sampling):
        estimate: LatentsEstimate | None = None
        while True:
            try:
                found = sampling.send(estimate)
            except StopIteration:
                return
            if isinstance(found, NetworkCall):
                estimate = yield calls.next(found)
                assert estimate is not None
                estimate = blend.estimate(estimate) if blend else estimate
                continue
            estimate = None
            watch.count(found.index, found.x)
            is_last = schedule.reaches_end and found.sigma <= schedule.last_sigma
            yield _finish(current, found, blend) if is_last else found


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
def _lend_denoiser(
    current: Pass,
    noise: LatentNoise,
    conditioning: Conditioning,
    mask_channels: Array | None,
    bank: RankBank | None,
) -> Iterator[GuidedDenoiser]:
    """Lend a denoiser that follows a conditioning, and the pass's controls."""
    networks, settings, weights = current.networks, current.settings, current.prompts.weights
    shape = (len(noise.seeds), noise.height, noise.width, noise.channels)
    key = DenoiserKey(
        shape=shape,
        context=conditioning.context.shape,
        scale=current.scale,
        weights=weights,
        seamless=networks.seamless,
        zero_snr=settings.zero_snr,
        options=settings.guidance_options,
        leading=current.leading.keys,
        bank=None if bank is None else bank.number,
    )

    def capture() -> GuidedDenoiser:
        return GuidedDenoiser(
            networks,
            conditioning,
            shape,
            current.scale,
            weights,
            settings.guidance_options,
            current.leading,
            bank,
        )

    with current.cache.denoisers.lend(key, capture) as denoiser:
        denoiser.attend(conditioning)
        denoiser.follow_controls(current.leading)
        if mask_channels is not None:
            denoiser.write_mask_channels(mask_channels)
        yield denoiser


def _mask_channels(current: Pass, noise: LatentNoise) -> Array:
    """Return an inpainting UNet's input beside the latents; without a mask, all is drawn."""
    encoded = current.init_image
    if encoded is None:
        blank = PreparedImage(Image.new("RGB", current.size))
        encoded = EncodedImage(current.networks, blank, tiling=current.settings.vae_tiling)
    return encoded.mask_channels(noise)
