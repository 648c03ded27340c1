"""Infinity and NaN, which WGSL has no literals of: bits that no compiler looks into."""

from __future__ import annotations

from typing import Final

from gpucore.wgsl.syntax import Block, Call, Function, Literal, Name, Return, Variable

__all__ = ["beyond_function"]

_BITS: Final = {"infinity": 0x7F800000, "nan": 0x7FC00000}


def beyond_function(word: str, name: str) -> Function:
    """Return the function that gives ``infinity`` or ``nan``.

    WGSL refuses a constant that is one of them, so a variable has the bits.
    """
    bits = Name("bits")
    value = Call(Name("bitcast", (Name("f32"),)), (bits,))
    first = Variable("var", bits.name, Name("u32"), Literal(f"{_BITS[word]}u"))
    return Function(name, (), Block((first, Return(value))), Name("f32"))
