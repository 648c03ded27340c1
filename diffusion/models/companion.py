"""`Companion`: a network that is computed in step with the layers of a UNet, and changes them."""

from __future__ import annotations

from typing import Protocol

from diffusion.models.layers import Activations

__all__ = ["Companion"]


class Companion(Protocol):
    """One call of such a network beside one call of a UNet, whose methods are called in order.

    All tensors are (B, H, W, C), time embeddings (B, C). A result may have more images than given.
    """

    def mix_time(self, time: Activations, features: Activations) -> Activations:
        """Return a time embedding in place of ``time``, which is made of ``features``."""
        ...

    def begin(self, latents: Activations, x: Activations, time: Activations) -> Activations:
        """Return what the way down begins with, in place of ``x``.

        ``time``: the embedding with SiLU.
        """
        ...

    def follow(self, before: Activations, after: Activations) -> Activations:
        """Return the result of a layer that made ``after`` of ``before``.

        It is called for each layer of the way down, each downsampler and the middle.
        """
        ...

    def lead(self, x: Activations) -> Activations:
        """Return what the next layer of the way up reads in place of ``x``."""
        ...
