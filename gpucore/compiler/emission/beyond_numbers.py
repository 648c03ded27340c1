"""Infinity, NaN and -0, which WGSL has no literals of: bits that no compiler looks into."""

from __future__ import annotations

import math
from typing import Final

from gpucore.wgsl.syntax import Block, Call, Function, Literal, Name, Return, Variable

__all__ = ["beyond_function", "beyond_word"]

_BITS: Final = {"infinity": 0x7F800000, "nan": 0x7FC00000, "minus_zero": 0x80000000}


def beyond_word(value: float) -> str | None:
    """Return the word for a float without a literal: engines make 0 of ``-0.0f``."""
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return "infinity"
    is_minus_zero = value == 0 and math.copysign(1, value) < 0
    return "minus_zero" if is_minus_zero else None


def beyond_function(word: str, name: str) -> Function:
    """Return the function that gives ``infinity``, ``nan`` or ``minus_zero``.

    WGSL refuses a constant that is one of the first, so a variable has the bits.
    """
    bits = Name("bits")
    value = Call(Name("bitcast", (Name("f32"),)), (bits,))
    first = Variable("var", bits.name, Name("u32"), Literal(f"{_BITS[word]}u"))
    return Function(name, (), Block((first, Return(value))), Name("f32"))
