"""PyTorch's normal numbers on a CPU: what other tools' seeds mean where they draw there.

The words are those of the Mersenne Twister (Matsumoto and Nishimura 1998), which NumPy computes,
seeded with the seed's lower 32 bits. ``torch.randn`` makes f32 numbers of them in two ways. For 16
and more: each word's lower 24 bits are a uniform number, and of each 16 numbers eight make radii
and eight angles (Box and Muller); where the count is no multiple of 16, the last 16 are drawn anew.
For fewer: pairs of 53-bit numbers; of their two normals an odd one out is kept for the next draw.

Integers are PyTorch's; logarithm, sine and cosine are taken in float64 by series, so that the bits
are the same everywhere, and PyTorch's own, in f32, to 1e-6.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from diffusion.errors import SettingsError
from diffusion.noise.philox import Reals, alternating, natural_log

__all__ = ["TorchGenerator", "torch_normal"]

STATE: Final = 624
GROUP: Final = 16
MOST_DRAWS: Final = 1024
"""Draws of one generator; later ones, which PyTorch would take long to reach, have their own."""


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
        self._kept: float | None = None

    def words(self, count: int) -> NDArray[np.uint64]:
        """The next 32-bit words."""
        return np.asarray(self._twister.random_raw(count), dtype=np.uint64)

    def normal(self, count: int) -> NDArray[np.float32]:
        """``torch.randn(count, generator=...)``, f32."""
        if count < GROUP:
            return np.array([self._one() for _ in range(count)], dtype=np.float32)
        whole = count - count % GROUP
        numbers = _grouped(self.words(count)[:whole])
        if whole == count:
            return numbers
        return np.concatenate([numbers[: count - GROUP], _grouped(self.words(GROUP))])

    def skip(self, count: int) -> None:
        """Pass over a draw of ``count`` numbers."""
        if count < GROUP:
            self.normal(count)
        else:
            self.words(count + (GROUP if count % GROUP else 0))

    def _one(self) -> float:
        """One number of a short draw; of its pair the other is kept."""
        if self._kept is not None:
            number, self._kept = self._kept, None
            return number
        high, low, high_2, low_2 = (int(word) for word in self.words(4))
        angle, radius = ((h << 32 | w) & ((1 << 53) - 1) for h, w in ((high, low), (high_2, low_2)))
        uniform = np.array([1.0 - radius * 2.0**-53])
        length = math.sqrt(-2.0 * float(natural_log(uniform)[0]))
        cosine, sine = _turned(np.array([2.0 * math.pi * angle * 2.0**-53]))
        self._kept = length * float(sine[0])
        return length * float(cosine[0])


def _grouped(words: NDArray[np.uint64]) -> NDArray[np.float32]:
    """Numbers of words, 16 by 16."""
    uniform = (words & np.uint64((1 << 24) - 1)).astype(np.float64) * 2.0**-24
    radius, angle = np.moveaxis(uniform.reshape(-1, 2, GROUP // 2), 1, 0)
    length = np.sqrt(natural_log(1.0 - radius) * -2.0)
    # PyTorch's angle is rounded to f32, which moves a number by up to 2e-6.
    cosine, sine = _turned(
        (angle.astype(np.float32) * np.float32(2.0 * math.pi)).astype(np.float64)
    )
    return np.stack([length * cosine, length * sine], axis=1).astype(np.float32).ravel()


def _turned(angle: Reals) -> tuple[Reals, Reals]:
    """Cosine and sine of angles in [0, 2π], from the nearest quarter turn."""
    quarter = np.round(angle * (2.0 / math.pi))
    rest = angle - quarter * (math.pi / 2.0) - quarter * 6.123233995736766e-17
    square = rest * rest
    sine, cosine = alternating(square, 1) * rest, alternating(square, 0)
    odd, back = quarter % 2 == 1, quarter % 4
    first, second = np.where(odd, sine, cosine), np.where(odd, cosine, sine)
    signs = np.where((back == 1) | (back == 2), -1.0, 1.0), np.where(back >= 2, -1.0, 1.0)
    return first * signs[0], second * signs[1]


def torch_normal(seed: int, stream: int, shape: Sequence[int]) -> NDArray[np.float32]:
    """Unit normal noise of ``shape``, f32, row-major: draw ``stream`` of a generator with ``seed``.

    As a tool draws that seeds once for a picture and then asks for the same shape again and again.
    From draw 1024 on (SDE samplers' draws, say) the generator is one of its own, seeded with seed
    and draw. Raises ``SettingsError`` for a seed that is none.
    """
    if not 0 <= seed < 1 << 64:
        raise SettingsError("seed", seed, "give a whole number from 0 to 2**64 - 1")
    count = math.prod(shape)
    if stream >= MOST_DRAWS:
        return TorchGenerator(seed + stream * 0x9E3779B1).normal(count).reshape(shape)
    generator = TorchGenerator(seed)
    for _ in range(stream):
        generator.skip(count)
    return generator.normal(count).reshape(shape)
