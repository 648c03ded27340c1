"""PyTorch's normal numbers on a CPU, which other tools draw there for a seed.

The words are those of the Mersenne Twister (Matsumoto and Nishimura 1998), which NumPy computes,
seeded with the seed's lower 32 bits. ``torch.randn`` makes f32 numbers of them in two ways:

* 16 and more: each word's lower 24 bits are a uniform number. Eight of 16 make radii, and eight
  make angles (Box and Muller). If the count is no multiple of 16, the last 16 are drawn anew.
* fewer: pairs of 53-bit numbers make two normals each. If the count is odd, the second normal of
  the last pair is kept for the next draw.

The integers are PyTorch's. Logarithm, sine and cosine are computed in float64 by series, so that
the bits are the same everywhere; they agree with PyTorch's, computed in f32, to 1e-6.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from diffusion.errors import SettingsError
from diffusion.noise.philox import MAX_SEED
from diffusion.noise.series import Reals, alternating_series, natural_log

__all__ = ["TorchGenerator", "torch_normal"]

STATE: Final = 624
GROUP: Final = 16
MAX_DRAWS: Final = 1024
"""Draws of one generator. Later ones would take long to reach, and have their own generators."""


class TorchGenerator:
    """``torch.Generator().manual_seed(seed)`` on the CPU; ``seed``: 0 to 2⁶⁴ - 1."""

    def __init__(self, seed: int) -> None:
        key = [seed & 0xFFFFFFFF]
        for index in range(1, STATE):
            last = key[-1]
            key.append((1812433253 * (last ^ (last >> 30)) + index) & 0xFFFFFFFF)
        self._twister = np.random.MT19937()
        self._twister.state = {
            "bit_generator": "MT19937",
            "state": {"key": np.array(key, dtype=np.uint32), "pos": STATE},
        }
        self._second_of_pair: float | None = None

    def words(self, count: int) -> NDArray[np.uint64]:
        """Return the next 32-bit words."""
        return np.asarray(self._twister.random_raw(count), dtype=np.uint64)

    def normal(self, count: int) -> NDArray[np.float32]:
        """Return ``torch.randn(count, generator=...)``, f32."""
        if count < GROUP:
            return np.array([self._next_normal() for _ in range(count)], dtype=np.float32)
        in_groups = count - count % GROUP
        numbers = _normals_of_groups(self.words(count)[:in_groups])
        if in_groups == count:
            return numbers
        last_group = _normals_of_groups(self.words(GROUP))
        return np.concatenate([numbers[: count - GROUP], last_group])

    def skip(self, count: int) -> None:
        """Pass over a draw of ``count`` numbers."""
        if count < GROUP:
            self.normal(count)
        else:
            self.words(count + (GROUP if count % GROUP else 0))

    def _next_normal(self) -> float:
        """Return one number of a short draw; the other one of its pair is kept."""
        if self._second_of_pair is not None:
            number, self._second_of_pair = self._second_of_pair, None
            return number
        high, low, high_2, low_2 = (int(word) for word in self.words(4))
        angle, radius = ((h << 32 | w) & ((1 << 53) - 1) for h, w in ((high, low), (high_2, low_2)))
        uniform = np.array([1.0 - radius * 2.0**-53])
        length = math.sqrt(-2.0 * float(natural_log(uniform)[0]))
        cosine, sine = _cosine_and_sine(np.array([2.0 * math.pi * angle * 2.0**-53]))
        self._second_of_pair = length * float(sine[0])
        return length * float(cosine[0])


def _normals_of_groups(words: NDArray[np.uint64]) -> NDArray[np.float32]:
    """Return the normal numbers of words, 16 by 16."""
    uniform = (words & np.uint64((1 << 24) - 1)).astype(np.float64) * 2.0**-24
    radius, angle = np.moveaxis(uniform.reshape(-1, 2, GROUP // 2), 1, 0)
    length = np.sqrt(natural_log(1.0 - radius) * -2.0)
    # PyTorch's angle is rounded to f32, which moves a number by up to 2e-6.
    radians = angle.astype(np.float32) * np.float32(2.0 * math.pi)
    cosine, sine = _cosine_and_sine(radians.astype(np.float64))
    return np.stack([length * cosine, length * sine], axis=1).astype(np.float32).ravel()


def _cosine_and_sine(angle: Reals) -> tuple[Reals, Reals]:
    """Return cosine and sine of angles in [0, 2π], from the nearest quarter turn."""
    quarter = np.round(angle * (2.0 / math.pi))
    rest = angle - quarter * (math.pi / 2.0) - quarter * 6.123233995736766e-17
    square = rest * rest
    sine, cosine = alternating_series(square, 1) * rest, alternating_series(square, 0)
    is_odd, quadrant = quarter % 2 == 1, quarter % 4
    cosine, sine = np.where(is_odd, sine, cosine), np.where(is_odd, cosine, sine)
    cosine_sign = np.where((quadrant == 1) | (quadrant == 2), -1.0, 1.0)
    sine_sign = np.where(quadrant >= 2, -1.0, 1.0)
    return cosine * cosine_sign, sine * sine_sign


def torch_normal(seed: int, stream: int, shape: Sequence[int]) -> NDArray[np.float32]:
    """Return unit normal noise of ``shape``, f32, row-major: draw ``stream`` of a generator.

    The generator is seeded with ``seed`` and asked for the same shape again and again, as a tool
    does that seeds once for a picture. From draw 1024 on, as SDE samplers have them, each draw has
    a generator of its own, seeded with seed and draw. Raises ``SettingsError`` for a seed outside
    0 to 2⁶⁴ - 1.
    """
    if not 0 <= seed <= MAX_SEED:
        raise SettingsError("seed", seed, "must be a whole number from 0 to 2**64 - 1")
    count = math.prod(shape)
    if stream >= MAX_DRAWS:
        return TorchGenerator(seed + stream * 0x9E3779B1).normal(count).reshape(shape)
    generator = TorchGenerator(seed)
    for _ in range(stream):
        generator.skip(count)
    return generator.normal(count).reshape(shape)
