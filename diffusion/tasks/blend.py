"""Latent blending: outside the mask, what the picture had.

The estimate of x₀ is mixed with the old latents at every step, as the WebUI does. Where the mask is
0 and 1, an Euler step then keeps x at old latents + σ·noise outside, which is what diffusers puts
there after each step.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffusion.samplers import SplitDenoiser
from gpucore import Buffer, Device, f32
from gpustd import add, multiply

__all__ = ["Blend"]

Latents = Buffer[f32]


class Blend:
    """``mask``: (h, w), 1 where it is drawn anew; ``old``: latents (B, h, w, C) f32."""

    def __init__(self, device: Device, mask: NDArray[np.float32], old: NDArray[np.float32]) -> None:
        wide = np.broadcast_to(mask[None, :, :, None], old.shape)
        self._mask = device.buffer_from_array(np.ascontiguousarray(wide))
        self._kept = device.buffer_from_array(old * (1 - wide))

    def __call__(self, x: Latents) -> Latents:
        """``x`` inside the mask, the old latents outside."""
        return add(multiply(x, self._mask), self._kept)

    def denoiser(self, denoise: SplitDenoiser[Latents]) -> Blended:
        """``denoise`` with its estimates blended."""
        return Blended(self, denoise)


@dataclass(frozen=True)
class Blended:
    """A denoiser whose estimates are blended."""

    blend: Blend
    denoise: SplitDenoiser[Latents]

    def __call__(self, x: Latents, sigma: float) -> Latents:
        """The guided estimate of x0."""
        return self.blend(self.denoise(x, sigma))

    def split(self, x: Latents, sigma: float) -> tuple[Latents, Latents]:
        """The guided estimate, and the one without the prompt."""
        guided, free = self.denoise.split(x, sigma)
        return self.blend(guided), self.blend(free)
