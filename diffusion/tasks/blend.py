"""Latent blending: outside the mask, the old picture's latents stay.

The estimate of x₀ is mixed with the old latents at every step, as the WebUI does. Where the mask is
0 or 1, an Euler step then keeps x at old latents + σ·noise outside. diffusers puts the same there
after each step.
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
    """A mask (h, w), 1 where it is drawn anew, and the old latents (B, h, w, C) f32."""

    def __init__(self, device: Device, mask: NDArray[np.float32], old: NDArray[np.float32]) -> None:
        wide = np.broadcast_to(mask[None, :, :, None], old.shape)
        self._mask = device.buffer_from_array(np.ascontiguousarray(wide))
        self._old_outside = device.buffer_from_array(old * (1 - wide))

    def __call__(self, x: Latents) -> Latents:
        """Return ``x`` inside the mask, the old latents outside."""
        return add(multiply(x, self._mask), self._old_outside)

    def denoiser(self, denoise: SplitDenoiser[Latents]) -> BlendedDenoiser:
        """Return ``denoise`` with its estimates blended."""
        return BlendedDenoiser(self, denoise)


@dataclass(frozen=True)
class BlendedDenoiser:
    """A denoiser whose estimates are blended."""

    blend: Blend
    denoise: SplitDenoiser[Latents]

    def __call__(self, x: Latents, sigma: float) -> Latents:
        """Return the guided estimate of x0."""
        return self.blend(self.denoise(x, sigma))

    def split(self, x: Latents, sigma: float) -> tuple[Latents, Latents]:
        """Return the guided estimate, and the one without the prompt."""
        guided, unguided = self.denoise.split(x, sigma)
        return self.blend(guided), self.blend(unguided)
