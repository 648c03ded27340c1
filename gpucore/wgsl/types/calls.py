"""The types of calls: functions of the module, built-in functions, constructors, conversions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gpucore.wgsl.syntax import Call, Expression, Name
from gpucore.wgsl.types.built_ins import BUILT_INS, join, result_of
from gpucore.wgsl.types.expressions import ExpressionTypes
from gpucore.wgsl.types.facts import Symbol, Value
from gpucore.wgsl.types.folding import call_value, construct_value
from gpucore.wgsl.types.kinds import (
    ABSTRACT_FLOAT,
    ABSTRACT_INT,
    BOOL,
    Array,
    Matrix,
    Pointer,
    Scalar,
    Structure,
    Type,
    Units,
    Vector,
    concrete,
    converts,
    describe,
    scalar_of,
    with_scalar,
)
from gpucore.wgsl.types.resolution import MATRIX, VECTOR

__all__ = ["CallTypes"]

_ORDERS: Final = ("row_major", "col_major")
_WITHOUT: Final = ("workgroupBarrier", "storageBarrier", "textureBarrier", "subgroupElect")
_FOLDED: Final = frozenset(
    "ceil floor round trunc sqrt exp exp2 log log2 abs sign min max clamp pow select".split()
)


class CallTypes(ExpressionTypes):
    """Finds the types of expressions with calls."""

    def _call(self, node: Call) -> tuple[Type, Value | None]:
        name = node.function.name
        symbol = self.look_up(name)
        if symbol is not None and symbol.kind != "type":
            if symbol.kind != "function":
                raise self.error(f"'{name}' is not a function", node)
            return self._user_call(node, symbol), None
        if symbol is None and name in BUILT_INS:
            return self._built_in(node)
        if name == "bitcast" and len(node.arguments) == 1 and node.function.arguments:
            return self._bitcast(node), None
        if name.startswith("subgroupMatrix"):
            return self._extension(node, name), None
        if self.resolver.is_type(name):
            return self._construct(node)
        raise self.error(f"there is no function '{name}'", node)

    def _user_call(self, node: Call, symbol: Symbol) -> Type:
        self.facts.symbols[id(node)] = symbol
        signature = symbol.type
        assert isinstance(signature, Structure)  # the parameters, in their order
        if len(signature.members) != len(node.arguments):
            count = len(signature.members)
            message = f"'{symbol.name}' takes {count} arguments, got {len(node.arguments)}"
            raise self.error(message, node)
        for (name, type_), argument in zip(signature.members, node.arguments, strict=True):
            if isinstance(type_, Pointer):
                given = self.infer(argument)
                if not isinstance(given, Pointer) or given.pointee != type_.pointee:
                    message = f"'{name}' is of type {describe(type_)}, got {describe(given)}"
                    raise self.error(message, argument)
            else:
                self.expect(argument, type_, f"argument '{name}'")
        return self.facts.results[symbol.name] or Structure("void", ())

    def _built_in(self, node: Call) -> tuple[Type, Value | None]:
        name = node.function.name
        types = [self.infer(argument) for argument in node.arguments]
        if name != "arrayLength" and not types and name not in _WITHOUT:
            raise self.error(f"{name} takes arguments", node)
        signature = result_of(name, types)
        value = None
        if name in _FOLDED:
            for argument, type_ in zip(node.arguments, signature.parameters, strict=True):
                self.convert(argument, type_)
            value = call_value(name, [self.facts.value_of(a) for a in node.arguments])
        if value is None:
            signature = result_of(name, [concrete(type_) for type_ in signature.parameters])
        for argument, type_ in zip(node.arguments, signature.parameters, strict=True):
            self.convert(argument, type_)
        return signature.result or Structure("void", ()), value

    def _bitcast(self, node: Call) -> Type:
        given = self.settle(node.arguments[0])
        type_ = self.resolver.resolve(node.function.arguments[0])
        if _bits(given) != _bits(type_) or not _bits(type_):
            message = f"bitcast does not make {describe(type_)} of {describe(given)}"
            raise self.error(message, node)
        self.facts.constructed[id(node)] = type_
        return type_

    def _extension(self, node: Call, name: str) -> Type:
        """Infer a function of matrix units, an extension of Dawn's."""
        parts = [a for a in node.function.arguments if not _is_order(a)]
        types = [self.settle(argument) for argument in node.arguments]
        if name == "subgroupMatrixLoad":
            self.facts.constructed[id(node)] = self.resolver.resolve(parts[0])
            return self.facts.constructed[id(node)]
        if name == "subgroupMatrixStore":
            return Structure("void", ())
        if name in ("subgroupMatrixMultiply", "subgroupMatrixMultiplyAccumulate"):
            return self._product(node, types, parts)
        raise self.error(f"there is no function '{name}'", node)

    def _product(self, node: Call, types: Sequence[Type], parts: Sequence[Expression]) -> Type:
        if len(types) == 3 and isinstance(types[2], Units):
            return types[2]
        if (
            len(types) == 2
            and parts
            and isinstance(types[0], Units)
            and isinstance(types[1], Units)
        ):
            scalar = self.resolver.resolve(parts[0])
            if isinstance(scalar, Scalar):
                return Units("result", scalar, types[1].columns, types[0].rows)
        raise self.error(f"{node.function.name} needs matrices of a subgroup", node)

    def _construct(self, node: Call) -> tuple[Type, Value | None]:
        generic = self.resolver.generic(node.function)
        types = [self.infer(argument) for argument in node.arguments]
        inferred = not generic.arguments and self._inferred_type(node, generic.name, types)
        type_ = inferred or self.resolver.resolve(node.function)
        self._fill(node, type_, types)
        self.facts.constructed[id(node)] = type_
        return type_, construct_value(type_, [self.facts.value_of(a) for a in node.arguments])

    def _inferred_type(self, node: Call, name: str, types: Sequence[Type]) -> Type | None:
        """Return the type of ``vec3(...)``, ``mat2x2(...)`` or ``array(...)``, else None."""
        vector, matrix = VECTOR.match(name), MATRIX.match(name)
        if name == "array":
            element = join(types)
            if element is None:
                raise self.error("the elements of this array have no common type", node)
            return Array(element, len(types))
        short = (vector and vector[2]) or (matrix and matrix[3])
        if short or not (vector or matrix):
            return None
        if vector and not types:
            return Vector(int(vector[1]), ABSTRACT_INT)
        scalars = [scalar for type_ in types if (scalar := scalar_of(type_)) is not None]
        common = join(scalars)
        if not isinstance(common, Scalar) or len(scalars) != len(types):
            raise self.error(f"the parts of this {name} have no common type", node)
        if vector:
            return Vector(int(vector[1]), common)
        assert matrix is not None
        common = ABSTRACT_FLOAT if common == ABSTRACT_INT else common
        return Matrix(int(matrix[1]), int(matrix[2]), common)

    def _fill(self, node: Call, type_: Type, types: Sequence[Type]) -> None:
        """Convert the arguments of a constructor. Raises `WgslTypeError` where they do not fit."""
        match type_:
            case Scalar():
                fits = len(types) <= 1 and all(isinstance(each, Scalar) for each in types)
                targets = [concrete(each) for each in types]
            case Vector(count=count, scalar=scalar):
                sizes = [each.count if isinstance(each, Vector) else 1 for each in types]
                fits = sum(sizes) in (0, 1, count)
                whole = len(types) == 1 and isinstance(types[0], Vector)
                targets = [concrete(each) if whole else with_scalar(each, scalar) for each in types]
                fits = fits and all(scalar_of(each) is not None for each in types)
            case Matrix(columns=columns, rows=rows, scalar=scalar):
                parts = [scalar_of(each) for each in types]
                fits = None not in parts and len(types) in (0, 1, columns, columns * rows)
                targets = [with_scalar(each, scalar) for each in types]
            case Array(element=element, count=count):
                fits = len(types) in (0, count)
                targets = [element] * len(types)
            case Structure(members=members):
                fits = len(types) in (0, len(members))
                targets = [member for _, member in members][: len(types)]
            case Units(scalar=scalar):
                fits, targets = len(types) <= 1, [scalar] * len(types)
            case _:
                fits, targets = False, []
        whole = isinstance(type_, Scalar | Vector | Matrix) and len(types) == 1
        if not fits or not (whole or all(map(converts, types, targets))):
            shown = ", ".join(map(describe, types))
            raise self.error(f"{describe(type_)} cannot be made of ({shown})", node)
        for argument, target in zip(node.arguments, targets, strict=True):
            self.convert(argument, target)


def _bits(type_: Type) -> int:
    """Return the bits of a concrete scalar or vector; 0 for another type."""
    scalar = scalar_of(type_)
    if scalar is None or scalar == BOOL or isinstance(type_, Matrix):
        return 0
    return (16 if scalar.name == "f16" else 32) * (type_.count if isinstance(type_, Vector) else 1)


def _is_order(argument: Expression) -> bool:
    return isinstance(argument, Name) and argument.name in _ORDERS
