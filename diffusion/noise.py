"""Unit normal noise from a counter, the same bits on every machine.

Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") keyed with the
seed; the counter holds the draw's number and the element's index, so that any draw of any image is
had without the ones before. Box and Muller's transform makes two of its words one normal number.
Where words and counters stand is as in the generator that A1111 calls "NV" (PyTorch's on NVIDIA
GPUs, for tensors of usual size), so that seeds give the same noise there, to the last digits of
f32.

The same bits everywhere: only integer operations and +, -, ×, ÷, √ in float64 are used, which
IEEE 754 rounds in one way, one NumPy call each, so that no compiler can fuse two of them. NumPy's
own log, sin and cos differ between processors in the last bit; here they are short series.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from diffusion.errors import SettingsError

__all__ = [
    "Draw",
    "LatentNoise",
    "Reals",
    "alternating",
    "natural_log",
    "normal",
    "philox4x32",
]

Words = NDArray[np.uint64]
"""32-bit words, each in 64 bits, so that their products fit."""
Reals = NDArray[np.float64]
Draw = Callable[[int, int, Sequence[int]], NDArray[np.float32]]
"""``draw(seed, stream, shape)``: unit normal noise, draw number ``stream`` of a seed."""

MASK: Final = np.uint64(0xFFFFFFFF)
SHIFT: Final = np.uint64(32)
MULTIPLIERS: Final = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
KEY_STEPS: Final = (0x9E3779B9, 0xBB67AE85)
ROUNDS: Final = 10
LAST_STREAM: Final = 0xFFFFFFFF
BLOCK: Final = 1 << 13
"""Elements made at once, so that the words between stay in the processor's caches; divides 2³²."""

LOG_2: Final = 0.6931471805599453
LOG_TERMS: Final = 12
"""|s| ≤ 0.172 in ``natural_log``: the first term left out is below s²⁴ / 25 < 2⁻⁶⁴ of the sum."""
SINE_TERMS: Final = 9
"""|θ| ≤ π/4 in ``_sine``: the first terms left out are below θ¹⁸ / 18! < 2⁻⁵⁸."""


def philox4x32(counter: Sequence[Any], key: tuple[int, int]) -> tuple[Words, Words, Words, Words]:
    """Four random words for each counter. ``counter``: four words or arrays of words, low first.

    ``key``: two words. Words are integers below 2³².
    """
    c0, c1, c2, c3 = (np.asarray(word, dtype=np.uint64) for word in counter)
    k0, k1 = key
    for _ in range(ROUNDS):
        first, second = c0 * MULTIPLIERS[0], c2 * MULTIPLIERS[1]
        c0, c1 = (second >> SHIFT) ^ c1 ^ np.uint64(k0), second & MASK
        c2, c3 = (first >> SHIFT) ^ c3 ^ np.uint64(k1), first & MASK
        k0, k1 = (k0 + KEY_STEPS[0]) & 0xFFFFFFFF, (k1 + KEY_STEPS[1]) & 0xFFFFFFFF
    return c0, c1, c2, c3


def normal(seed: int, stream: int, shape: Sequence[int]) -> NDArray[np.float32]:
    """Unit normal noise of ``shape``, f32, row-major: draw number ``stream`` of ``seed``.

    ``seed``: 0 to 2⁶⁴ - 1; ``stream``: 0 to 2³² - 1; else ``SettingsError``. Numbers lie within
    ±6.8, as 32 bits of the radius give.
    """
    if not 0 <= seed < 1 << 64:
        raise SettingsError("seed", seed, "give a whole number from 0 to 2**64 - 1")
    if not 0 <= stream < 1 << 32:
        raise SettingsError("stream", stream, "give a whole number from 0 to 2**32 - 1")
    flat = np.empty(math.prod(shape), dtype=np.float32)
    for start in range(0, len(flat), BLOCK):
        index = np.arange(start, min(start + BLOCK, len(flat)), dtype=np.uint64)
        counter = (stream, 0, index & MASK, start >> 32)
        radius, angle, _, _ = philox4x32(counter, (seed & 0xFFFFFFFF, seed >> 32))
        flat[start : start + BLOCK] = _box_muller(radius, angle)
    return flat.reshape(shape)


def _box_muller(radius: Words, angle: Words) -> Reals:
    """√(-2 log u) · sin 2πv for u, v = (word + 1/2) / 2³²."""
    uniform = (radius.astype(np.float64) + 0.5) * 2.0**-32
    return np.sqrt(natural_log(uniform) * -2.0) * _sine(angle)


def natural_log(x: Reals) -> Reals:
    """Natural logarithm of numbers in (0, 1), to about an ulp: x = m·2ᵉ, log m = 2 artanh s."""
    mantissa, exponent = np.frexp(x)
    low = mantissa < math.sqrt(0.5)
    mantissa = np.where(low, mantissa * 2.0, mantissa)
    s = (mantissa - 1.0) / (mantissa + 1.0)
    square = s * s
    total = np.full_like(s, 1.0 / (2 * LOG_TERMS - 1))
    for k in range(LOG_TERMS - 2, -1, -1):
        total *= square
        total += 1.0 / (2 * k + 1)
    return (exponent - low) * LOG_2 + s * total * 2.0


def _sine(word: Words) -> Reals:
    """sin 2πv of v = (word + 1/2) / 2³²: by the nearest quarter turn and a series in the rest."""
    shifted = (word + np.uint64(1 << 29)) & MASK
    quarter = shifted >> np.uint64(30)
    rest = (shifted & np.uint64((1 << 30) - 1)).astype(np.float64) + (0.5 - 2.0**29)
    theta = rest * (2.0 * math.pi * 2.0**-32)
    square = theta * theta
    sine, cosine = (alternating(square, first) for first in (1, 0))
    turned = np.where(quarter & np.uint64(1), cosine, sine * theta)
    return np.where(quarter & np.uint64(2), -turned, turned)


def alternating(square: Reals, first: int) -> Reals:
    """Σ (-1)ᵏ square^k / (2k + first)!: the cosine's series, or the sine's over its argument."""
    total = np.zeros_like(square)
    for k in range(SINE_TERMS - 1, -1, -1):
        total *= square
        total += (-1.0) ** k / math.factorial(2 * k + first)
    return total


@dataclass(frozen=True)
class LatentNoise:
    """All noise of a batch of pictures: image i draws with its own seed, whatever the batch.

    ``seeds``: one an image. ``draw``: whose noise it is. The rest is the latent's size. Drawn
    channel by channel, as the field does, and given channels last: (images, height, width,
    channels) f32.
    """

    seeds: tuple[int, ...]
    height: int
    width: int
    channels: int = 4
    draw: Draw = normal

    def initial(self) -> NDArray[np.float32]:
        """The noise that sampling starts from: draw 0."""
        return self._draw(0)

    def step(self, index: int) -> NDArray[np.float32]:
        """The noise of step ``index``, from 0: draw index + 1."""
        return self._draw(index + 1)

    def encoding(self, picture: int = 0) -> NDArray[np.float32]:
        """The noise that a latent is drawn with from an encoded picture's moments.

        Counted from the last draw backwards, far from those of any step: picture 0 is the one that
        sampling starts from, 1 the one that an inpainting model reads. Always from `normal`: other
        generators have to make all draws before one.
        """
        return self._draw(LAST_STREAM - picture, normal)

    def _draw(self, stream: int, draw: Draw | None = None) -> NDArray[np.float32]:
        shape = (self.channels, self.height, self.width)
        draw = draw or self.draw
        images = [np.moveaxis(draw(seed, stream, shape), 0, -1) for seed in self.seeds]
        return np.ascontiguousarray(np.stack(images))
