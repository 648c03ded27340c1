"""The series of logarithm and sine against the library's functions."""

import math

import numpy as np

from diffusion.noise.series import natural_log, sine_of_turns

ONES = 0xFFFFFFFF


def test_the_series_are_as_good_as_the_library() -> None:
    rng = np.random.default_rng(1)
    uniform = np.concatenate([rng.random(50_000), (np.arange(999) + 0.5) * 2.0**-32])
    uniform = np.concatenate([uniform, 1.0 - uniform])
    uniform = uniform[(uniform > 0.0) & (uniform < 1.0)]
    np.testing.assert_allclose(natural_log(uniform), np.log(uniform), rtol=1e-15)
    word = np.append(rng.integers(0, 2**32, 100_000), [0, 2**29 - 1, 2**29, 2**30, 2**31, ONES])
    word = word.astype(np.uint64)
    exact = np.sin(2.0 * math.pi * (word.astype(np.float64) + 0.5) * 2.0**-32)
    # The library sees an angle up to 2π rounded to 9e-16.
    np.testing.assert_allclose(sine_of_turns(word), exact, rtol=0, atol=1.2e-15)
