"""Expressions as C: operators become those of C where they mean the same, else prelude calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from gpucore.wgsl.c_family.errors import unsupported_error
from gpucore.wgsl.c_family.spelling import (
    has_length,
    structure_text,
    symbol_name,
    type_name,
    user_name,
    value_text,
)
from gpucore.wgsl.syntax import Binary, Call, Expression, Index, Literal, Member, Name, Unary
from gpucore.wgsl.types.expressions import SWIZZLES
from gpucore.wgsl.types.facts import Facts, Symbol
from gpucore.wgsl.types.kinds import (
    BOOL,
    F16,
    F32,
    I32,
    U32,
    Array,
    Matrix,
    Pointer,
    Scalar,
    Structure,
    Type,
    Units,
    Vector,
)
from gpucore.wgsl.values import Constant

__all__ = ["ExpressionPrinter", "has_call"]

_CALLS: Final = {
    "+": "w_add",
    "-": "w_sub",
    "*": "w_mul",
    "/": "w_div",
    "%": "w_mod",
    "<<": "w_shl",
    ">>": "w_shr",
    "&": "w_and",
    "|": "w_or",
    "^": "w_xor",
    "<": "w_lt",
    ">": "w_gt",
    "<=": "w_le",
    ">=": "w_ge",
    "==": "w_eq",
    "!=": "w_ne",
}
_CHEAP: Final = frozenset(("abs", "dot", "max", "min"))
_COMPARE: Final = frozenset(("<", ">", "<=", ">=", "==", "!="))
_CONVERSIONS: Final = {
    "bool": "w_bool",
    "i32": "w_i32",
    "u32": "w_u32",
    "f32": "w_f32",
    "f16": "w_f16",
}
_PLAIN: Final = {
    F32: frozenset("+-*/"),
    F16: frozenset("+-*/"),
    U32: frozenset("+-*&|^"),
    I32: frozenset("&|^"),
}
"""The operators that mean the same in C, by the type of scalar operands."""


class ExpressionPrinter:
    """Prints the expressions of one module; ``count_of`` is the length of a runtime-sized array.

    With ``checks``, an index past the end becomes the last one. ``pointers`` has what the pointers
    that were declared so far point to, by name and number; ``counts`` the lengths beside those of
    parameters.
    """

    def __init__(self, facts: Facts, source: str, *, checks: bool) -> None:
        self.facts = facts
        self.source = source
        self.checks = checks
        self.pointers: dict[tuple[str, int], Expression] = {}
        self.counts: dict[tuple[str, int], str] = {}
        self.count_of: Callable[[Expression], str] = lambda node: "0u"
        self.place_of: Callable[[Symbol], str] = symbol_name

    def text(self, node: Expression) -> str:
        """Return an expression as C."""
        value, type_ = self.facts.value_of(node), self.facts.type_of(node)
        if value is not None and (isinstance(value, Constant) or not self._is_named(node)):
            return value_text(value, type_)
        match node:
            case Literal(text=text):
                raise unsupported_error(f"'{text}'", self.source, node)
            case Name():
                return self.place_of(self.facts.symbol_of(node))
            case Unary():
                return self._unary(node)
            case Binary():
                return self._binary(node)
            case Member():
                return self._member(node)
            case Index():
                return self._index(node)
            case Call():
                return self._call(node, type_)

    def loop_condition(self, node: Expression) -> str:
        """Return the condition of a loop as C.

        What costs little on the right of ``&&`` or ``||`` has no branch of its own, which each
        round would wait for.
        """
        if not isinstance(node, Binary) or node.operator not in ("&&", "||"):
            return self.text(node)
        if self.facts.value_of(node) is not None or not self._costs_little(node.right):
            return self.text(node)
        return f"({self.loop_condition(node.left)} {node.operator[0]} {self.text(node.right)})"

    def _costs_little(self, node: Expression) -> bool:
        """Tell whether an expression reads variables alone, and does a few steps with them."""
        match node:
            case Literal():
                return True
            case Name():
                symbol = self.facts.symbols.get(id(node))
                return symbol is None or not isinstance(symbol.type, Pointer)
            case Member(value=value):
                return not isinstance(self.facts.type_of(value), Pointer) and (
                    self._costs_little(value)
                )
            case Unary(operator=operator, operand=operand):
                return operator in "-!~" and self._costs_little(operand)
            case Binary(operator=operator, left=left, right=right):
                few = operator in _COMPARE or operator in "+-*&|^"
                return few and self._costs_little(left) and self._costs_little(right)
            case Call():
                few = node.function.name in _CHEAP and self.facts.symbols.get(id(node)) is None
                return few and all(map(self._costs_little, node.arguments))
            case _:
                return False

    def _is_named(self, node: Expression) -> bool:
        """Tell whether a composite has a name in C, too."""
        return isinstance(node, Name) and self.facts.symbol_of(node).type == self.facts.type_of(
            node
        )

    def _unary(self, node: Unary) -> str:
        operand, type_ = self.text(node.operand), self.facts.type_of(node)
        match node.operator:
            case "&":
                return f"(&{operand})"
            case "*":
                return f"(*{operand})"
            case "-" if type_ != F32:
                return f"w_neg({operand})"
            case "!" | "~" if isinstance(type_, Vector):
                return f"w_not({operand})"
            case operator:
                return f"({operator}{operand})"

    def _binary(self, node: Binary) -> str:
        """Print operands from the left, without recursion: sums may have hundreds of terms."""
        spine: list[Binary] = []
        left: Expression = node
        while isinstance(left, Binary) and self.facts.value_of(left) is None:
            spine.append(left)
            left = left.left
        text = self.text(left)
        for each in reversed(spine):
            text = self._combine(each, text, self.text(each.right))
        return text

    def combine_with(self, text: str, operator: str, left: Expression, right: Expression) -> str:
        """Return ``left operator right`` as C, where ``text`` is the left operand."""
        return self._combine(Binary(operator, left, right), text, self.text(right))

    def _combine(self, node: Binary, left: str, right: str) -> str:
        operator = node.operator
        one, other = self.facts.type_of(node.left), self.facts.type_of(node.right)
        if operator in ("&&", "||"):
            return f"({left} {operator} {right})"
        scalars = isinstance(one, Scalar) and isinstance(other, Scalar)
        if scalars and (operator in _COMPARE or operator in _PLAIN.get(one, ())):  # type: ignore[arg-type]
            return f"({left} {operator} {right})"
        if scalars and operator in ("/", "%", "<<", ">>") and self._is_safe(node, one):
            return f"({left} {operator} {right})"
        return f"{_CALLS[operator]}({left}, {right})"

    def _is_safe(self, node: Binary, type_: Type) -> bool:
        """Tell whether a known divisor or count lets C's operator on u32 do the same."""
        value = self.facts.value_of(node.right)
        if type_ != U32 or not isinstance(value, Constant):
            return False
        return value.value != 0 if node.operator in ("/", "%") else value.value < 32

    def _base(self, node: Expression) -> tuple[str, Type]:
        """Return what is indexed or has members; a pointer is followed."""
        text, type_ = self.text(node), self.facts.type_of(node)
        return (f"(*{text})", type_.pointee) if isinstance(type_, Pointer) else (text, type_)

    def _member(self, node: Member) -> str:
        base, type_ = self._base(node.value)
        if isinstance(type_, Structure):
            return f"{base}.{user_name(node.name)}"
        letters = next(s for s in SWIZZLES if set(node.name) <= set(s))
        places = [letters.index(letter) for letter in node.name]
        parts = [f"{base}.{'xyzw'[place]}" for place in places]
        if len(places) == 1:
            return parts[0]
        if self._is_shared(node.value):  # a copy would hide that two reads are of one place
            return f"{type_name(self.facts.type_of(node))}{{{', '.join(parts)}}}"
        return f"w_swizzle<{', '.join(map(str, places))}>({base})"

    def _is_shared(self, node: Expression) -> bool:
        """Tell whether an expression is a place in workgroup memory whose index calls nothing."""
        while isinstance(node, Index) and not has_call(node.index):
            node = node.value
        if not isinstance(node, Name):
            return False
        symbol = self.facts.symbols.get(id(node))
        return symbol is not None and symbol.kind.startswith("workgroup")

    def _index(self, node: Index) -> str:
        base, type_ = self._base(node.value)
        index = self.text(node.index)
        if not self.checks or isinstance(self.facts.value_of(node.index), Constant):
            known = isinstance(type_, Array) and type_.count is None
            if not (self.checks and known):
                return f"{base}[{index}]"
        unsigned = index if self.facts.type_of(node.index) == U32 else f"(unsigned)({index})"
        return f"{base}[w_min({unsigned}, {self._last(node.value, type_)})]"

    def guard(self, target: Expression) -> str:
        """Return the condition under which a place lies inside of its buffer; "" where it does.

        What is written past the end of a buffer is dropped. The last element would else get it,
        which kernels that write whole blocks cannot expect.
        """
        node = target
        while self.checks and isinstance(node, Index | Member):
            inner = self.facts.type_of(node.value)
            inner = inner.pointee if isinstance(inner, Pointer) else inner
            if isinstance(node, Index) and isinstance(inner, Array) and inner.count is None:
                index = self.text(node.index)
                if self.facts.type_of(node.index) != U32:
                    index = f"(unsigned)({index})"
                return f"{index} < {self.count_of(node.value)}"
            node = node.value
        return ""

    def _last(self, node: Expression, type_: Type) -> str:
        """Return the last index of a composite."""
        match type_:
            case Array(count=None):
                return f"{self.count_of(node)} - 1u"
            case Array(count=int(count)) | Vector(count=count) | Matrix(columns=count):
                return f"{count - 1}u"
            case _:
                raise unsupported_error("this index", self.source, node)

    # Calls

    def _call(self, node: Call, type_: Type) -> str:
        name = node.function.name
        symbol = self.facts.symbols.get(id(node))
        arguments = [self.text(argument) for argument in node.arguments]
        if symbol is not None:
            return f"{symbol_name(symbol)}({', '.join(self._with_lengths(node, arguments))})"
        if name.startswith("subgroupMatrix"):
            return self._units_call(node, arguments)
        if id(node) in self.facts.constructed:
            if name == "bitcast":
                return f"w_bitcast<{type_name(type_)}>({arguments[0]})"
            return self._construct(node, type_, arguments)
        if name == "arrayLength":
            return self.count_of(node.arguments[0])
        if name == "dot" and self.facts.type_of(node.arguments[0]) == BOOL:
            raise unsupported_error("dot of bools", self.source, node)
        return f"w_{name}({', '.join(arguments)})"

    def _with_lengths(self, node: Call, arguments: list[str]) -> Iterator[str]:
        """Yield the arguments of a call, and the length behind each pointer that needs one."""
        for argument, text in zip(node.arguments, arguments, strict=True):
            yield text
            if has_length(self.facts.type_of(argument)):
                yield self.count_of(argument)

    def _construct(self, node: Call, type_: Type, arguments: list[str]) -> str:
        if not arguments:
            return f"{type_name(type_)}{{}}"
        given = [self.facts.type_of(argument) for argument in node.arguments]
        match type_:
            case Scalar(name=name):
                return f"{_CONVERSIONS[name]}({arguments[0]})"
            case Vector():
                return self._vector(type_, arguments, given)
            case Matrix():
                return self._matrix(type_, arguments, given)
            case Array():
                parts = ", ".join(f"{{{argument}}}" for argument in arguments)
                return f"{type_name(type_)}{{{{{parts}}}}}"
            case Structure():
                return structure_text(type_, arguments)
            case _:
                raise unsupported_error("this constructor", self.source, node)

    def _vector(self, type_: Vector, arguments: list[str], given: list[Type]) -> str:
        scalar = type_name(type_.scalar)
        if len(arguments) == 1:
            if given[0] == type_:
                return arguments[0]
            if isinstance(given[0], Vector):
                return f"{_CONVERSIONS[type_.scalar.name]}({arguments[0]})"
            return f"w_splat<{scalar}, {type_.count}>({arguments[0]})"
        if len(arguments) == type_.count:
            return f"{type_name(type_)}{{{', '.join(arguments)}}}"
        return f"w_join<{scalar}, {type_.count}>({', '.join(arguments)})"

    def _matrix(self, type_: Matrix, arguments: list[str], given: list[Type]) -> str:
        if len(arguments) == 1 and isinstance(given[0], Matrix):
            same = given[0] == type_
            return arguments[0] if same else f"{_CONVERSIONS[type_.scalar.name]}({arguments[0]})"
        name = "w_columns" if isinstance(given[0], Vector) else "w_numbers"
        extent = f"{type_name(type_.scalar)}, {type_.columns}, {type_.rows}"
        return f"{name}<{extent}>({', '.join(arguments)})"

    # Matrix units

    def _units_call(self, node: Call, arguments: list[str]) -> str:
        name = node.function.name
        if name == "subgroupMatrixMultiplyAccumulate":
            return f"w_multiply({', '.join(arguments)})"
        if name == "subgroupMatrixMultiply":
            result = type_name(self.facts.type_of(node))
            return f"w_multiply({', '.join(arguments)}, {result}{{}})"
        turned = any(isinstance(a, Name) and a.name == "col_major" for a in node.function.arguments)
        flag = "true" if turned else "false"
        pointer = self.facts.type_of(node.arguments[0])
        if name == "subgroupMatrixStore":
            value = self.facts.type_of(node.arguments[2])
            place, pitch = self._unit_place(node, pointer, value, arguments, arguments[3])
            return f"w_store<{flag}>({arguments[2]}, {place}, {pitch})"
        value = self.facts.type_of(node)
        place, pitch = self._unit_place(node, pointer, value, arguments, arguments[2])
        shared = "true" if self._is_aligned(pointer) else "false"
        return f"w_loaded<{type_name(value)}, {shared}, {flag}>({place}, {pitch})"

    def _unit_place(
        self, node: Call, pointer: Type, value: Type, arguments: list[str], pitch: str
    ) -> tuple[str, str]:
        """Return the address of a matrix in memory, and its pitch in numbers of the matrix."""
        if not isinstance(pointer, Pointer) or not isinstance(pointer.pointee, Array):
            raise unsupported_error("a matrix outside of an array", self.source, node)
        assert isinstance(value, Units)
        element, scalar = type_name(pointer.pointee.element), type_name(value.scalar)
        constant = "const " if pointer.access == "read" else ""
        place = f"({constant}{scalar}*)({arguments[0]}->e + ({arguments[1]}))"
        return place, f"({pitch}) * (unsigned)(sizeof({element}) / sizeof({scalar}))"

    def _is_aligned(self, pointer: Type) -> bool:
        """Tell whether every element lies in workgroup memory at a multiple of 16 bytes."""
        if not isinstance(pointer, Pointer) or pointer.space != "workgroup":
            return False
        element = pointer.pointee.element if isinstance(pointer.pointee, Array) else None
        return isinstance(element, Vector) and element.count == 4 and element.scalar != F16


def has_call(node: Expression) -> bool:
    """Tell whether an expression calls a function."""
    match node:
        case Call():
            return True
        case Index(value=value, index=index):
            return has_call(value) or has_call(index)
        case Member(value=value) | Unary(operand=value):
            return has_call(value)
        case Binary(left=left, right=right):
            return has_call(left) or has_call(right)
        case Literal() | Name():
            return False
