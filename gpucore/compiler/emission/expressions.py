"""Expressions: from the typed form to WGSL's syntax tree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from gpucore.compiler import ir
from gpucore.compiler.emission.atomics import needs_function as needs_atomic_function
from gpucore.compiler.emission.beyond_numbers import beyond_word
from gpucore.compiler.emission.division import needs_function
from gpucore.compiler.emission.trees import call, literal, number, type_name
from gpucore.compiler.errors import KernelTypeError, Place
from gpucore.compiler.flexible import FLOATS, close, describe_type, is_float
from gpucore.wgsl.syntax import Binary, Call, Expression, Index, Member, Name, Unary, Variable
from gpucore.wgsl.types.kinds import F32, U32, Scalar, Type, Vector

__all__ = ["ExpressionWriter", "Outside"]


class Outside(Protocol):
    """The names outside of the function that is written: arrays, parameters, built-in values."""

    atomics: frozenset[ir.ArrayRef]
    storage_barriers: frozenset[Place]

    def at(self, place: Place) -> int:
        """Return the number of a place, which a node of the tree keeps."""

    def array(self, array: ir.ArrayRef) -> Name:
        """Return the variable of an array."""

    def own_arrays(self, body: ir.Block) -> tuple[Variable, ...]:
        """Return the declarations of arrays that only this function uses."""

    def print_site(self, node: ir.Print) -> tuple[int, tuple[str, str, str]]:
        """Return the number of a print, and the names of its function, buffer and a local name."""

    def argument(self, name: str, at: int) -> Expression:
        """Return the value of a parameter."""

    def extent(self, array: ir.ArrayRef, axis: int, at: int) -> Expression:
        """Return the size of an array along an axis."""

    def built_in(self, name: str, at: int) -> Expression:
        """Return a value that the GPU gives."""

    def function(self, function: ir.Function) -> str:
        """Return the name of a function."""

    def division(self, operator: str, type_: Type) -> str | None:
        """Return the name of the function that divides integers; None for WGSL's operator."""

    def table(self, node: ir.Table) -> str:
        """Return the name of a table of numbers."""

    def beyond_number(self, word: str) -> str:
        """Return the name of the function that gives a float without a literal."""

    def atomic(self, node: ir.Atomic) -> str:
        """Return the name of the function of an atomic function that WGSL does not have."""


class ExpressionWriter:
    """Writes the expressions of one function."""

    def __init__(self, outside: Outside, names: Mapping[ir.Variable, str]) -> None:
        self.outside = outside
        self.names = names

    def write(self, node: ir.Expression) -> Expression:
        """Return the WGSL of an expression."""
        at = self.outside.at(node.place)
        match node:
            case ir.Constant():
                return self._constant(node, at)
            case ir.Read(variable=variable):
                return Name(self.names[variable], at=at)
            case ir.Argument(name=name):
                return self.outside.argument(name, at)
            case ir.Extent(array=array, axis=axis):
                return self.outside.extent(array, axis, at)
            case ir.BuiltIn(name=name):
                return self.outside.built_in(name, at)
            case ir.Load(element=element):
                return self._load(element, at)
            case ir.Element():
                return self.place_of(node)
            case _:
                return self._compound(node, at)

    def _constant(self, node: ir.Constant, at: int) -> Expression:
        """Return a number; of infinity, NaN and -0, WGSL has no literal."""
        type_, value = close(node.type), node.value
        word = beyond_word(value)
        if word is None or (word == "minus_zero" and type_ not in FLOATS):
            return literal(node, at)
        if type_ not in FLOATS:
            raise KernelTypeError(f"{value} does not fit {describe_type(type_)}", node.place)
        written: Expression = call(self.outside.beyond_number(word), at=at)
        if value < 0:
            written = Unary("-", written, at=at)
        return written if type_ == F32 else Call(type_name(type_), (written,), at=at)

    def _compound(self, node: ir.Expression, at: int) -> Expression:
        match node:
            case ir.Unary():
                return self._unary(node, at)
            case ir.Binary(operator=operator, left=left, right=right):
                sides = self.write(left), self.write(right)
                if needs_function(node) and (
                    name := self.outside.division(operator, close(node.type))
                ):
                    return call(name, *sides, at=at)
                return Binary(operator, *sides, at=at)
            case ir.Call(function=function, arguments=arguments):
                return self._call(node, function, arguments, at)
            case ir.Invoke(function=function, arguments=arguments):
                parts = tuple(self.write(each) for each in arguments)
                return call(self.outside.function(function), *parts, at=at)
            case ir.Convert():
                return self._convert(node, at)
            case ir.Construct(arguments=arguments):
                parts = tuple(self.write(each) for each in arguments)
                return Call(type_name(node.type), parts, at=at)
            case _:
                return self._part(node, at)

    def _part(self, node: ir.Expression, at: int) -> Expression:
        match node:
            case ir.Member(value=value, name=name):
                return Member(self.write(value), name, at=at)
            case ir.Item(value=value, index=index):
                return Index(self.write(value), self.write(index), at=at)
            case ir.Table(index=index):
                return Index(Name(self.outside.table(node), at=at), self.write(index), at=at)
            case ir.Atomic():
                return self._atomic(node, at)
            case _:
                raise AssertionError(f"{node} has no WGSL")

    def _unary(self, node: ir.Unary, at: int) -> Expression:
        operand = self.write(node.operand)
        type_ = close(node.type)
        if node.operator == "-" and type_ == U32:
            return Binary("-", number(0, U32), operand, at=at)
        if node.operator == "-" and isinstance(type_, Vector) and type_.scalar == U32:
            zero = Call(type_name(type_), (number(0, U32),), at=at)
            return Binary("-", zero, operand, at=at)
        return Unary(node.operator, operand, at=at)

    def _call(
        self, node: ir.Call, function: str, arguments: tuple[ir.Expression, ...], at: int
    ) -> Expression:
        parts = tuple(self.write(each) for each in arguments)
        type_ = close(node.type)
        scalar = type_.scalar if isinstance(type_, Vector) else type_
        if function == "abs" and scalar == U32:  # OpenGL errs in it
            return parts[0]
        if function == "sign" and scalar == U32:
            one: Expression = Call(type_name(type_), (number(1, U32),), at=at)
            return call("min", parts[0], one, at=at)
        return call(function, *parts, at=at)

    def _convert(self, node: ir.Convert, at: int) -> Expression:
        target = type_name(node.type)
        value = self.write(node.value)
        if close(node.type) == close(node.value.type):
            return value
        if node.bits:
            return Call(Name("bitcast", (target,), at=at), (value,), at=at)
        return Call(target, (value,), at=at)

    # Arrays

    def place_of(self, node: ir.Element) -> Expression:
        """Return an element as a place in memory."""
        at = self.outside.at(node.place)
        return Index(self.outside.array(node.array), self._offset(node, at), at=at)

    def component_of(self, node: ir.Element, component: Expression) -> Expression:
        """Return a component of an element that is packed, as a place in memory."""
        at = self.outside.at(node.place)
        offset = self._offset(node, at)
        if len(node.indices) == 1:
            offset = self._index_u32(node.indices[0], at)
        first = Binary("*", offset, number(3, U32), at=at)
        index = Binary("+", first, component, at=at)
        return Index(self.outside.array(node.array), index, at=at)

    def _offset(self, node: ir.Element, at: int) -> Expression:
        """Return the index of an element in the memory of its array, row by row."""
        first, *others = node.indices
        if not others:
            return self.write(first)
        offset = self._index_u32(first, at)
        for axis, index in enumerate(others, 1):
            size = self._size(node.array, axis, at)
            row = Binary("*", offset, size, at=at)
            offset = Binary("+", row, self._index_u32(index, at), at=at)
        return offset

    def _size(self, array: ir.ArrayRef, axis: int, at: int) -> Expression:
        if array.extents:
            return number(array.extents[axis], U32)
        return self.outside.extent(array, axis, at)

    def _index_u32(self, index: ir.Expression, at: int) -> Expression:
        if isinstance(index, ir.Constant):
            return literal(ir.Constant(U32, index.place, index.value), at)
        value = self.write(index)
        return value if close(index.type) == U32 else call("u32", value, at=at)

    def _load(self, element: ir.Element, at: int) -> Expression:
        if element.array.packed:
            parts = (self.component_of(element, number(k, U32)) for k in range(3))
            return Call(type_name(element.type), tuple(parts), at=at)
        place = self.place_of(element)
        if element.array in self.outside.atomics:
            bits = call("atomicLoad", Unary("&", place, at=at), at=at)
            return _bitcast(F32, bits, at) if is_float(element.type) else bits
        return place

    def atomic_value(self, value: ir.Expression) -> Expression:
        """Return what an atomic element keeps: the bits of a float."""
        written = self.write(value)
        return _bitcast(U32, written, written.at) if is_float(value.type) else written

    def _atomic(self, node: ir.Atomic, at: int) -> Expression:
        if needs_atomic_function(node):
            index = self._offset(node.element, at)
            if len(node.element.indices) == 1:
                index = self._index_u32(node.element.indices[0], at)
            parts = tuple(self.write(each) for each in node.arguments)
            return call(self.outside.atomic(node), index, *parts, at=at)
        parts = tuple(self.atomic_value(each) for each in node.arguments)
        address = Unary("&", self.place_of(node.element), at=at)
        found = call(node.function, address, *parts, at=at)
        return _bitcast(F32, found, at) if is_float(node.type) else found


def _bitcast(type_: Scalar, value: Expression, at: int) -> Call:
    return Call(Name("bitcast", (Name(type_.name),), at=at), (value,), at=at)
