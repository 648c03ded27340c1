"""The cache of a pipeline's runs: captured networks and encoded prompts."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Final

from diffusion.models.graph_cache import GraphCache
from diffusion.pipeline.denoiser import GuidedDenoiser
from diffusion.text.conditioning import Conditioning

__all__ = ["RunCache"]

MOST_DENOISERS: Final = 2
"""Idle denoisers that are kept: hires fix has two sizes."""
LARGEST_DENOISER: Final = 2 * 128 * 128
"""Latent pixels of a batch, beyond which decoding needs the memory: 1024×1024, twice."""
MOST_SHARED: Final = 8
"""Idle networks for calls of several runs that are kept: one for each number of images."""
MOST_CONDITIONINGS: Final = 4


class RunCache:
    """Captured denoisers, networks that runs share, and the conditionings of the last prompts."""

    def __init__(self) -> None:
        self.denoisers = GraphCache[GuidedDenoiser](MOST_DENOISERS, LARGEST_DENOISER)
        self.shared = GraphCache[Any](MOST_SHARED)
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
        self.shared.release()
        self._conditionings.clear()
