"""Functions of the user's that kernels call: one function of WGSL for each kind of arguments.

Arrays are no arguments in WGSL: for each array that is given, the function is written once, with
that array in its body. So are known numbers, and functions as arguments.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import TypeVar

from gpucore.compiler import ir
from gpucore.compiler.array_types import ArrayType, ConstantType
from gpucore.compiler.errors import Place
from gpucore.compiler.flexible import AnyType, Flexible, close, describe_type, meet, seen
from gpucore.compiler.interface import parameters_of
from gpucore.compiler.lowering.arguments import Given, match_arguments
from gpucore.compiler.lowering.scope import FunctionReader, Scope
from gpucore.compiler.lowering.values import Fields, Known, Value, Values
from gpucore.compiler.passes.dead_code import has_effect
from gpucore.compiler.source import FunctionSource
from gpucore.compiler.walking import expressions_of, walk_statements
from gpucore.wgsl.types.kinds import Scalar, Structure

__all__ = ["call_device_function"]


def call_device_function(
    scope: Scope,
    source: FunctionSource,
    given: Given,
    place: Place,
) -> Value:
    """Return a call of a function that ``@gpu_function`` decorates. Raises `PythonKernelError`."""
    program = scope.program
    known_ahead = _known_ahead(source)
    by_name = match_arguments(scope, source, given, place)
    arguments = list(by_name.values())
    keys = [_key(each, name in known_ahead) for name, each in by_name.items()]
    key = (source, *keys)
    call = _Call(scope, source, arguments, place)
    known = program.variants.get(key)
    if known is None:
        if source in program.open_functions:
            raise scope.error_at(
                f"{source.name} calls itself: the GPU has no recursion, write a loop", place
            )
        program.open_functions.append(source)
        known = program.variants[key] = call.make(scope.read_function)
        program.open_functions.pop()
        program.functions.append(known)
    return call.invoke(known)


def _known_ahead(source: FunctionSource) -> set[str]:
    """Return the parameters whose value must be known when the function is compiled."""
    nodes = [each for each in parameters_of(source) if each.annotation is not None]
    return {
        each.arg
        for each in nodes
        if each.annotation is not None
        and isinstance(source.evaluate(each.annotation), ConstantType)
    }


def _key(value: Value, by_value: bool) -> object:
    """Return what tells variants of a function apart; of some numbers, the value."""
    match value:
        case ir.ArrayRef():
            return value
        case Known(object=known):
            return id(known)
        case Values(items=items):
            return tuple(_key(each, by_value) for each in items)
        case Fields(name=name):
            return name
        case ir.Constant(value=number, type=type_):
            kind = seen(type_)
            open_ = isinstance(kind, Flexible)
            return number if by_value else type(number) if open_ else kind
        case _:
            return close(value.type)


class _Call:
    """One call: its arguments beside the parameters of the function."""

    def __init__(
        self, scope: Scope, source: FunctionSource, arguments: Sequence[Value], place: Place
    ) -> None:
        self._outer = scope
        self._source = source
        self._arguments = arguments
        self._place = place
        self._function = ir.Function(source.name)
        self._scope = Scope(source, scope.program, self._function)

    def make(self, read: FunctionReader) -> ir.Function:
        """Return the function for this kind of arguments."""
        scope, source = self._scope, self._source
        nodes = parameters_of(source)
        for node, value in zip(nodes, self._arguments, strict=True):
            self._bind(node, value)
        read(scope, self._read_return)
        if not scope.ended and scope.results:
            raise scope.type_error(
                f"{source.name} must return a value on each path: it ends without one here",
                source.tree.body[-1],
            )
        self._function.has_effect = _acts(self._function.body)
        return self._function

    def _bind(self, node: ast.arg, value: Value) -> None:
        """Give a parameter its meaning in the body."""
        scope = self._scope
        annotation = None if node.annotation is None else scope.source.evaluate(node.annotation)
        if not isinstance(value, ir.Expression):
            self._require_array(node, annotation, value)
            scope.values[node.arg] = value
            scope.assigned.add(node.arg)
            return
        if isinstance(annotation, ConstantType):
            if not isinstance(value, ir.Constant):
                raise self._outer.error_at(
                    f"{node.arg} of {scope.source.name} must be known before the launch",
                    self._place,
                )
            scope.bind_constant(node.arg, value.value, node)
            return
        type_ = self._type(node, annotation, value)
        place = scope.place(node)
        self._function.parameters.append(ir.Parameter(node.arg, type_, place))
        variable = ir.Variable(node.arg, type_, place)
        scope.values[node.arg] = variable
        scope.assigned.add(node.arg)
        scope.assign(variable, ir.Argument(type_, place, node.arg), place)

    def _require_array(self, node: ast.arg, annotation: object, value: Value) -> None:
        if not isinstance(annotation, ArrayType) or not isinstance(value, ir.ArrayRef):
            if annotation is None or not isinstance(value, ir.ArrayRef):
                return
            raise self._outer.error_at(
                f"{node.arg} of {self._source.name} must be a value, got the array {value.name}",
                self._place,
            )
        if isinstance(annotation.element, TypeVar):
            self._scope.types.setdefault(annotation.element, close(value.element))
        element = self._scope.type_of(annotation.element)
        if element != close(value.element) or annotation.rank != value.rank:
            raise self._outer.error_at(
                f"{node.arg} of {self._source.name} must be {annotation!r}, got {value.name} with "
                f"elements of {describe_type(value.element)} and {value.rank} axes",
                self._place,
            )

    def _type(self, node: ast.arg, annotation: object, value: ir.Expression) -> AnyType:
        """Return the type of a parameter, which its argument must fit. Raises `KernelTypeError`."""
        scope = self._scope
        if isinstance(annotation, TypeVar) and annotation not in scope.types:
            scope.types[annotation] = close(value.type)
        declared = None if annotation is None else scope.type_of(annotation)
        if annotation is not None and declared is None:
            raise scope.type_error(
                f"the type of {node.arg} must be a scalar such as f32, or a vector", node
            )
        type_ = close(value.type) if declared is None else meet(declared, value.type)
        if type_ is None:
            assert declared is not None
            raise self._outer.error_at(
                f"{node.arg} of {scope.source.name} must be {describe_type(declared)}, got "
                f"{describe_type(value.type)}: convert it, as {describe_type(declared)}(...)",
                value.place,
            )
        return type_

    def _read_return(self, node: ast.Return) -> None:
        """Read ``return`` in the body: the first one decides the type of the result."""
        scope, function = self._scope, self._function
        place = scope.place(node)
        value = None if node.value is None else scope.expression_value(node.value)
        first = not scope.results
        scope.results.append(Known(None) if value is None else value)
        if value is None or value == Known(None):
            if function.result is not None:
                raise scope.type_error("return needs a value here, too", node)
            scope.block.append(ir.Return(None, place))
        else:
            written = self._as_one(value, node)
            self._require_result(written, node, first)
            scope.block.append(ir.Return(written, place))
        scope.end()

    def _as_one(self, value: Value, node: ast.Return) -> ir.Expression:
        """Return a result as one value: a tuple becomes a structure."""
        scope = self._scope
        if isinstance(value, ir.Expression):
            return value
        if not isinstance(value, Values) or not all(
            isinstance(each, ir.Expression) for each in value.items
        ):
            raise scope.type_error("a function returns numbers, vectors, or tuples of them", node)
        parts = tuple(each for each in value.items if isinstance(each, ir.Expression))
        members = tuple((f"item_{i}", close(each.type)) for i, each in enumerate(parts))
        name = "Tuple_" + "_".join(describe_type(type_) for _, type_ in members)
        name = "".join(c if c.isalnum() else "_" for c in name)
        structure = scope.program.structures.setdefault(name, Structure(name, members))
        return ir.Construct(structure, scope.place(node), parts)

    def _require_result(self, value: ir.Expression, node: ast.Return, first: bool) -> None:
        function, scope = self._function, self._scope
        declared = scope.source.tree.returns
        if first and declared is not None:
            annotation = scope.source.evaluate(declared)
            function.result = scope.type_of(annotation)
        if function.result is None and first:
            function.result = close(value.type)
        if function.result is None or meet(function.result, value.type) is None:
            wanted = "nothing" if function.result is None else describe_type(function.result)
            raise scope.type_error(
                f"{scope.source.name} returns {wanted}, got {describe_type(value.type)} here", node
            )

    def invoke(self, function: ir.Function) -> Value:
        """Return the call of a function that has been made."""
        arguments = []
        nodes = parameters_of(self._source)
        by_name = {p.name: p for p in function.parameters}
        for node, value in zip(nodes, self._arguments, strict=True):
            parameter = by_name.get(node.arg)
            if parameter is None or not isinstance(value, ir.Expression):
                continue
            meet(parameter.type, value.type)
            arguments.append(value)
        if function.result is None:
            call = ir.Invoke(Scalar("nothing"), self._place, function, tuple(arguments))
            self._outer.block.append(ir.Evaluate(call, self._place))
            return Known(None)
        value = ir.Invoke(function.result, self._place, function, tuple(arguments))
        result = seen(function.result)
        if not isinstance(result, Structure) or not result.name.startswith("Tuple_"):
            return value
        kept = self._outer.keep(value)
        return Values(
            tuple(ir.Member(type_, self._place, kept, name) for name, type_ in result.members)
        )


def _acts(body: ir.Block) -> bool:
    """Tell whether a body does more than compute a value."""
    return any(
        isinstance(each, ir.Store) or any(map(has_effect, expressions_of(each)))
        for each in walk_statements(body)
    )
