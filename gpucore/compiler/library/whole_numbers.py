"""Functions of integers, and of two numbers of any type."""

from __future__ import annotations

import math

from gpucore.compiler.library.words import T, Unsigned, floor_divide, fma, mod

__all__ = [
    "float_divmod",
    "floor_divmod",
    "gcd",
    "heaviside",
    "isclose",
    "isqrt",
    "lcm",
    "numpy_isclose",
    "remainder",
]


def floor_divmod(number: T, divisor: T) -> tuple[T, T]:
    """Return the quotient, rounded down, and the remainder, which has the sign of the divisor."""
    return floor_divide(number, divisor), mod(number, divisor)


def float_divmod(number: float, divisor: float) -> tuple[float, float]:
    """Return the same of floats: the quotient is that which the remainder leaves."""
    rest = mod(number, divisor)
    if divisor == 0.0:
        return number / divisor, rest
    return round((number - rest) / divisor), rest


def gcd(a: T, b: T) -> T:
    """Return the greatest common divisor."""
    one, other = abs(a), abs(b)
    while other != 0:
        one, other = other, one % other
    return one


def lcm(a: T, b: T) -> T:
    """Return the least common multiple; 0 where a number is 0."""
    common = gcd(a, b)
    if common == 0:
        return common
    return abs(a) // common * abs(b)


def isqrt(number: int) -> int:
    """Return the square root of an integer, rounded down; 0 below 0."""
    if number <= 0:
        return 0
    whole = Unsigned(number)
    root = Unsigned(math.sqrt(float(number)))
    while root * root > whole:
        root = Unsigned(root - 1)
    while (root + 1) * (root + 1) <= whole:
        root = Unsigned(root + 1)
    return int(root)


def remainder(x: float, y: float) -> float:
    """Return x less the nearest multiple of y, as IEEE 754 has it."""
    if math.isnan(x) or math.isnan(y) or math.isinf(x) or y == 0.0:
        return math.nan
    if math.isinf(y):
        return x
    return fma(-round(x / y), y, x)  # type: ignore[no-any-return]


def isclose(a: float, b: float, rel_tol: float = 1e-9, abs_tol: float = 0.0) -> bool:
    """Tell whether two numbers differ by at most a part of the larger one, as in `math`."""
    if math.isnan(a) or math.isnan(b):
        return False
    if a == b:
        return True
    if math.isinf(a) or math.isinf(b):
        return False
    return abs(a - b) <= max(rel_tol * max(abs(a), abs(b)), abs_tol)


def numpy_isclose(
    a: float, b: float, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> bool:
    """Tell whether two numbers differ by at most a part of the second one, as in NumPy."""
    if math.isnan(a) or math.isnan(b):
        return equal_nan and math.isnan(a) and math.isnan(b)
    if a == b:
        return True
    if math.isinf(a) or math.isinf(b):
        return False
    return abs(a - b) <= atol + rtol * abs(b)


def heaviside(x: float, at_zero: float) -> float:
    """Return 0 below zero, 1 above, and ``at_zero`` at it."""
    if math.isnan(x):
        return x
    return at_zero if x == 0.0 else 1.0 if x > 0.0 else 0.0
