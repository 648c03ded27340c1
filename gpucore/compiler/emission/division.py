"""Integer division that gives the same on every engine: x / 0 is x, and x % 0 is 0.

Engines differ for a divisor of 0 and for the least i32 by -1, and OpenGL errs in % of negative i32.
"""

from __future__ import annotations

from gpucore.compiler import ir
from gpucore.compiler.emission.trees import call, type_name
from gpucore.compiler.flexible import close
from gpucore.wgsl.syntax import (
    Binary,
    Block,
    Call,
    Expression,
    Function,
    Literal,
    Name,
    Parameter,
    Return,
    Unary,
    Variable,
)
from gpucore.wgsl.types.kinds import I32, U32, Scalar, Type, Vector

__all__ = ["division_function", "needs_function"]


def needs_function(node: ir.Binary) -> bool:
    """Tell whether a division must be written as a call: its divisor may be 0, or -1."""
    type_ = close(node.type)
    scalar = type_.scalar if isinstance(type_, Vector) else type_
    if node.operator not in ("/", "%") or scalar not in (I32, U32):
        return False
    if scalar == I32 and node.operator == "%":
        return True
    return not isinstance(node.right, ir.Constant) or node.right.value in (0, -1)


def division_function(name: str, operator: str, type_: Type) -> Function:
    """Return the function that divides numbers of an integer type, or vectors of them."""
    written = type_name(type_)
    scalar = type_.scalar if isinstance(type_, Vector) else type_
    a, b, divisor = Name("a"), Name("b"), Name("divisor")
    one = _splat(type_, Literal("1i" if scalar == I32 else "1u"))
    zero = _splat(type_, Literal("0i" if scalar == I32 else "0u"))
    wrong: Expression = Binary("==", b, zero)
    if scalar == I32:
        least = call("i32", Unary("-", Literal("2147483648")))
        overflow = Binary(
            "&",
            Binary("==", a, _splat(type_, least)),
            Binary("==", b, _splat(type_, Unary("-", Literal("1i")))),
        )
        wrong = Binary("|", wrong, overflow)
    quotient = Binary("/", a, divisor)
    result: Expression = quotient
    if operator == "%":
        result = Binary("-", a, Binary("*", quotient, divisor))
    return Function(
        name,
        (Parameter("a", written), Parameter("b", written)),
        Block((Variable("let", "divisor", None, call("select", b, one, wrong)), Return(result))),
        written,
    )


def _splat(type_: Type, value: Expression) -> Expression:
    return value if isinstance(type_, Scalar) else Call(type_name(type_), (value,))
