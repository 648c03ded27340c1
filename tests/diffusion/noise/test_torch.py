"""PyTorch's CPU noise: integers bit-exact, normal numbers to 1e-6, and bits that never change."""

import hashlib

import numpy as np
import pytest

from diffusion.errors import SettingsError
from diffusion.noise import NOISES, LatentNoise
from diffusion.noise.philox import philox_normal
from diffusion.noise.torch import MAX_DRAWS, TorchGenerator, torch_normal
from tests.diffusion.noise.torch_draws import DRAWS, SEEDS, draws_of, name, words_name
from tests.goldens.loader import load


def test_the_published_words() -> None:
    """The C++ standard's check of mt19937: the 10 000th word of seed 5489."""
    assert int(TorchGenerator(5489).words(10_000)[-1]) == 4123659995


@pytest.mark.parametrize("seed", SEEDS)
def test_words_are_pytorchs(seed: int) -> None:
    """Compare the lower 31 bits: the stored draws have no more."""
    words = TorchGenerator(seed).words(1000) & np.uint64(2**31 - 1)
    np.testing.assert_array_equal(words, load("torch_noise")[words_name(seed)])


@pytest.mark.parametrize("counts", DRAWS, ids=str)
@pytest.mark.parametrize("seed", SEEDS)
def test_numbers_are_pytorchs(seed: int, counts: tuple[int, ...]) -> None:
    generator = TorchGenerator(seed)
    found = np.concatenate([generator.normal(count) for count in draws_of(counts)])
    expected = load("torch_noise")[name(seed, counts)]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("count", [4, 16, 17, 100])
def test_a_draw_is_the_generators_next(count: int) -> None:
    generator = TorchGenerator(7)
    for stream in range(4):
        np.testing.assert_array_equal(torch_normal(7, stream, (count,)), generator.normal(count))


def test_later_draws_have_generators_of_their_own() -> None:
    far = [torch_normal(7, stream, (64,)) for stream in (MAX_DRAWS, MAX_DRAWS + 1, 2**32 - 1)]
    assert len({each.tobytes() for each in (*far, torch_normal(7, 0, (64,)))}) == 4
    np.testing.assert_array_equal(far[0], torch_normal(7, MAX_DRAWS, (64,)))


def test_the_bits_never_change() -> None:
    """SHA-256 of 100 000 numbers, little-endian f32. A new digest changes every picture."""
    digest = hashlib.sha256(torch_normal(42, 1, (100_000,)).astype("<f4").tobytes()).hexdigest()
    assert digest[:32] == "2702778ad0ed5cb6e1c2a823e6d4d155"


def test_moments() -> None:
    """Check four moments of a million numbers, each within four standard errors."""
    x = torch_normal(2024, 0, (1_000_000,)).astype(np.float64)
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs(np.mean(x**power) - moment) < 4.0 * (variance / len(x)) ** 0.5


def test_seeds_out_of_range() -> None:
    for seed in (-1, 2**64):
        with pytest.raises(SettingsError, match="seed"):
            torch_normal(seed, 0, (4,))


@pytest.mark.parametrize(
    ("text", "found"), [("NV", "nv"), ("ours", "nv"), ("GPU", "nv"), ("CPU", "cpu"), ("cpu", "cpu")]
)
def test_names(text: str, found: str) -> None:
    assert NOISES.find(text).name == found


def test_latents_draw_from_the_source_that_they_are_given() -> None:
    ours = LatentNoise((3, 4), 2, 5)
    theirs = LatentNoise((3, 4), 2, 5, draw=NOISES.find("cpu").draw)
    for image, seed in enumerate((3, 4)):
        drawn = np.moveaxis(theirs.step(2)[image], -1, 0)
        np.testing.assert_array_equal(drawn, torch_normal(seed, 3, (4, 2, 5)))
    np.testing.assert_array_equal(
        np.moveaxis(ours.initial()[0], -1, 0), philox_normal(3, 0, (4, 2, 5))
    )
