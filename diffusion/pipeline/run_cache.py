"""The cache of a pipeline's runs: captured denoisers and encoded prompts."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Final

from diffusion.models.graph_cache import GraphCache
from diffusion.pipeline.denoiser import GuidedDenoiser
from diffusion.text.conditioning import Conditioning

__all__ = ["RunCache"]

MOST_DENOISERS: Final = 2
"""Idle denoisers that are kept: hires fix has two sizes."""
LARGEST_DENOISER: Final = 2 * 128 * 128
"""Latent pixels of a batch, beyond which decoding needs the memory: 1024×1024, twice."""
MOST_CONDITIONINGS: Final = 4


class RunCache:
    """Captured denoisers, and the conditionings of the prompts used last."""

    def __init__(self) -> None:
        self.denoisers = GraphCache[GuidedDenoiser](MOST_DENOISERS, LARGEST_DENOISER)
        self._conditionings: dict[Hashable, Conditioning] = {}

    def conditioning(self, key: Hashable, encode: Callable[[], Conditioning]) -> Conditioning:
        """Return the conditioning kept under ``key``, or the one that ``encode`` makes."""
        found = self._conditionings.pop(key, None) or encode()
        self._conditionings[key] = found
        while len(self._conditionings) > MOST_CONDITIONINGS:
            del self._conditionings[next(iter(self._conditionings))]
        return found

    def release(self) -> None:
        """Drop all that was computed from the weights. Call it after they change."""
        self.denoisers.release()
        self._conditionings.clear()
