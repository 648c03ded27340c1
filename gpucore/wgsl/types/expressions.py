"""The types of expressions: the lower half of the typed pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gpucore.wgsl.errors import ConstantError
from gpucore.wgsl.syntax import (
    Binary,
    Call,
    Expression,
    Index,
    Literal,
    Member,
    Name,
    Unary,
)
from gpucore.wgsl.types.built_ins import join
from gpucore.wgsl.types.errors import OverloadError, WgslTypeError, type_error
from gpucore.wgsl.types.facts import Facts, Symbol, Value
from gpucore.wgsl.types.folding import (
    binary_value,
    convert_value,
    unary_value,
)
from gpucore.wgsl.types.kinds import (
    ABSTRACT_INT,
    BOOL,
    I32,
    U32,
    Array,
    Matrix,
    Pointer,
    Scalar,
    Structure,
    Type,
    Vector,
    concrete,
    converts,
    describe,
    is_abstract,
    scalar_of,
    with_scalar,
)
from gpucore.wgsl.types.resolution import Resolver
from gpucore.wgsl.values import Constant, parse_literal

__all__ = ["SWIZZLES", "ExpressionTypes"]

SWIZZLES: Final = ("xyzw", "rgba")
_COMPARE: Final = frozenset(("<", ">", "<=", ">=", "==", "!="))
_NUMERIC: Final = frozenset(("+", "-", "*", "/", "%"))
_BITS: Final = frozenset(("&", "|", "^"))
_INTEGERS: Final = (I32, U32, ABSTRACT_INT)


class ExpressionTypes:
    """Finds the types of expressions, with the names that ``look_up`` knows."""

    def __init__(self, source: str, facts: Facts, resolver: Resolver) -> None:
        self.source = source
        self.facts = facts
        self.resolver = resolver
        self.look_up: Callable[[str], Symbol | None] = lambda name: None

    def error(self, message: str, node: Expression) -> WgslTypeError:
        """Return an error at a node."""
        return type_error(message, self.source, node.at)

    def infer(self, node: Expression) -> Type:
        """Return the type of an expression, and note it. Raises `WgslTypeError`."""
        try:
            type_, value = self._of(node)
        except (OverloadError, ConstantError) as error:
            raise self.error(error.message, node) from None
        self._note(node, type_, value)
        return type_

    def _note(self, node: Expression, type_: Type, value: Value | None) -> None:
        self.facts.nodes.append(node)
        self.facts.types[id(node)] = type_
        if value is not None:
            self.facts.values[id(node)] = value

    def expect(self, node: Expression, type_: Type, what: str = "value") -> None:
        """Infer an expression and convert it to ``type_``. Raises `WgslTypeError`."""
        given = self.infer(node)
        if not converts(given, type_):
            message = f"the {what} is of type {describe(given)}, not {describe(type_)}"
            raise self.error(message, node)
        self.convert(node, type_)

    def convert(self, node: Expression, type_: Type) -> None:
        """Note that an expression, whose type converts to ``type_``, has this type."""
        given = self.facts.types[id(node)]
        if given == type_ or not is_abstract(given):
            return
        self.facts.types[id(node)] = type_
        value = self.facts.values.get(id(node))
        if value is not None:
            try:
                converted = convert_value(value, type_)
            except ConstantError as error:
                raise self.error(error.message, node) from None
            if converted is not None:
                self.facts.values[id(node)] = converted
                return
        self._convert_parts(node, type_)

    def _convert_parts(self, node: Expression, type_: Type) -> None:
        """Convert what an abstract expression without a value consists of."""
        if isinstance(node, Call):
            self.facts.constructed[id(node)] = type_
            scalar = scalar_of(type_)
            for argument in node.arguments:
                if isinstance(type_, Array):
                    self.convert(argument, type_.element)
                elif scalar is not None:
                    self.convert(argument, with_scalar(self.facts.type_of(argument), scalar))
        elif isinstance(node, Unary):
            self.convert(node.operand, type_)
        elif isinstance(node, Binary):
            scalar = scalar_of(type_)
            for each in (node.left, node.right):
                if scalar is not None:
                    self.convert(each, with_scalar(self.facts.type_of(each), scalar))

    def settle(self, node: Expression) -> Type:
        """Infer an expression whose abstract numbers become i32 or f32."""
        type_ = concrete(self.infer(node))
        self.convert(node, type_)
        return type_

    def _of(self, node: Expression) -> tuple[Type, Value | None]:
        match node:
            case Literal(text=text):
                constant = parse_literal(text)
                return Scalar(constant.type), constant
            case Name():
                return self._name(node)
            case Unary():
                return self._unary(node)
            case Binary():
                return self._binary(node)
            case Member():
                return self._member(node)
            case Index():
                return self._index(node)
            case Call():
                return self._call(node)

    def _name(self, node: Name) -> tuple[Type, Value | None]:
        symbol = self.look_up(node.name)
        if symbol is None or symbol.kind == "function":
            raise self.error(f"'{node.name}' is not declared", node)
        self.facts.nodes.append(node)
        self.facts.symbols[id(node)] = symbol
        return symbol.type, symbol.value

    def _unary(self, node: Unary) -> tuple[Type, Value | None]:
        operand, operator = self.infer(node.operand), node.operator
        if operator == "&":
            space, access = self._place(node.operand)
            return Pointer(space, operand, access), None
        if operator == "*":
            if not isinstance(operand, Pointer):
                raise self.error(f"'*' needs a pointer, got {describe(operand)}", node)
            return operand.pointee, None
        scalar = scalar_of(operand)
        fits = {
            "!": scalar == BOOL,
            "~": scalar in _INTEGERS,
            "-": scalar not in (None, BOOL, U32),
        }[operator]
        if not fits or (isinstance(operand, Matrix) and operator != "-"):
            raise self.error(f"'{operator}' does not work on {describe(operand)}", node)
        return operand, unary_value(operator, self.facts.value_of(node.operand))

    def _place(self, node: Expression) -> tuple[str, str]:
        """Return address space and access of what an expression refers to."""
        while isinstance(node, Member | Index):
            inner = self.facts.type_of(node.value)
            if isinstance(inner, Pointer):
                return inner.space, inner.access
            node = node.value
        if isinstance(node, Unary) and node.operator == "*":
            pointer = self.facts.type_of(node.operand)
            if isinstance(pointer, Pointer):
                return pointer.space, pointer.access
        symbol = self.facts.symbols.get(id(node))
        if symbol is None or symbol.kind in ("let", "const", "override", "parameter"):
            raise self.error("'&' needs a variable", node)
        kind, _, access = symbol.kind.partition(" ")
        return kind, access or "read_write"

    def _binary(self, node: Binary) -> tuple[Type, Value | None]:
        """Infer operands from the left, without recursion: sums may have hundreds of terms."""
        spine: list[Binary] = []
        left: Expression = node
        while isinstance(left, Binary):
            spine.append(left)
            left = left.left
        self.infer(left)
        for each in reversed(spine):
            self.infer(each.right)
            type_, value = self._combine(each)
            if each is not node:
                self._note(each, type_, value)
        return type_, value

    def _combine(self, node: Binary) -> tuple[Type, Value | None]:
        left, right = self.facts.type_of(node.left), self.facts.type_of(node.right)
        operator = node.operator
        if operator in ("<<", ">>"):
            return self._shift(node, left, right)
        result = self._operands(node, left, right)
        values = self.facts.value_of(node.left), self.facts.value_of(node.right)
        return result, binary_value(operator, *values)

    def _shift(self, node: Binary, left: Type, right: Type) -> tuple[Type, Value | None]:
        count = with_scalar(left, U32)
        if (
            scalar_of(left) not in _INTEGERS
            or isinstance(left, Matrix)
            or not converts(right, count)
        ):
            raise self._mismatch(node, left, right)
        value = binary_value(
            node.operator, self.facts.value_of(node.left), self.facts.value_of(node.right)
        )
        self.convert(node.right, count)
        if is_abstract(left) and value is None:
            self.convert(node.left, concrete(left))
            left = concrete(left)
        return left, value

    def _operands(self, node: Binary, left: Type, right: Type) -> Type:
        """Convert both operands; return the type of the result."""
        operator = node.operator
        scalar = join([s for s in (scalar_of(left), scalar_of(right)) if s is not None])
        if scalar_of(left) is None or scalar_of(right) is None or not isinstance(scalar, Scalar):
            raise self._mismatch(node, left, right)
        left, right = with_scalar(left, scalar), with_scalar(right, scalar)
        result = self._result(operator, left, right, scalar)
        if result is None:
            raise self._mismatch(node, left, right)
        known = None not in (self.facts.value_of(node.left), self.facts.value_of(node.right))
        if not (is_abstract(left) and known):
            target = concrete(scalar)
            if not is_abstract(scalar) or not known:
                scalar = target if isinstance(target, Scalar) else scalar
        self.convert(node.left, with_scalar(left, scalar))
        self.convert(node.right, with_scalar(right, scalar))
        return result if scalar_of(result) == BOOL else with_scalar(result, scalar)

    def _result(self, operator: str, left: Type, right: Type, scalar: Scalar) -> Type | None:
        if operator in ("&&", "||"):
            return BOOL if left == right == BOOL else None
        if operator in _COMPARE:
            ordered = scalar != BOOL or operator in ("==", "!=")
            fits = left == right and ordered and not isinstance(left, Matrix)
            return with_scalar(left, BOOL) if fits else None
        if operator in _BITS:
            fits = left == right and (scalar in _INTEGERS or (scalar == BOOL and operator != "^"))
            return left if fits and not isinstance(left, Matrix) else None
        if scalar == BOOL or operator not in _NUMERIC:
            return None
        if isinstance(left, Matrix) or isinstance(right, Matrix):
            return _matrix_result(operator, left, right)
        if left == right or isinstance(right, Scalar):
            return left
        return right if isinstance(left, Scalar) else None

    def _mismatch(self, node: Binary, left: Type, right: Type) -> WgslTypeError:
        message = (
            f"'{node.operator}' does not combine {describe(left)} and {describe(right)}: "
            "convert one of them"
        )
        return self.error(message, node)

    def _member(self, node: Member) -> tuple[Type, Value | None]:
        base = self.infer(node.value)
        if isinstance(base, Pointer):
            base = base.pointee
        if isinstance(base, Structure) and (found := base.member(node.name)) is not None:
            parts = self.facts.value_of(node.value)
            place = [name for name, _ in base.members].index(node.name)
            return found, parts[place] if isinstance(parts, tuple) else None
        if isinstance(base, Vector):
            letters = next((s for s in SWIZZLES if set(node.name) <= set(s)), "")[: base.count]
            if letters and 1 <= len(node.name) <= 4 and set(node.name) <= set(letters):
                places = [letters.index(letter) for letter in node.name]
                value = self.facts.value_of(node.value)
                chosen = tuple(value[i] for i in places) if isinstance(value, tuple) else None
                if len(places) == 1:
                    return base.scalar, chosen[0] if chosen else None
                return Vector(len(places), base.scalar), chosen
        raise self.error(f"{describe(base)} has no member '{node.name}'", node)

    def _index(self, node: Index) -> tuple[Type, Value | None]:
        base = self.infer(node.value)
        if isinstance(base, Pointer):
            base = base.pointee
        index = self.settle(node.index)
        if index not in (I32, U32):
            raise self.error(f"an index must be an integer, got {describe(index)}", node.index)
        match base:
            case Vector(scalar=scalar):
                element: Type = scalar
            case Matrix(rows=rows, scalar=scalar):
                element = Vector(rows, scalar)
            case Array(element=element):
                pass
            case _:
                raise self.error(f"{describe(base)} cannot be indexed", node)
        return element, self._element_value(node, base, element)

    def _element_value(self, node: Index, base: Type, element: Type) -> Value | None:
        """Return the value of an element, where index and composite are known."""
        place, parts = self.facts.value_of(node.index), self.facts.value_of(node.value)
        count = base.count if isinstance(base, Array | Vector) else None
        if isinstance(base, Matrix):
            count = base.columns
        if isinstance(place, Constant) and count is not None and not 0 <= place.value < count:
            message = f"index {place.value} is out of bounds: {describe(base)} has {count} elements"
            raise self.error(message, node.index)
        if isinstance(place, Constant) and isinstance(parts, tuple):
            return parts[int(place.value)]
        if is_abstract(base):  # a table without type that is indexed by a variable
            self.convert(node.value, concrete(base))
        return None

    def _call(self, node: Call) -> tuple[Type, Value | None]:
        """Return type and value of a call; `gpucore.wgsl.types.calls` does so."""
        raise NotImplementedError


def _matrix_result(operator: str, left: Type, right: Type) -> Type | None:
    """Return the type of an operation with a matrix."""
    match left, right:
        case Matrix(), Scalar():
            return left if operator == "*" else None
        case Scalar(), Matrix():
            return right if operator == "*" else None
        case Matrix(columns=columns, rows=rows), Vector(count=count):
            fits = operator == "*" and count == columns
            return Vector(rows, right.scalar) if fits else None
        case Vector(count=count), Matrix(columns=columns, rows=rows):
            fits = operator == "*" and count == rows
            return Vector(columns, left.scalar) if fits else None
        case Matrix(), Matrix():
            if operator in ("+", "-"):
                return left if left == right else None
            fits = operator == "*" and left.columns == right.rows
            return Matrix(right.columns, left.rows, left.scalar) if fits else None
    return None
