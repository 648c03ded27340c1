"""Logarithm, sine and cosine in float64 by series, the same bits on every machine.

Only integer operations and +, -, ×, ÷ in float64 are used, one NumPy call each, so that no compiler
can fuse two of them. NumPy's own functions differ between processors in the last bit.

Functions with ``scratch`` compute in that array, which takes no new memory.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["Reals", "Words", "alternating_series", "natural_log", "sine_of_turns"]

Words = NDArray[np.uint64]
"""32-bit words, each in 64 bits, so that their products fit."""
Reals = NDArray[np.float64]

LOG_2: Final = 0.6931471805599453
LOG_TERMS: Final = 12
"""|s| ≤ 0.172 in ``natural_log``: the first term left out is below s²⁴ / 25 < 2⁻⁶⁴ of the sum."""
SINE_TERMS: Final = 9
"""|θ| ≤ π/4 in ``sine_of_turns``: the first terms left out are below θ¹⁸ / 18! < 2⁻⁵⁸."""


def natural_log(x: Reals, scratch: Reals | None = None) -> Reals:
    """Return log x of numbers in (0, 1), to about an ulp: x = m·2ᵉ, log m = 2 artanh s.

    ``scratch`` (4, ...) is written; its first row is the result.
    """
    total: Reals
    total, mantissa, s, square = np.empty((4, *x.shape)) if scratch is None else scratch
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


def sine_of_turns(word: Words, scratch: Reals | None = None) -> Reals:
    """Return sin 2πv of v = (word + 1/2) / 2³²: by the nearest quarter turn, and a series.

    ``word`` and ``scratch`` (4, n) are written; the first row of the latter is the result.
    """
    sine: Reals
    sine, cosine, square, theta = np.empty((4, *word.shape)) if scratch is None else scratch
    word += np.uint64(1 << 29)
    word &= np.uint64(0xFFFFFFFF)
    rest = theta.view(np.int64)
    np.bitwise_and(word.view(np.int64), (1 << 30) - 1, out=rest)
    theta[:] = rest
    theta += 0.5 - 2.0**29
    theta *= 2.0 * math.pi * 2.0**-32
    np.multiply(theta, theta, out=square)
    alternating_series(square, 1, sine)
    sine *= theta
    alternating_series(square, 0, cosine)
    # Bit 30 of the word, spread over all bits, chooses the cosine; bit 31 is the sign.
    mask, sine_bits, cosine_bits = (each.view(np.int64) for each in (theta, sine, cosine))
    np.left_shift(word.view(np.int64), 33, out=mask)
    mask >>= 63
    cosine_bits ^= sine_bits
    cosine_bits &= mask
    sine_bits ^= cosine_bits
    word &= np.uint64(1 << 31)
    word <<= np.uint64(32)
    sine_bits ^= word.view(np.int64)
    return sine


def alternating_series(square: Reals, first: int, out: Reals | None = None) -> Reals:
    """Return Σ (-1)ᵏ square^k / (2k + first)!.

    With ``first`` 0 it is the cosine's series, with 1 the sine's over its argument.
    """
    total = np.empty_like(square) if out is None else out
    total[:] = _coefficient(SINE_TERMS - 1, first)
    for k in range(SINE_TERMS - 2, -1, -1):
        total *= square
        total += _coefficient(k, first)
    return total


def _coefficient(k: int, first: int) -> float:
    return (-1.0) ** k / math.factorial(2 * k + first)
