"""Noise of batches: each image's is its own, and drawn channel by channel."""

import numpy as np

from diffusion.noise import LatentNoise
from diffusion.noise.philox import philox_normal


def test_a_batch_is_its_images() -> None:
    batch = LatentNoise((7, 8, 2**64 - 1), 5, 6)
    for draw in (LatentNoise.initial, lambda noise: noise.step(0), lambda noise: noise.step(9)):
        together = draw(batch)
        assert together.shape == (3, 5, 6, 4)
        assert together.flags.c_contiguous
        for image, seed in enumerate(batch.seeds):
            np.testing.assert_array_equal(together[image], draw(LatentNoise((seed,), 5, 6))[0])


def test_steps_draw_with_a_seed_of_their_own() -> None:
    """A1111's ``modules/rng.py``: after the first noise, new generators of seed + delta."""
    noise = LatentNoise((3, 2**64 - 1), 2, 5, step_seed_delta=31337)
    plain = LatentNoise((3, 2**64 - 1), 2, 5)
    other = LatentNoise((3 + 31337, 31336), 2, 5)
    np.testing.assert_array_equal(noise.initial(), plain.initial())
    np.testing.assert_array_equal(noise.encoding(), plain.encoding())
    np.testing.assert_array_equal(noise.step(0), other.initial())
    np.testing.assert_array_equal(noise.step(4), other.step(3))
    below = LatentNoise((3,), 2, 5, step_seed_delta=-4)
    np.testing.assert_array_equal(below.step(0), LatentNoise((2**64 - 1,), 2, 5).initial())


def test_latents_are_drawn_channel_by_channel() -> None:
    noise = LatentNoise((3,), 2, 5)
    np.testing.assert_array_equal(
        np.moveaxis(noise.initial()[0], -1, 0), philox_normal(3, 0, (4, 2, 5))
    )
    np.testing.assert_array_equal(
        np.moveaxis(noise.step(2)[0], -1, 0), philox_normal(3, 3, (4, 2, 5))
    )
