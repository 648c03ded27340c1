"""Latent blending: outside the mask, the old picture's latents stay.

The estimate of x₀ is mixed with the old latents at every step, as the WebUI does. Where the mask is
0 or 1, an Euler step then keeps x at old latents + σ·noise outside. diffusers puts the same there
after each step.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diffusion.samplers import Estimate
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

    def estimate(self, found: Estimate[Latents]) -> Estimate[Latents]:
        """Return estimates of x0, blended."""
        guided, unguided = found
        return Estimate(self(guided), None if unguided is None else self(unguided))
