"""Weights of blocks in float64, one weight at a time, from the description of each format.

Source of the formats: ggml, ``src/ggml-common.h``. Nothing is shared with `gpustd.quantization`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

IQ4 = (-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113)


def half(block: Sequence[int], at: int) -> float:
    """Return the float16 at a byte."""
    return float(struct.unpack_from("<e", bytes(block), at)[0])


def signed(byte: int) -> int:
    return byte - 256 if byte > 127 else byte


def nibble(block: Sequence[int], at: int, index: int) -> int:
    """Return level ``index`` of 32 in 16 bytes: low halves first."""
    byte = block[at + index % 16]
    return byte & 15 if index < 16 else byte >> 4


def fifth(block: Sequence[int], at: int, index: int) -> int:
    """Return bit ``index`` of the 32 from byte ``at`` on, as 16 or 0."""
    return 16 * (block[at + index // 8] >> index % 8 & 1)


def six_bits(packed: Sequence[int], group: int) -> tuple[int, int]:
    """Return scale and minimum of a group in the 12 bytes of q4_k and q5_k."""
    if group < 4:
        return packed[group] & 63, packed[group + 4] & 63
    scale = packed[group + 4] & 15 | packed[group - 4] >> 6 << 4
    return scale, packed[group + 4] >> 4 | packed[group] >> 6 << 4


def q2_k(b: Sequence[int], i: int) -> float:
    scale = b[i // 16]
    level = b[16 + i // 128 * 32 + i % 32] >> 2 * (i % 128 // 32) & 3
    return half(b, 80) * (scale & 15) * level - half(b, 82) * (scale >> 4)


def q3_k(b: Sequence[int], i: int) -> float:
    g = i // 16
    low = b[96 + g] & 15 if g < 8 else b[96 + g - 8] >> 4
    scale = low | (b[96 + 8 + g % 4] >> 2 * (g // 4) & 3) << 4
    level = b[32 + i // 128 * 32 + i % 32] >> 2 * (i % 128 // 32) & 3
    if not b[i % 32] >> i // 32 & 1:
        level -= 4
    return half(b, 108) * (scale - 32) * level


def q4_k(b: Sequence[int], i: int) -> float:
    scale, least = six_bits(b[4:16], i // 32)
    byte = b[16 + i // 64 * 32 + i % 32]
    level = byte >> 4 if i % 64 >= 32 else byte & 15
    return half(b, 0) * scale * level - half(b, 2) * least


def q5_k(b: Sequence[int], i: int) -> float:
    scale, least = six_bits(b[4:16], i // 32)
    byte = b[48 + i // 64 * 32 + i % 32]
    level = byte >> 4 if i % 64 >= 32 else byte & 15
    level += 16 * (b[16 + i % 32] >> i // 32 & 1)
    return half(b, 0) * scale * level - half(b, 2) * least


def q6_k(b: Sequence[int], i: int) -> float:
    h, p = divmod(i, 128)
    byte = b[h * 64 + p % 64]
    low = byte >> 4 if p >= 64 else byte & 15
    high = b[128 + h * 32 + p % 32] >> 2 * (p // 32) & 3
    return half(b, 208) * signed(b[192 + i // 16]) * ((low | high << 4) - 32)


def iq4_xs(b: Sequence[int], i: int) -> float:
    g = i // 32
    low = b[4 + g // 2] >> 4 * (g % 2) & 15
    high = (b[2] | b[3] << 8) >> 2 * g & 3
    return half(b, 0) * ((low | high << 4) - 32) * IQ4[nibble(b, 8 + 16 * g, i % 32)]


def e4m3fn(b: Sequence[int], _: int) -> float:
    sign, exponent, mantissa = -1 if b[0] & 128 else 1, b[0] >> 3 & 15, b[0] & 7
    if exponent == 15 and mantissa == 7:
        return float("nan")
    return sign * (mantissa * 2**-9 if exponent == 0 else (8 + mantissa) * 2.0 ** (exponent - 10))


def e5m2(b: Sequence[int], _: int) -> float:
    sign, exponent, mantissa = -1 if b[0] & 128 else 1, b[0] >> 2 & 31, b[0] & 3
    if exponent == 31:
        return float("nan") if mantissa else sign * float("inf")
    return sign * (mantissa * 2**-16 if exponent == 0 else (4 + mantissa) * 2.0 ** (exponent - 17))


WEIGHT: dict[str, Callable[[Sequence[int], int], float]] = {
    "fp8_e4m3fn": e4m3fn,
    "fp8_e5m2": e5m2,
    "iq4_nl": lambda b, i: half(b, 0) * IQ4[nibble(b, 2, i)],
    "iq4_xs": iq4_xs,
    "q2_k": q2_k,
    "q3_k": q3_k,
    "q4_0": lambda b, i: half(b, 0) * (nibble(b, 2, i) - 8),
    "q4_1": lambda b, i: half(b, 0) * nibble(b, 4, i) + half(b, 2),
    "q4_k": q4_k,
    "q5_0": lambda b, i: half(b, 0) * ((nibble(b, 6, i) | fifth(b, 2, i)) - 16),
    "q5_1": lambda b, i: half(b, 0) * (nibble(b, 8, i) | fifth(b, 4, i)) + half(b, 2),
    "q5_k": q5_k,
    "q6_k": q6_k,
    "q8_0": lambda b, i: half(b, 0) * signed(b[2 + i]),
}
"""Weight ``i`` of a block of each format."""

# Where the float16 numbers of a block stand.
HALVES: dict[str, tuple[int, ...]] = {
    "iq4_nl": (0,),
    "iq4_xs": (0,),
    "q2_k": (80, 82),
    "q3_k": (108,),
    "q4_0": (0,),
    "q4_1": (0, 2),
    "q4_k": (0, 2),
    "q5_0": (0,),
    "q5_1": (0, 2),
    "q5_k": (0, 2),
    "q6_k": (208,),
    "q8_0": (0,),
}
