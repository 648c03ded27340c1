"""The noise of a batch of latents, each picture's from its own seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from diffusion.noise.philox import MAX_SEED, MAX_STREAM, philox_normal

__all__ = ["Draw", "LatentNoise"]

Draw: TypeAlias = Callable[[int, int, Sequence[int]], NDArray[np.float32]]
"""``draw(seed, stream, shape)``: unit normal noise, draw number ``stream`` of a seed."""

FIRST_ENCODING_STREAM: Final = MAX_STREAM


@dataclass(frozen=True)
class LatentNoise:
    """All noise of a batch of pictures: image i draws with its own seed, whatever the batch.

    ``seeds``: one for each image. ``height``, ``width``, ``channels``: the latent's size. ``draw``:
    the generator. ``step_seed_delta``: added to the seeds for the noise of steps. Noise is drawn
    channel by channel, as other tools do, and returned channels last: (images, height, width,
    channels) f32.
    """

    seeds: tuple[int, ...]
    height: int
    width: int
    channels: int = 4
    draw: Draw = philox_normal
    step_seed_delta: int = 0

    def initial(self) -> NDArray[np.float32]:
        """Return the noise that sampling starts from: draw 0."""
        return self._draw(self.draw, 0)

    def step(self, index: int) -> NDArray[np.float32]:
        """Return the noise of step ``index``, from 0: draw index + 1.

        With a ``step_seed_delta`` it is draw ``index`` of the other seed, since nothing else is
        drawn with that one. (A1111's ``modules/rng.py`` makes new generators after the first draw.)
        """
        if self.step_seed_delta == 0:
            return self._draw(self.draw, index + 1)
        seeds = tuple((seed + self.step_seed_delta) % (MAX_SEED + 1) for seed in self.seeds)
        return replace(self, seeds=seeds)._draw(self.draw, index)

    def encoding(self, picture: int = 0) -> NDArray[np.float32]:
        """Return the noise that draws a latent from the moments of an encoded picture.

        Picture 0 is the one that sampling starts from, 1 the one that an inpainting model reads.
        These draws count from the last one backwards, far from those of any step. They are always
        Philox's, since other generators have to make all draws before one.
        """
        return self._draw(philox_normal, FIRST_ENCODING_STREAM - picture)

    def _draw(self, draw: Draw, stream: int) -> NDArray[np.float32]:
        shape = (self.channels, self.height, self.width)
        images = [np.moveaxis(draw(seed, stream, shape), 0, -1) for seed in self.seeds]
        return np.ascontiguousarray(np.stack(images))
