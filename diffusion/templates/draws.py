"""Whole numbers from a counter: the same of a seed on every machine."""

from __future__ import annotations

from typing import Final

import numpy as np

from diffusion.noise.philox import MAX_STREAM, Counter, Key, write_philox_words

__all__ = ["Draws"]

STREAM: Final = MAX_STREAM
"""The last of the generator's streams: noise is numbered by steps, from 0."""


class Draws:
    """The draws of one seed, in turn (Philox4x32-10, as the noise)."""

    def __init__(self, seed: int) -> None:
        self._key = Key(seed & 0xFFFFFFFF, seed >> 32)
        self._number = 0

    def below(self, limit: int) -> int:
        """Return a whole number from 0 to ``limit - 1``; all are as likely."""
        return self._word() * limit >> 64

    def place(self, weights: list[float]) -> int:
        """Return the place of one of ``weights``, as likely as it is great; one is above 0."""
        point = self._word() * 2.0**-64 * sum(weights)
        for place, weight in enumerate(weights):
            point -= weight
            if point < 0 < weight:
                return place
        return max(place for place, weight in enumerate(weights) if weight > 0)

    def _word(self) -> int:
        """Return the next 64 bits."""
        words = np.zeros((6, 1), np.uint64)
        words[2] = self._number
        self._number += 1
        write_philox_words(words, Counter(STREAM, 0), self._key)
        return int(words[0, 0]) << 32 | int(words[1, 0])
