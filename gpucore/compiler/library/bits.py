"""Functions of a float's bits: exact on every engine."""

from __future__ import annotations

import math

from gpucore.compiler.library.words import Unsigned, bitcast

__all__ = ["frexp", "ldexp", "modf", "nextafter", "power_of_two", "signbit", "spacing", "ulp"]


def power_of_two(exponent: int) -> float:
    """Return 2**exponent for -126 <= exponent <= 127."""
    return bitcast(float, (exponent + 127) << 23)  # type: ignore[no-any-return]


def ldexp(x: float, exponent: int) -> float:
    """Return x * 2**exponent."""
    rest = min(max(exponent, -300), 300)
    result = x
    while rest > 127:
        result = result * 1.70141183e38
        rest -= 127
    while rest < -126:
        result = result * 1.17549435e-38
        rest += 126
    return result * power_of_two(rest)


def frexp(x: float) -> tuple[float, int]:
    """Return a fraction from 0.5 to 1, and the exponent of the power of two beside it."""
    bits = bitcast(Unsigned, x)
    exponent = int((bits >> 23) & 255)
    if exponent == 255 or (bits & 0x7FFFFFFF) == 0:
        return x, 0
    fraction = bits & 0x7FFFFF
    if exponent == 0:
        exponent = 1
        while fraction < 0x800000:
            fraction = fraction << 1
            exponent -= 1
        fraction = fraction & 0x7FFFFF
    return bitcast(float, (bits & 0x80000000) | 0x3F000000 | fraction), exponent - 126


def modf(x: float) -> tuple[float, float]:
    """Return the fraction and the whole part, both with the sign of x."""
    whole = math.trunc(x)
    if math.isinf(x):
        return math.copysign(0.0, x), x
    return math.copysign(x - whole, x), math.copysign(whole, x)


def nextafter(x: float, towards: float) -> float:
    """Return the next float from x in the direction of another."""
    bits = bitcast(Unsigned, x)
    other = bitcast(Unsigned, towards)
    if math.isnan(x) or math.isnan(towards):
        return math.nan
    if bits == other or ((bits | other) & 0x7FFFFFFF) == 0:
        return towards
    if (bits & 0x7FFFFFFF) == 0:
        return bitcast(float, (other & 0x80000000) | 1)  # type: ignore[no-any-return]
    # Of floats of one sign the greater has the greater bits.
    same_sign = (bits ^ other) < 0x80000000
    if same_sign and (other & 0x7FFFFFFF) > (bits & 0x7FFFFFFF):
        return bitcast(float, bits + 1)  # type: ignore[no-any-return]
    return bitcast(float, bits - 1)  # type: ignore[no-any-return]


def ulp(x: float) -> float:
    """Return the distance from abs(x) to the next greater float."""
    bits = bitcast(Unsigned, x) & 0x7FFFFFFF
    exponent = bits >> 23
    if exponent == 255:
        return bitcast(float, bits)  # type: ignore[no-any-return]
    if exponent > 23:
        return bitcast(float, (exponent - 23) << 23)  # type: ignore[no-any-return]
    return bitcast(float, Unsigned(1) << (max(exponent, 1) - 1))  # type: ignore[no-any-return]


def spacing(x: float) -> float:
    """Return the distance from x to the next float away from zero, with the sign of x."""
    if math.isinf(x):
        return math.nan
    bits = bitcast(Unsigned, x)
    is_below = bits > 0x80000000 and not math.isnan(x)
    return bitcast(float, bitcast(Unsigned, ulp(x)) | (0x80000000 if is_below else 0))  # type: ignore[no-any-return]


def signbit(x: float) -> bool:
    """Tell whether a float has a minus, which -0 has, too."""
    return bitcast(Unsigned, x) >= 0x80000000  # type: ignore[no-any-return]
