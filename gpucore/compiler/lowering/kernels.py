"""Whole kernels, and the elementwise form, which returns the value of one element."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence

from gpucore.compiler import ir
from gpucore.compiler.compiled import Neighbourhood, Variant
from gpucore.compiler.flexible import describe_type, meet
from gpucore.compiler.lowering.arguments import Given
from gpucore.compiler.lowering.device_functions import call_device_function
from gpucore.compiler.lowering.expressions import ExpressionReader
from gpucore.compiler.lowering.neighbours import leave_beyond, own_place, take_neighbours
from gpucore.compiler.lowering.parameters import read_parameters, result_element, stencil_element
from gpucore.compiler.lowering.scope import Scope
from gpucore.compiler.lowering.statements import StatementReader
from gpucore.compiler.lowering.values import Value, Values
from gpucore.compiler.source import FunctionSource
from gpucore.wgsl.types.kinds import U32, Scalar, Type, Vector

__all__ = ["RESULT", "read_called", "read_kernel"]

RESULT = "result_"
"""The name of the array that the elementwise form makes."""


def read_kernel(source: FunctionSource, variant: Variant) -> ir.Program:
    """Return the typed form of a kernel. Raises `PythonKernelError`."""
    function = ir.Function(source.name)
    program = ir.Program(function, prints=variant.prints)
    scope = Scope(source, program, function)
    scope.read_function = _read_function
    read_parameters(scope, variant)
    expressions = ExpressionReader(scope)
    if variant.stencil is not None:
        _read_stencil(scope, expressions, variant.stencil)
        return program
    result = result_element(scope, source)
    if result is None:
        StatementReader(scope, expressions).read_body(source.tree.body)
    else:
        _read_elementwise(scope, expressions, result)
    return program


def read_called(
    program: ir.Program, source: FunctionSource, arguments: Sequence[Type]
) -> ir.Function:
    """Return a function as one that is called with values of some types, added to a program.

    Raises `PythonKernelError`.
    """
    scope = Scope(source, program, program.kernel)
    scope.read_function = _read_function
    place = source.place(source.tree)
    values: list[Value] = [ir.Argument(each, place, "argument") for each in arguments]
    called = call_device_function(scope, source, Given(values, {}), place)
    if isinstance(called, Values):
        raise scope.type_error(
            f"{source.name} must return one value, got a tuple: return a vector, as vec2f(a, b)",
            source.tree,
        )
    if not isinstance(called, ir.Invoke):
        raise scope.type_error(f"{source.name} must return a value", source.tree)
    return called.function


def _read_function(scope: Scope, read_return: Callable[[ast.Return], None]) -> None:
    """Read the body of a function that a kernel calls."""
    scope.read_function = _read_function
    reader = _FunctionReader(scope, ExpressionReader(scope), read_return)
    reader.read_body(scope.source.tree.body)


class _FunctionReader(StatementReader):
    """Reads a function that a kernel calls: what ``return`` means, its maker knows."""

    def __init__(
        self,
        scope: Scope,
        expressions: ExpressionReader,
        read_return: Callable[[ast.Return], None],
    ) -> None:
        super().__init__(scope, expressions)
        self._read_return = read_return

    def read_return(self, node: ast.Return) -> None:
        """Read ``return``."""
        self._read_return(node)


def _read_elementwise(
    scope: Scope, expressions: ExpressionReader, element: Scalar | Vector
) -> None:
    source, function = scope.source, scope.function
    function.result = element
    place = source.place(source.tree)
    array = ir.ArrayRef(RESULT, element, 1, "storage", place)
    _load_elements(scope)
    index = ir.BuiltIn(U32, place, f"element_of_{array.name}")
    _ElementReader(scope, expressions, array, (index,)).read_body(source.tree.body)
    _end_elements(scope, array)


def _end_elements(scope: Scope, array: ir.ArrayRef) -> None:
    """Add the array of results to the parameters. Raises `KernelTypeError` without results."""
    source = scope.source
    if not scope.ended:
        raise scope.type_error(
            f"{source.name} must return a value on each path: it ends without one here",
            source.tree.body[-1],
        )
    scope.function.parameters.append(ir.Parameter(RESULT, array.element, array.place, array))


def _read_stencil(scope: Scope, expressions: ExpressionReader, form: Neighbourhood) -> None:
    source, function = scope.source, scope.function
    function.result = element = stencil_element(scope, source)
    place = source.place(source.tree)
    rank = take_neighbours(scope, form)
    array = ir.ArrayRef(RESULT, element, rank, "storage", place)
    own = own_place(rank, place)
    if not form.rows:
        leave_beyond(scope, array, own)
    _ElementReader(scope, expressions, array, own).read_body(source.tree.body)
    _end_elements(scope, array)


def _load_elements(scope: Scope) -> None:
    """Give each array's name the value of its element."""
    for parameter in scope.function.parameters:
        array = parameter.array
        if array is None:
            continue
        index = ir.BuiltIn(U32, parameter.place, f"element_of_{array.name}")
        element = ir.Element(array.element, parameter.place, array, (index,))
        variable = ir.Variable(array.name, array.element, parameter.place)
        scope.values[array.name] = variable
        scope.assigned.add(array.name)
        scope.assign(variable, ir.Load(array.element, parameter.place, element), parameter.place)


class _ElementReader(StatementReader):
    """Reads an elementwise function or a stencil: ``return`` stores the element."""

    def __init__(
        self,
        scope: Scope,
        expressions: ExpressionReader,
        array: ir.ArrayRef,
        own: tuple[ir.Expression, ...],
    ) -> None:
        super().__init__(scope, expressions)
        self._array = array
        self._own = own

    def read_return(self, node: ast.Return) -> None:
        """Read ``return value``."""
        scope, place = self.scope, self.scope.place(node)
        array = self._array
        if node.value is None:
            raise scope.type_error("return needs a value: the element of the result", node)
        value = self.expressions.read(node.value)
        if meet(array.element, value.type) is None:
            wanted = describe_type(array.element)
            raise scope.type_error(
                f"the result has elements of {wanted}, got {describe_type(value.type)}: convert "
                f"the value, as {wanted}(...)",
                node.value,
            )
        if array.packed:
            value = scope.keep(value)
        element = ir.Element(array.element, place, array, self._own)
        scope.block.append(ir.Store(element, value, place))
        scope.block.append(ir.Return(None, place))
        scope.end()
