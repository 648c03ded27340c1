"""The rules of each elementwise operator: its dtypes, and how far from float64 it may be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpustd.arrays.elementwise.operands import ALL, FLOATS, INTEGERS, NUMBERS, REALS
from tests.gpustd.arrays.operators import EPS

__all__ = ["FLAGS", "RULES", "Rule", "expected_of", "without_doubt"]

Array = NDArray[Any]

FLAGS = (
    *("equal", "not_equal", "less", "less_equal", "greater", "greater_equal"),
    *("logical_and", "logical_or", "logical_xor", "logical_not", "isnan", "isinf", "isfinite"),
)
"""Operators whose results are u8."""


def size(expected: Array, *_: Array) -> Array:
    return np.asarray(np.abs(expected))


@dataclass(frozen=True)
class Rule:
    """``units`` in the last place (of f32) of what ``of`` gives, the result's size by default.

    Arguments of ``of`` are the expected result and the operands, in float64.
    """

    takes: tuple[str, ...]
    operands: int
    units: float = 0
    of: Callable[..., Array] = size
    units_complex: float = 0


def one(expected: Array, *_: Array) -> Array:
    return np.ones(expected.shape)


def whole_beyond(expected: Array, *_: Array) -> Array:
    """Return the error of a quotient rounded down: none while 3 units are less than a half."""
    return np.where(np.abs(expected) < 2**20, 0, np.abs(expected))


def of_second(expected: Array, _: Array, y: Array) -> Array:
    return np.broadcast_to(np.abs(y), expected.shape)


def of_both(expected: Array, x: Array, y: Array) -> Array:
    return np.asarray(np.abs(x) + np.abs(y)) if expected.dtype.kind == "c" else size(expected)


def of_power(expected: Array, x: Array, y: Array) -> Array:
    """`arrays.power`: 2^-23 (4 + |y| + |y log2 x|) of the result."""
    with np.errstate(all="ignore"):
        count = 4 + np.abs(y) + np.abs(y * np.log2(np.abs(x)))
        return np.nan_to_num(count * np.abs(expected), posinf=0)


# Units count the roundings on the way: a sum or product half a unit, a series two or three of these
# (of a number, or of what follows), a quotient or root 2.5 (WGSL, 15.7.4). A complex product's
# parts are two products and a sum of the whole size; a quotient has six more.
RULES: dict[str, Rule] = {
    "add": Rule(ALL, 2, 0.5, of_both, 1),
    "subtract": Rule(ALL, 2, 0.5, of_both, 1),
    "multiply": Rule(ALL, 2, 0.5, units_complex=2),
    "divide": Rule(NUMBERS, 2, 2.5, units_complex=12),
    "floor_divide": Rule(REALS, 2, 3, whole_beyond),
    "remainder": Rule(REALS, 2, 0.5, of_second),
    "power": Rule(REALS, 2, 1, of_power),
    **{op: Rule(REALS, 2) for op in ("maximum", "minimum", "fmax", "fmin")},
    "negative": Rule(ALL, 1),
    "absolute": Rule(ALL, 1, units_complex=8),
    "sign": Rule(REALS, 1),
    "square": Rule(ALL, 1, 0.5, units_complex=2),
    "reciprocal": Rule(NUMBERS, 1, 2.5, units_complex=12),
    "clip": Rule(REALS, 3),
    **{op: Rule(FLOATS, 1) for op in ("floor", "ceil", "trunc", "round")},
    "sqrt": Rule(FLOATS, 1, 2.5),
    "exp": Rule(NUMBERS, 1, 2, units_complex=4),
    "exp2": Rule(FLOATS, 1, 2),
    "expm1": Rule(FLOATS, 1, 3),
    "log": Rule(NUMBERS, 1, 2, units_complex=8),
    "log2": Rule(FLOATS, 1, 3),
    "log10": Rule(FLOATS, 1, 3),
    "log1p": Rule(FLOATS, 1, 3),
    # Half a unit below 1; the rest angle has three roundings, the series two.
    "sin": Rule(FLOATS, 1, 1.5, one),
    "cos": Rule(FLOATS, 1, 1.5, one),
    "tan": Rule(FLOATS, 1, 4, lambda expected, _: 1 + expected**2),
    **{op: Rule(FLOATS, 1, 8) for op in ("asin", "acos", "atan", "sinh", "cosh", "tanh")},
    **{op: Rule(FLOATS, 1, 8) for op in ("asinh", "acosh", "atanh")},
    "atan2": Rule(FLOATS, 2, 8),
    **{op: Rule(ALL, 2) for op in ("equal", "not_equal")},
    **{op: Rule(REALS, 2) for op in ("less", "less_equal", "greater", "greater_equal")},
    **{op: Rule(REALS, 2) for op in ("logical_and", "logical_or", "logical_xor")},
    "logical_not": Rule(REALS, 1),
    **{op: Rule(NUMBERS, 1) for op in ("isnan", "isinf", "isfinite")},
    "where": Rule(ALL, 3),
    **{op: Rule(INTEGERS, 2) for op in ("bitwise_and", "bitwise_or", "bitwise_xor")},
    **{op: Rule(INTEGERS, 2) for op in ("left_shift", "right_shift")},
    "bitwise_not": Rule(INTEGERS, 1),
    **{op: Rule(("c64",), 1) for op in ("real", "imag", "conjugate")},
}


def power_of_integers(x: Array, y: Array) -> Array:
    """Return wrapped powers; a negative power is 0, except of 1 and -1."""
    unit = np.where(y % 2 == 0, 1, x)
    return np.where(y >= 0, np.power(x, np.maximum(y, 0)), np.where(np.abs(x) == 1, unit, 0))


def power_of_floats(x: Array, y: Array) -> Array:
    """C's pow: NumPy takes a root where the only exponent is 1/2, which -inf has none of."""
    x, y = np.broadcast_arrays(x, y)
    return np.asarray(np.power(np.stack([x, x]), np.stack([y, np.ones_like(y)]))[0])


def expected_of(op: str, *operands: Array) -> Array:
    """In float64 or complex128 of floats, in their dtype of integers."""
    kind = operands[-1].dtype.kind
    if kind in "iu" and op == "power":
        return power_of_integers(*operands).astype(operands[0].dtype)
    wide = {"f": np.float64, "c": np.complex128}
    exact = [x.astype(wide[x.dtype.kind]) if x.dtype.kind in wide else x for x in operands]
    with np.errstate(all="ignore"):
        call = power_of_floats if op == "power" else getattr(np, op)
        found = np.asarray(call(*exact))
    return found.astype(np.uint8) if op in FLAGS else found


def without_doubt(
    op: str, result: Array, operands: list[Array], dtype: str
) -> tuple[Array, Array, Array, float | None]:
    """Return the result, the expectation, the allowed error, and the unit of `compare`.

    Where rounding may go beyond f32 or not, where f16 does not hold the result (the device's own
    overflow), where it lies below the normal numbers, and where a divisor lies beyond what WGSL
    divides by exactly (2^126), both are 0.
    """
    expected = expected_of(op, *operands)
    if expected.dtype.kind not in "fc":
        return result, expected, np.zeros(expected.shape), None
    rule = RULES[op]
    exact = [x.astype(np.complex128 if x.dtype.kind == "c" else np.float64) for x in operands]
    units = rule.units_complex if dtype == "c64" else rule.units
    with np.errstate(all="ignore"):
        unit = rule.of(expected, *exact) + (1.0 if dtype == "c64" and op == "log" else 0.0)
        allowed = np.where(np.isfinite(unit), units * EPS * unit, 0) + 1.2e-38
        large, most = np.abs(expected), float(np.finfo(np.float32).max)
        doubt = (large + allowed > most) & (large - 2 * allowed <= most * (1 + EPS))
        doubt &= np.isfinite(expected)
        infinite = np.isfinite(expected) & (large > most) & ~doubt
        if infinite.any():
            expected = np.where(infinite, np.sign(expected) * np.inf, expected)
        if dtype == "f16" and units:
            doubt |= np.isfinite(operands[0]) & (large > 65504)
            rounding = np.where(np.isfinite(large), 2.0**-10 * large, 0) + 6e-8
            allowed = allowed + rounding
    tiny = (large < 2.0**-126) & (np.abs(result) <= 2.0**-126)
    if op in ("divide", "reciprocal"):
        doubt = doubt | (np.abs(exact[-1]) > 2.0**126)
    out = np.broadcast_to(doubt | tiny, expected.shape)
    of = np.max(np.where(np.isfinite(unit) & ~out, unit, 0), initial=0)
    compare_unit = None if rule.of in (size, of_power, whole_beyond) and op != "log" else float(of)
    clean = np.where(out, 0, result).astype(result.dtype)
    return clean, np.where(out, 0, expected), allowed, compare_unit
