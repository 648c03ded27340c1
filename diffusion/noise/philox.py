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
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

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
BLOCK: Final = 1 << 14
"""Elements made at once: 6 words each, so that they stay in the processor's caches; divides 2³²."""

LOG_2: Final = 0.6931471805599453
LOG_TERMS: Final = 12
"""|s| ≤ 0.172 in ``natural_log``: the first term left out is below s²⁴ / 25 < 2⁻⁶⁴ of the sum."""
SINE_TERMS: Final = 9
"""|θ| ≤ π/4 in ``_sine``: the first terms left out are below θ¹⁸ / 18! < 2⁻⁵⁸."""


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
        part = flat[start : start + BLOCK]
        room = _ROOM.words[:, : len(part)]
        np.add(_ROOM.lanes[: len(part)], np.uint64(start) & MASK, out=room[2])
        _philox((stream, start >> 32), (seed & 0xFFFFFFFF, seed >> 32), room)
        _box_muller(room[0], room[1], room[2:].view(np.float64), part)
    return flat.reshape(shape)


class _Room(threading.local):
    """Memory of a block, each thread's own: to get it anew took longer than the arithmetic."""

    def __init__(self) -> None:
        self.lanes = np.arange(BLOCK, dtype=np.uint64)
        self.words = np.empty((6, BLOCK), dtype=np.uint64)


_ROOM: Final = _Room()


def _philox(ends: tuple[int, int], key: tuple[int, int], room: Words) -> None:
    """Philox4x32-10 in ``room`` (6, n): four words for each counter, in rows 0 to 3.

    ``ends``: the counter's words 0 and 3; row 2: its word 2; word 1 is 0. In the first two rounds
    half of the words are still the same for all.
    """
    c0, c1, c2, c3, first, second = room
    keys = [
        [(k + i * step) & 0xFFFFFFFF for k, step in zip(key, KEY_STEPS, strict=True)]
        for i in range(ROUNDS)
    ]
    same = ends[0] * int(MULTIPLIERS[0])
    c1[:], c3[:] = 0, same & 0xFFFFFFFF
    np.multiply(c2, MULTIPLIERS[1], out=second)
    _mix(second, c0, c1, keys[0][0])
    same = ((same >> 32) ^ ends[1] ^ keys[0][1]) * int(MULTIPLIERS[1])
    np.multiply(c0, MULTIPLIERS[0], out=first)
    _mix(first, c2, c3, keys[1][1])
    np.bitwise_xor(c1, np.uint64((same >> 32) ^ keys[1][0]), out=c0)
    c1[:] = same & 0xFFFFFFFF
    for k0, k1 in keys[2:]:
        np.multiply(c0, MULTIPLIERS[0], out=first)
        np.multiply(c2, MULTIPLIERS[1], out=second)
        _mix(first, c2, c3, k1)
        _mix(second, c0, c1, k0)


def _mix(product: Words, high: Words, low: Words, key: int) -> None:
    """A product's upper word, mixed with ``low`` and the key, in ``high``; its lower in ``low``."""
    np.right_shift(product, SHIFT, out=high)
    np.bitwise_xor(high, low, out=high)
    np.bitwise_xor(high, np.uint64(key), out=high)
    np.bitwise_and(product, MASK, out=low)


def _box_muller(radius: Words, angle: Words, room: Reals, out: NDArray[np.float32]) -> None:
    """√(-2 log u) · sin 2πv for u, v = (word + 1/2) / 2³², in ``out``; ``room`` (4, n)."""
    uniform = radius.view(np.float64)
    uniform[:] = radius.view(np.int64)
    uniform += 0.5
    uniform *= 2.0**-32
    length = natural_log(uniform, room)
    length *= -2.0
    np.sqrt(length, out=uniform)
    np.multiply(uniform, _sine(angle, room), out=out, casting="same_kind")


def natural_log(x: Reals, room: Reals | None = None) -> Reals:
    """Natural logarithm of numbers in (0, 1), to about an ulp: x = m·2ᵉ, log m = 2 artanh s.

    ``room`` (4, ...) is written, and holds the result in its first row.
    """
    total: Reals
    total, mantissa, s, square = np.empty((4, *x.shape)) if room is None else room
    _, exponent = np.frexp(x, mantissa)
    low = mantissa < math.sqrt(0.5)
    exponent -= low
    np.multiply(mantissa, low, out=s)
    mantissa += s
    np.subtract(mantissa, 1.0, out=s)
    mantissa += 1.0
    s /= mantissa
    np.multiply(s, s, out=square)
    total[:] = 1.0 / (2 * LOG_TERMS - 1)
    for k in range(LOG_TERMS - 2, -1, -1):
        total *= square
        total += 1.0 / (2 * k + 1)
    total *= s
    total *= 2.0
    np.multiply(exponent, LOG_2, out=square)
    total += square
    return total


def _sine(word: Words, room: Reals | None = None) -> Reals:
    """sin 2πv of v = (word + 1/2) / 2³²: by the nearest quarter turn and a series in the rest.

    ``word`` and ``room`` (4, n) are written; the latter's first row holds the result.
    """
    sine: Reals
    sine, cosine, square, theta = np.empty((4, *word.shape)) if room is None else room
    word += np.uint64(1 << 29)
    word &= MASK
    rest = theta.view(np.int64)
    np.bitwise_and(word.view(np.int64), (1 << 30) - 1, out=rest)
    theta[:] = rest
    theta += 0.5 - 2.0**29
    theta *= 2.0 * math.pi * 2.0**-32
    np.multiply(theta, theta, out=square)
    alternating(square, 1, sine)
    sine *= theta
    alternating(square, 0, cosine)
    # Bit 30 of the word, in all places, chooses one of the two; bit 31 is the sign.
    chosen, turned, other = (each.view(np.int64) for each in (theta, sine, cosine))
    np.left_shift(word.view(np.int64), 33, out=chosen)
    chosen >>= 63
    other ^= turned
    other &= chosen
    turned ^= other
    word &= np.uint64(1 << 31)
    word <<= SHIFT
    turned ^= word.view(np.int64)
    return sine


def alternating(square: Reals, first: int, out: Reals | None = None) -> Reals:
    """Σ (-1)ᵏ square^k / (2k + first)!: the cosine's series, or the sine's over its argument."""
    total = np.empty_like(square) if out is None else out
    total[:] = _term(SINE_TERMS - 1, first)
    for k in range(SINE_TERMS - 2, -1, -1):
        total *= square
        total += _term(k, first)
    return total


def _term(k: int, first: int) -> float:
    return (-1.0) ** k / math.factorial(2 * k + first)


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
