"""Unit normal noise from a counter, the same bits on every machine.

Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") is keyed with the
seed. The counter holds the draw's number and the element's index, so that any draw of any image can
be made without the ones before. Box and Muller's transform makes one normal number of two words.
Words and counters are ordered as in the generator that A1111 calls "NV", which is PyTorch's on
NVIDIA GPUs for tensors of usual size. Seeds so give the same noise there, to the last digits of
f32.

The same bits everywhere: only integer operations and +, -, ×, ÷, √ in float64 are used, which
IEEE 754 rounds in one way (see ``series.py``).
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from diffusion.errors import SettingsError
from diffusion.noise.series import Reals, Words, natural_log, sine_of_turns

__all__ = ["MAX_SEED", "MAX_STREAM", "Counter", "Key", "philox_normal", "write_philox_words"]

MAX_SEED: Final = 2**64 - 1
MAX_STREAM: Final = 2**32 - 1

MASK: Final = np.uint64(0xFFFFFFFF)
SHIFT: Final = np.uint64(32)
MULTIPLIERS: Final = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
KEY_STEPS: Final = (0x9E3779B9, 0xBB67AE85)
ROUNDS: Final = 10
BLOCK: Final = 1 << 14
"""Elements made at once: 6 words each, so that they stay in the processor's caches; divides 2³²."""


class Counter(NamedTuple):
    """The counter's words 0 and 3, the same for a block. Word 1 is 0, and word 2 the element's."""

    stream: int
    block: int


class Key(NamedTuple):
    """The halves of a seed."""

    low: int
    high: int


class _Scratch(threading.local):
    """Memory for one block, each thread's own: allocating it took longer than the arithmetic."""

    def __init__(self) -> None:
        self.lanes = np.arange(BLOCK, dtype=np.uint64)
        self.words = np.empty((6, BLOCK), dtype=np.uint64)


_SCRATCH: Final = _Scratch()


def philox_normal(seed: int, stream: int, shape: Sequence[int]) -> NDArray[np.float32]:
    """Return unit normal noise of ``shape``, f32, row-major: draw number ``stream`` of ``seed``.

    ``seed``: 0 to 2⁶⁴ - 1; ``stream``: 0 to 2³² - 1; else ``SettingsError``. Numbers lie within
    ±6.8, since the radius comes from 32 bits.
    """
    if not 0 <= seed <= MAX_SEED:
        raise SettingsError("seed", seed, "must be a whole number from 0 to 2**64 - 1")
    if not 0 <= stream <= MAX_STREAM:
        raise SettingsError("stream", stream, "must be a whole number from 0 to 2**32 - 1")
    key = Key(seed & 0xFFFFFFFF, seed >> 32)
    flat = np.empty(math.prod(shape), dtype=np.float32)
    for start in range(0, len(flat), BLOCK):
        block = flat[start : start + BLOCK]
        words = _SCRATCH.words[:, : len(block)]
        np.add(_SCRATCH.lanes[: len(block)], np.uint64(start) & MASK, out=words[2])
        write_philox_words(words, Counter(stream, start >> 32), key)
        _box_muller(words[0], words[1], words[2:].view(np.float64), block)
    return flat.reshape(shape)


def write_philox_words(words: Words, counter: Counter, key: Key) -> None:
    """Write Philox4x32-10's four words for each element into rows 0 to 3 of ``words`` (6, n).

    Row 2 holds the counter's word 2 before. All rows are written. In the first two rounds half of
    the words are still the same for all elements.
    """
    c0, c1, c2, c3, first, second = words
    keys = [
        [(k + i * step) & 0xFFFFFFFF for k, step in zip(key, KEY_STEPS, strict=True)]
        for i in range(ROUNDS)
    ]
    shared = counter.stream * int(MULTIPLIERS[0])
    c1[:], c3[:] = 0, shared & 0xFFFFFFFF
    np.multiply(c2, MULTIPLIERS[1], out=second)
    _mix(second, c0, c1, keys[0][0])
    shared = ((shared >> 32) ^ counter.block ^ keys[0][1]) * int(MULTIPLIERS[1])
    np.multiply(c0, MULTIPLIERS[0], out=first)
    _mix(first, c2, c3, keys[1][1])
    np.bitwise_xor(c1, np.uint64((shared >> 32) ^ keys[1][0]), out=c0)
    c1[:] = shared & 0xFFFFFFFF
    for k0, k1 in keys[2:]:
        np.multiply(c0, MULTIPLIERS[0], out=first)
        np.multiply(c2, MULTIPLIERS[1], out=second)
        _mix(first, c2, c3, k1)
        _mix(second, c0, c1, k0)


def _mix(product: Words, high: Words, low: Words, key: int) -> None:
    """Write a product's words: the upper one, mixed with ``low`` and the key, and the lower one."""
    np.right_shift(product, SHIFT, out=high)
    np.bitwise_xor(high, low, out=high)
    np.bitwise_xor(high, np.uint64(key), out=high)
    np.bitwise_and(product, MASK, out=low)


def _box_muller(radius: Words, angle: Words, scratch: Reals, out: NDArray[np.float32]) -> None:
    """Write √(-2 log u) · sin 2πv for u, v = (word + 1/2) / 2³² into ``out``.

    ``scratch`` (4, n) is written, as are both words.
    """
    uniform = radius.view(np.float64)
    uniform[:] = radius.view(np.int64)
    uniform += 0.5
    uniform *= 2.0**-32
    length = natural_log(uniform, scratch)
    length *= -2.0
    np.sqrt(length, out=uniform)
    np.multiply(uniform, sine_of_turns(angle, scratch), out=out, casting="same_kind")
