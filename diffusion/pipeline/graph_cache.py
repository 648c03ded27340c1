"""Captured denoisers and conditionings that wait for the next picture of their kind."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import Final

from diffusion.pipeline.denoiser import GuidedDenoiser
from diffusion.pipeline.networks import Networks
from diffusion.text.conditioning import Conditioning
from gpustd.matmul.conv import Wrap

__all__ = ["GraphCache"]

MOST_DENOISERS: Final = 2
"""Kept idle: hires fix has two sizes."""
LARGEST_KEPT: Final = 2 * 128 * 128
"""Latent pixels of a batch, beyond which the memory is wanted for decoding: 1024×1024, twice."""
MOST_CONDITIONINGS: Final = 4

Shape = tuple[int, int, int, int]
Weights = tuple[float, ...]
Key = tuple[Shape, tuple[int, ...], float | None, Weights, Wrap]


class GraphCache:
    """What one pipeline keeps between runs.

    A denoiser is taken out while a run uses it, so that runs whose steps alternate do not meet in
    one. `GraphCache` refers to it meanwhile: of a forgotten run that is garbage in a cycle, the
    collector ends the buffers first, before the run gives its denoiser back, but none of those that
    are in use elsewhere.
    """

    def __init__(self, networks: Networks) -> None:
        self._networks = networks
        self._idle: dict[Key, GuidedDenoiser] = {}
        self._taken: set[GuidedDenoiser] = set()
        self._conditionings: dict[Hashable, Conditioning] = {}

    def take(
        self,
        conditioning: Conditioning,
        shape: Shape,
        scale: float | None,
        weights: Weights = (1.0,),
        seamless: Wrap = "",
    ) -> GuidedDenoiser:
        """A denoiser that follows ``conditioning``; `give` it back. See `GuidedDenoiser`."""
        kept = self._idle.pop((shape, conditioning.context.shape, scale, weights, seamless), None)
        if kept is None:
            networks = replace(self._networks, seamless=seamless)
            kept = GuidedDenoiser(networks, conditioning, shape, scale, weights)
        else:
            kept.attend(conditioning)
        self._taken.add(kept)
        return kept

    def give(
        self,
        denoiser: GuidedDenoiser,
        conditioning: Conditioning,
        shape: Shape,
        scale: float | None,
        weights: Weights = (1.0,),
        seamless: Wrap = "",
    ) -> None:
        """Keep a denoiser for the next of its kind.

        Of too many, the one kept longest goes; one for large pictures is not kept.
        """
        self._taken.discard(denoiser)
        key = (shape, conditioning.context.shape, scale, weights, seamless)
        if key in self._idle or math.prod(shape[:3]) > LARGEST_KEPT:
            denoiser.release()
            return
        self._idle[key] = denoiser
        while len(self._idle) > MOST_DENOISERS:
            self._idle.pop(next(iter(self._idle))).release()

    def conditioning(self, key: Hashable, encode: Callable[[], Conditioning]) -> Conditioning:
        """The conditioning kept under ``key``, or the one that ``encode`` makes."""
        found = self._conditionings.pop(key, None)
        self._conditionings[key] = encode() if found is None else found
        while len(self._conditionings) > MOST_CONDITIONINGS:
            del self._conditionings[next(iter(self._conditionings))]
        return self._conditionings[key]

    def release(self) -> None:
        """Give the memory of all idle denoisers back."""
        for denoiser in self._idle.values():
            denoiser.release()
        self._idle.clear()

    def forget(self) -> None:
        """Drop all that was made from the weights: call it after they change."""
        self.release()
        self._conditionings.clear()
