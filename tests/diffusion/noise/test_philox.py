"""Philox against its published answers, bits that may never change, and its statistics."""

import hashlib
import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffusion.errors import SettingsError
from diffusion.noise.philox import BLOCK, Counter, Key, philox_normal, write_philox_words

ONES = 0xFFFFFFFF


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        ("00000000 " * 4, "00000000 " * 2, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ("ffffffff " * 4, "ffffffff " * 2, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (
            "243f6a88 85a308d3 13198a2e 03707344",
            "a4093822 299f31d0",
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
    ],
)
def test_philox_gives_the_published_answers(counter: str, key: str, words: str) -> None:
    """Random123's kat_vectors, `philox4x32 10`: zeros, ones, digits of π."""
    actual = philox_of(*([int(word, 16) for word in text.split()] for text in (counter, key)))
    assert actual == [int(word, 16) for word in words.split()]


words = st.integers(0, ONES)


def philox_of(counter: list[int], key: list[int]) -> list[int]:
    """Return the words of the published algorithm, in Python's integers."""
    (c0, c1, c2, c3), (k0, k1) = counter, key
    for _ in range(10):
        a, b = divmod(c0 * 0xD2511F53, 1 << 32), divmod(c2 * 0xCD9E8D57, 1 << 32)
        c0, c1, c2, c3 = b[0] ^ c1 ^ k0, b[1], a[0] ^ c3 ^ k1, a[1]
        k0, k1 = (k0 + 0x9E3779B9) % (1 << 32), (k1 + 0xBB67AE85) % (1 << 32)
    return [c0, c1, c2, c3]


@given(st.lists(words, min_size=1, max_size=5), words, words, words, words)
def test_philox_on_arrays(third: list[int], first: int, last: int, low: int, high: int) -> None:
    rows = np.full((6, len(third)), 2**64 - 1, np.uint64)
    rows[2] = third
    write_philox_words(rows, Counter(first, last), Key(low, high))
    expected = [philox_of([first, 0, word, last], [low, high]) for word in third]
    np.testing.assert_array_equal(rows[:4].T, expected)


def test_the_first_numbers_of_seed_0() -> None:
    """As A1111 gives them for its "NV" generator, which computes in f32: 2e-6 is 16 ulps of 1."""
    published = [
        [-0.92466259, -0.42534415, -2.6438457, 0.14518388],
        [-0.12086647, -0.57972564, -0.62285122, -0.32838709],
        [-1.07454231, -0.36314407, -1.67105067, 2.26550497],
    ]
    np.testing.assert_allclose(philox_normal(0, 0, (3, 4)), published, rtol=0, atol=2e-6)


@pytest.mark.parametrize(
    ("seed", "stream", "digest"),
    [
        (0, 0, "809743bb90f9fd79cf9cdc442cb64392"),
        (42, 1, "138ffe4c468d9931dafad4dd5250160a"),
        (2**64 - 1, 2**32 - 1, "f96a1b2c789d32aca4402acecf7b82aa"),
    ],
)
def test_the_bits_never_change(seed: int, stream: int, digest: str) -> None:
    """SHA-256 of 100 000 numbers, little-endian f32. A new digest changes every picture."""
    numbers = philox_normal(seed, stream, (100_000,)).astype("<f4")
    assert hashlib.sha256(numbers.tobytes()).hexdigest()[:32] == digest


def box_muller_exactly(seed: int, stream: int, index: int) -> float:
    """Return one number by the library's log and sin, which are within an ulp."""
    key = [seed & ONES, seed >> 32]
    radius, angle, _, _ = philox_of([stream, 0, index & ONES, index >> 32], key)
    u, v = (radius + 0.5) * 2.0**-32, (angle + 0.5) * 2.0**-32
    return math.sqrt(-2.0 * math.log(u)) * math.sin(2.0 * math.pi * v)


@given(st.integers(0, 2**64 - 1), st.integers(0, ONES))
def test_numbers_are_box_and_mullers(seed: int, stream: int) -> None:
    actual = philox_normal(seed, stream, (8,))
    expected = [box_muller_exactly(seed, stream, index) for index in range(8)]
    # Rounding to f32 is half an ulp, 6e-8 of the number; the float64 before it adds 1e-15.
    np.testing.assert_allclose(actual, expected, rtol=6e-8, atol=2e-15)


def test_moments() -> None:
    """Check four moments of a million numbers, each within four standard errors."""
    x = philox_normal(2024, 7, (1_000_000,)).astype(np.float64)
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs(np.mean(x**power) - moment) < 4.0 * math.sqrt(variance / len(x))


def test_the_distribution_is_normal() -> None:
    """Kolmogorov and Smirnov's distance of 200 000 numbers; above 1.95/√n one run in a thousand."""
    x = np.sort(philox_normal(5, 0, (200_000,)).astype(np.float64))
    below = np.array([0.5 * math.erfc(-value / math.sqrt(2.0)) for value in x])
    shares = np.arange(len(x) + 1) / len(x)
    distance = max(np.max(below - shares[:-1]), np.max(shares[1:] - below))
    assert distance < 1.95 / math.sqrt(len(x))


@pytest.mark.parametrize("other", [(1, 0), (0, 1), (2**32, 0)])
def test_seeds_and_draws_are_unrelated(other: tuple[int, int]) -> None:
    x, y = philox_normal(0, 0, (100_000,)), philox_normal(*other, (100_000,))
    assert abs(np.mean(x * y)) < 4.0 / math.sqrt(100_000)


def test_the_start_of_a_larger_draw_is_the_smaller_one() -> None:
    larger = philox_normal(3, 2, (BLOCK + 5,))
    np.testing.assert_array_equal(larger[:100], philox_normal(3, 2, (100,)))
    assert larger[BLOCK + 4] == np.float32(box_muller_exactly(3, 2, BLOCK + 4))


def test_threads_draw_side_by_side() -> None:
    """A block's memory is kept from draw to draw, and each thread has its own."""
    alone = [philox_normal(seed, 0, (3 * BLOCK + 7,)) for seed in range(8)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda seed: philox_normal(seed, 0, (3 * BLOCK + 7,)), range(8)))
    for x, y in zip(alone, together, strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (2, 3, 4)])
def test_shapes(shape: tuple[int, ...]) -> None:
    x = philox_normal(1, 1, shape)
    assert x.shape == shape
    assert x.dtype == np.float32
    np.testing.assert_array_equal(x.ravel(), philox_normal(1, 1, (math.prod(shape),)))


@pytest.mark.parametrize(
    ("seed", "stream", "field"),
    [(-1, 0, "seed"), (2**64, 0, "seed"), (0, -1, "stream"), (0, 2**32, "stream")],
)
def test_numbers_out_of_range(seed: int, stream: int, field: str) -> None:
    with pytest.raises(SettingsError, match=field):
        philox_normal(seed, stream, (1,))
