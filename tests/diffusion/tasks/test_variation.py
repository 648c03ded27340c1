"""Variation seeds and seed resize."""

from __future__ import annotations

import numpy as np
import pytest

from diffusion.errors import SettingsError
from diffusion.noise import LatentNoise
from diffusion.tasks.variation import Variation, slerp

NOISE = LatentNoise((7, 7), 8, 12)


def test_slerp_turns_each_column() -> None:
    """Against the angle itself, in f64, one column of one channel after the other."""
    a, b = LatentNoise((1,), 5, 3).initial(), LatentNoise((2,), 5, 3).initial()
    found = slerp(0.3, a, b)
    for column in range(3):
        for channel in range(4):
            low, high = (each[0, :, column, channel].astype(np.float64) for each in (a, b))
            cosine = low @ high / np.linalg.norm(low) / np.linalg.norm(high)
            angle = np.arccos(cosine)
            expected = (np.sin(0.7 * angle) * low + np.sin(0.3 * angle) * high) / np.sin(angle)
            np.testing.assert_allclose(found[0, :, column, channel], expected, rtol=1e-6, atol=1e-6)


def test_ends_and_parallels() -> None:
    a, b = NOISE.initial(), LatentNoise((1, 2), 8, 12).initial()
    np.testing.assert_allclose(slerp(0.0, a, b), a, atol=1e-6)
    np.testing.assert_allclose(slerp(1.0, a, b), b, atol=1e-6)
    np.testing.assert_allclose(slerp(0.4, a, a), a, atol=1e-5)


def test_images_have_variation_seeds_of_their_own() -> None:
    both = Variation(30, 0.5).initial(NOISE, (0, 1), 8)
    second = Variation(31, 0.5).initial(LatentNoise((7,), 8, 12), (0,), 8)
    np.testing.assert_array_equal(both[1:], second)
    assert not np.array_equal(both[0], both[1])


def test_the_old_sizes_noise_stands_in_the_middle() -> None:
    found = Variation(resize_from=(32, 48)).initial(LatentNoise((7,), 8, 12), (0,), 8)
    inner = LatentNoise((7,), 6, 4).initial()
    np.testing.assert_array_equal(found[:, 1:7, 4:8], inner)
    outer = LatentNoise((7,), 8, 12).initial()
    np.testing.assert_array_equal(found[:, 0], outer[:, 0])
    larger = Variation(resize_from=(128, 128)).initial(LatentNoise((7,), 8, 12), (0,), 8)
    whole = LatentNoise((7,), 16, 16).initial()
    np.testing.assert_array_equal(larger, whole[:, 4:12, 2:14])


@pytest.mark.parametrize(
    "variation",
    [
        Variation(-1),
        Variation(2**64),
        Variation(strength=1.1),
        Variation(resize_from=(60, 64)),
    ],
)
def test_settings_that_cannot_be(variation: Variation) -> None:
    with pytest.raises(SettingsError):
        variation.check()
