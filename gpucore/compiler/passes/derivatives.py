"""The rules of derivatives: the tangent of each expression, from those of its parts.

A tangent that is zero for any input is None, and costs nothing. Where a function has a corner, the
tangent is that of one side: of min and max that of the first argument.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from gpucore.compiler import ir
from gpucore.compiler.errors import KernelSyntaxError, Place
from gpucore.compiler.flexible import AnyType, Flexible, is_float, seen
from gpucore.wgsl.types.kinds import BOOL, I32, U32, Matrix, Scalar, Structure, Vector

__all__ = ["Tangents", "has_floats", "refusal", "zero_of"]

_Expression = ir.Expression
_Tangent = ir.Expression | None


class Surroundings(Protocol):
    """The function in which an expression stands."""

    def tangent_of_leaf(self, node: _Expression) -> _Tangent:
        """Return the tangent of a variable, an argument or an element."""

    def keep(self, value: _Expression) -> _Expression:
        """Return a value that is computed once."""

    def derivative(self, function: ir.Function, place: Place) -> ir.Function:
        """Return the function of the tangents of another one."""


def has_floats(type_: AnyType) -> bool:
    """Tell whether a value has a derivative: a float, or something with floats in it."""
    kind = seen(type_)
    if isinstance(kind, Structure):
        return any(has_floats(member) for _, member in kind.members)
    return is_float(kind)


def refusal(what: str, place: Place) -> KernelSyntaxError:
    """Return the error for what a derivative cannot have."""
    return KernelSyntaxError(
        f"derivatives of kernels do not know {what}: write the kernel without, or its derivative "
        "by hand",
        place,
    )


def zero_of(type_: AnyType, place: Place) -> _Expression:
    """Return the zero of a type."""
    kind = seen(type_)
    match kind:
        case Vector(scalar=scalar):
            return ir.Construct(kind, place, (zero_of(scalar, place),))
        case Matrix(columns=columns, rows=rows, scalar=scalar):
            return ir.Construct(kind, place, (zero_of(scalar, place),) * (columns * rows))
        case Structure(members=members):
            return ir.Construct(kind, place, tuple(zero_of(each, place) for _, each in members))
    value = False if kind == BOOL else 0 if kind in (I32, U32) else 0.0
    return ir.Constant(kind, place, value)


def _times(a: _Expression, b: _Expression) -> _Expression:
    """Return a product; of a number and a vector, a vector."""
    shaped = b if isinstance(seen(b.type), Vector | Matrix) else a
    return ir.Binary(shaped.type, a.place, "*", a, b)


def _by(operator: str, a: _Expression, b: _Expression) -> _Expression:
    shaped = b if isinstance(seen(b.type), Vector | Matrix) else a
    return ir.Binary(shaped.type, a.place, operator, a, b)


def _number(value: float, like: _Expression) -> _Expression:
    """Return a number of the type of another one's components."""
    kind = seen(like.type)
    scalar = kind.scalar if isinstance(kind, Vector | Matrix) else kind
    return ir.Constant(scalar, like.place, value)


def _call(name: str, *arguments: _Expression, type_: AnyType | None = None) -> _Expression:
    first = arguments[0]
    return ir.Call(first.type if type_ is None else type_, first.place, name, arguments)


def _scalar(like: _Expression) -> AnyType:
    kind = seen(like.type)
    return kind.scalar if isinstance(kind, Vector | Matrix) else kind


def _negative(a: _Expression) -> _Expression:
    return ir.Unary(a.type, a.place, "-", a)


def _square_plus(x: _Expression, sign: float, added: float) -> _Expression:
    """Return ``sign * x * x + added``."""
    square = _times(x, x)
    return _by("+", _negative(square) if sign < 0 else square, _number(added, x))


def _over(x: _Expression) -> _Expression:
    return _by("/", _number(1.0, x), x)


_OF_ONE: Final[Mapping[str, Callable[[_Expression], _Expression]]] = {
    "sin": lambda x: _call("cos", x),
    "cos": lambda x: _negative(_call("sin", x)),
    "tan": lambda x: _square_plus(_call("tan", x), 1, 1.0),
    "asin": lambda x: _call("inverseSqrt", _square_plus(x, -1, 1.0)),
    "acos": lambda x: _negative(_call("inverseSqrt", _square_plus(x, -1, 1.0))),
    "atan": lambda x: _over(_square_plus(x, 1, 1.0)),
    "sinh": lambda x: _call("cosh", x),
    "cosh": lambda x: _call("sinh", x),
    "tanh": lambda x: _square_plus(_call("tanh", x), -1, 1.0),
    "asinh": lambda x: _call("inverseSqrt", _square_plus(x, 1, 1.0)),
    "acosh": lambda x: _call("inverseSqrt", _square_plus(x, 1, -1.0)),
    "atanh": lambda x: _over(_square_plus(x, -1, 1.0)),
    "exp": lambda x: _call("exp", x),
    "exp2": lambda x: _times(_number(math.log(2), x), _call("exp2", x)),
    "log": _over,
    "log2": lambda x: _by("/", _number(1 / math.log(2), x), x),
    "sqrt": lambda x: _times(_number(0.5, x), _call("inverseSqrt", x)),
    "inverseSqrt": lambda x: _by("/", _times(_number(-0.5, x), _call("inverseSqrt", x)), x),
    "abs": lambda x: _call("sign", x),
    "degrees": lambda x: _number(180 / math.pi, x),
    "radians": lambda x: _number(math.pi / 180, x),
    "fract": lambda x: _number(1.0, x),
}
"""The factor of the tangent for functions of one number, or of each component of a vector."""

_FLAT: Final = frozenset(("floor", "ceil", "trunc", "round", "sign", "step"))


class Tangents:
    """Gives the tangents of the expressions of one function."""

    def __init__(self, inside: Surroundings) -> None:
        self._inside = inside

    def of(self, node: _Expression) -> _Tangent:
        """Return the tangent of an expression; None for zero. Raises `KernelSyntaxError`."""
        if isinstance(node, ir.Atomic):
            raise refusal("atomics", node.place)
        if not has_floats(node.type):
            return None
        match node:
            case ir.Unary(operand=operand):
                tangent = self.of(operand)
                return None if tangent is None else _negative(tangent)
            case ir.Binary():
                return self._binary(node)
            case ir.Call(function=function, arguments=arguments):
                return self._call(node, function, arguments)
            case ir.Invoke():
                return self._invoke(node)
            case _:
                return self._part(node)

    def _part(self, node: _Expression) -> _Tangent:
        match node:
            case ir.Convert(value=value, bits=False):
                tangent = self.of(value)
                return None if tangent is None else ir.Convert(node.type, node.place, tangent)
            case ir.Construct(arguments=arguments):
                found = [self.of(each) for each in arguments]
                if all(each is None for each in found):
                    return None
                parts = (
                    zero_of(each.type, each.place) if tangent is None else tangent
                    for each, tangent in zip(arguments, found, strict=True)
                )
                return ir.Construct(node.type, node.place, tuple(parts))
            case ir.Member(value=value, name=name):
                tangent = self.of(value)
                return None if tangent is None else ir.Member(node.type, node.place, tangent, name)
            case ir.Item(value=value, index=index):
                tangent = self.of(value)
                return None if tangent is None else ir.Item(node.type, node.place, tangent, index)
            case ir.Constant() | ir.Convert():
                return None
            case _:
                return self._inside.tangent_of_leaf(node)

    # Operators

    def _binary(self, node: ir.Binary) -> _Tangent:
        one, other = self.of(node.left), self.of(node.right)
        if one is None and other is None:
            return None
        if node.operator in "+-":
            left, right = node.left, node.right
        else:
            left, right = self._inside.keep(node.left), self._inside.keep(node.right)
        quotient: _Expression
        match node.operator:
            case "+":
                return self._sum(node, one, other)
            case "-":
                return self._sum(node, one, None if other is None else _negative(other))
            case "*":
                first = None if one is None else self._product(node, one, right)
                second = None if other is None else self._product(node, left, other)
                return self._sum(node, first, second)
            case "/":
                quotient = ir.Binary(node.type, node.place, "/", left, right)
            case _:  # a % b is a - b * trunc(a / b)
                ratio = ir.Binary(node.type, node.place, "/", left, right)
                quotient = _call("trunc", ratio)
        minus = None if other is None else _negative(_times(quotient, other))
        above = self._sum(node, one, minus)
        if node.operator == "%" or above is None:
            return above
        return ir.Binary(node.type, node.place, "/", above, right)

    @staticmethod
    def _product(node: ir.Binary, left: _Expression, right: _Expression) -> _Expression:
        return ir.Binary(node.type, node.place, "*", left, right)

    @staticmethod
    def _sum(node: _Expression, one: _Tangent, other: _Tangent) -> _Tangent:
        """Return a sum of tangents; a number's for each component where the value is a vector."""
        if one is not None and other is not None:
            return ir.Binary(node.type, node.place, "+", one, other)
        found, kind = one if one is not None else other, seen(node.type)
        if found is None or not isinstance(kind, Vector):
            return found
        number = isinstance(seen(found.type), Scalar | Flexible)
        return ir.Construct(kind, node.place, (found,)) if number else found

    # Functions

    def _invoke(self, node: ir.Invoke) -> _Tangent:
        arguments = tuple(self._inside.keep(each) for each in node.arguments)
        floats = [each for each in node.arguments if has_floats(each.type)]
        found = [self.of(each) for each in floats]
        if all(each is None for each in found):
            return None
        tangents = tuple(
            zero_of(each.type, each.place) if tangent is None else tangent
            for each, tangent in zip(floats, found, strict=True)
        )
        function = self._inside.derivative(node.function, node.place)
        return ir.Invoke(node.type, node.place, function, (*arguments, *tangents))

    def _call(self, node: ir.Call, name: str, arguments: tuple[_Expression, ...]) -> _Tangent:
        found = [self.of(each) for each in arguments]
        if name in _FLAT or all(each is None for each in found):
            return None
        values = [self._inside.keep(each) for each in arguments]
        if name in _OF_ONE:
            tangent = found[0]
            assert tangent is not None
            return _times(_OF_ONE[name](values[0]), tangent)
        if name == "transpose" and found[0] is not None:
            return ir.Call(node.type, node.place, name, (found[0],))
        rule = _OF_SEVERAL.get(name)
        if rule is None:
            raise refusal(f"the function {name}", node.place)
        filled = [
            zero_of(value.type, value.place) if tangent is None else tangent
            for value, tangent in zip(values, found, strict=True)
        ]
        if name == "pow":
            return _power(values, found)
        return rule(values, filled)


_Rule = Callable[[list[_Expression], list[_Expression]], _Expression]


def _condition(operator: str, a: _Expression, b: _Expression) -> _Expression:
    kind = seen(a.type)
    type_: AnyType = Vector(kind.count, BOOL) if isinstance(kind, Vector) else BOOL
    return ir.Binary(type_, a.place, operator, a, b)


def _select(no: _Expression, yes: _Expression, condition: _Expression) -> _Expression:
    return ir.Call(yes.type, yes.place, "select", (no, yes, condition))


def _power(x: list[_Expression], d: list[_Tangent]) -> _Expression:
    base, exponent = x
    result: _Tangent = None
    if d[0] is not None:
        less = _by("-", exponent, _number(1.0, exponent))
        result = _times(_times(exponent, _call("pow", base, less)), d[0])
    if d[1] is not None:
        rest = _times(_times(_call("pow", base, exponent), _call("log", base)), d[1])
        result = rest if result is None else _by("+", result, rest)
    assert result is not None
    return result


def _clamp(x: list[_Expression], d: list[_Expression]) -> _Expression:
    high = _select(d[0], d[2], _condition(">", x[0], x[2]))
    return _select(high, d[1], _condition("<", x[0], x[1]))


def _mix(x: list[_Expression], d: list[_Expression]) -> _Expression:
    rest = _by("-", _number(1.0, x[2]), x[2])
    ends = _by("+", _times(d[0], rest), _times(d[1], x[2]))
    return _by("+", ends, _times(_by("-", x[1], x[0]), d[2]))


def _fma(x: list[_Expression], d: list[_Expression]) -> _Expression:
    return _by("+", _by("+", _times(d[0], x[1]), _times(x[0], d[1])), d[2])


def _atan2(x: list[_Expression], d: list[_Expression]) -> _Expression:
    above = _by("-", _times(x[1], d[0]), _times(x[0], d[1]))
    return _by("/", above, _by("+", _times(x[0], x[0]), _times(x[1], x[1])))


def _smoothstep(x: list[_Expression], d: list[_Expression]) -> _Expression:
    low, high, value = x
    width = _by("-", high, low)
    t = _call("saturate", _by("/", _by("-", value, low), width))
    slope = _times(_times(_number(6.0, t), t), _by("-", _number(1.0, t), t))
    moved = _by("-", _by("-", d[2], d[0]), _times(t, _by("-", d[1], d[0])))
    return _by("/", _times(slope, moved), width)


def _dot(a: _Expression, b: _Expression) -> _Expression:
    return _call("dot", a, b, type_=_scalar(a))


def _cross(x: list[_Expression], d: list[_Expression]) -> _Expression:
    return _by("+", _call("cross", d[0], x[1]), _call("cross", x[0], d[1]))


def _length(x: list[_Expression], d: list[_Expression]) -> _Expression:
    return _by("/", _dot(x[0], d[0]), _call("length", x[0], type_=_scalar(x[0])))


def _distance(x: list[_Expression], d: list[_Expression]) -> _Expression:
    return _length([_by("-", x[0], x[1])], [_by("-", d[0], d[1])])


def _normalize(x: list[_Expression], d: list[_Expression]) -> _Expression:
    unit = _call("normalize", x[0])
    across = _by("-", d[0], _times(unit, _dot(unit, d[0])))
    return _by("/", across, _call("length", x[0], type_=_scalar(x[0])))


def _reflect(x: list[_Expression], d: list[_Expression]) -> _Expression:
    vector, normal = x
    turned = _by("+", _dot(d[1], vector), _dot(normal, d[0]))
    change = _by("+", _times(normal, turned), _times(d[1], _dot(normal, vector)))
    return _by("-", d[0], _times(_number(2.0, vector), change))


_OF_SEVERAL: Final[Mapping[str, _Rule]] = {
    "min": lambda x, d: _select(d[1], d[0], _condition("<=", x[0], x[1])),
    "max": lambda x, d: _select(d[1], d[0], _condition(">=", x[0], x[1])),
    "select": lambda x, d: _select(d[0], d[1], x[2]),
    "pow": lambda x, d: _power(x, [*d]),
    "clamp": _clamp,
    "mix": _mix,
    "fma": _fma,
    "atan2": _atan2,
    "smoothstep": _smoothstep,
    "dot": lambda x, d: _by("+", _dot(d[0], x[1]), _dot(x[0], d[1])),
    "cross": _cross,
    "length": _length,
    "distance": _distance,
    "normalize": _normalize,
    "reflect": _reflect,
}
