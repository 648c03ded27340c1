"""Derivatives: a kernel that computes an element becomes one that computes its derivative.

Each variable of floats gets a second one, its tangent: the derivative by one parameter. Tangents
are computed in the order of the values, so that branches, loops and early returns need no record of
what ran. Source: Griewank and Walther, Evaluating Derivatives (2008), chapter 3 (forward mode).
"""

from __future__ import annotations

from dataclasses import replace

from gpucore.compiler import ir
from gpucore.compiler.compiled import COTANGENT
from gpucore.compiler.errors import KernelTypeError, Place
from gpucore.compiler.flexible import is_float, seen
from gpucore.compiler.passes.derivatives import Tangents, has_floats, refusal, zero_of
from gpucore.wgsl.types.kinds import Matrix, Vector

__all__ = ["differentiate"]
"""The array by whose elements derivatives are multiplied."""


def differentiate(program: ir.Program, parameter: str) -> None:
    """Change an elementwise kernel in place: its result becomes a derivative by a parameter.

    The result is multiplied by an element of `COTANGENT`, an array that becomes the last one before
    the result. Raises `KernelSyntaxError` for what has no derivative here, `KernelTypeError` where
    the parameter or the result is no float.
    """
    kernel = program.kernel
    by_name = {each.name: each for each in kernel.parameters}
    given = by_name[parameter]
    if given.kind != "value" or not is_float(given.type):
        raise KernelTypeError(
            f"{kernel.name} has no derivative by {parameter}: it is no float, or array of them",
            given.place,
        )
    result = kernel.parameters[-1]
    assert result.array is not None
    if not is_float(result.array.element):
        raise KernelTypeError(
            f"{kernel.name} has no derivative: its result has no floats", result.place
        )
    cotangent = ir.ArrayRef(COTANGENT, result.array.element, 1, "storage", result.place)
    kernel.parameters.insert(-1, ir.Parameter(COTANGENT, result.type, result.place, cotangent))
    _Kernel(program, given, cotangent).change()


class _Body:
    """Writes the statements of one function beside their tangents."""

    def __init__(self, program: ir.Program, functions: dict[ir.Function, ir.Function]) -> None:
        self.program = program
        self.functions = functions
        self.variables: dict[ir.Variable, ir.Variable] = {}
        self.block: ir.Block = []
        self.tangents = Tangents(self)

    # What rules of derivatives ask for

    def tangent_of_leaf(self, node: ir.Expression) -> ir.Expression | None:
        """Return the tangent of a variable, an argument or an element; None for zero."""
        if isinstance(node, ir.Read):
            found = self.variables.get(node.variable)
            return None if found is None else replace(node, variable=found)
        if isinstance(node, ir.Load | ir.Element):
            array = (node.element if isinstance(node, ir.Load) else node).array
            raise refusal(f"arrays that a kernel indexes ({array.name})", node.place)
        return None

    def keep(self, value: ir.Expression) -> ir.Expression:
        """Return a value that is computed once, before the statement that is read."""
        if isinstance(value, ir.Constant | ir.Read | ir.Argument):
            return value
        variable = ir.Variable("value", value.type, value.place, 1, temporary=True)
        self.block.append(ir.Assign(variable, value, value.place))
        return ir.Read(value.type, value.place, variable)

    def derivative(self, function: ir.Function, place: Place) -> ir.Function:
        """Return the function of the tangents of another one, made once."""
        if function not in self.functions:
            if function.has_effect:
                raise refusal(f"{function.name}, which stores or is atomic", place)
            self.functions[function] = made = _derivative_of(self.program, self.functions, function)
            self.program.functions.append(made)
        return self.functions[function]

    # Statements

    def write(self, block: ir.Block) -> ir.Block:
        """Return statements with their tangents."""
        outer, self.block = self.block, []
        for statement in block:
            self._statement(statement)
        written, self.block = self.block, outer
        return written

    def _statement(self, statement: ir.Statement) -> None:
        match statement:
            case ir.Assign():
                self._assign(statement)
            case ir.If(body=body, otherwise=otherwise):
                inner = self.write(body), self.write(otherwise)
                self.block.append(replace(statement, body=inner[0], otherwise=inner[1]))
            case ir.For(body=body):
                self.block.append(replace(statement, body=self.write(body)))
            case ir.While(before=before, body=body):
                inner = self.write(before), self.write(body)
                self.block.append(replace(statement, before=inner[0], body=inner[1]))
            case ir.Break() | ir.Continue():
                self.block.append(statement)
            case ir.Return():
                self.end(statement)
            case ir.Store():
                self.store(statement)
            case ir.Print():
                return
            case _:
                raise refusal("barriers, atomics and arrays of its own", statement.place)

    def _assign(self, node: ir.Assign) -> None:
        if has_floats(node.variable.type):
            tangent = self.tangents.of(node.value)
            known = self.variables.get(node.variable)
            if known is None:
                original = node.variable
                known = ir.Variable(f"{original.name}_d", original.type, original.place)
                self.variables[original] = known
            value = tangent if tangent is not None else zero_of(node.value.type, node.place)
            known.assignments += 1
            self.block.append(ir.Assign(known, value, node.place, node.path))
        self.block.append(node)

    def end(self, node: ir.Return) -> None:
        """Write the end of the function."""
        self.block.append(node)

    def store(self, node: ir.Store) -> None:
        """Write a store. Raises `KernelSyntaxError`."""
        raise refusal(f"stores ({node.element.array.name})", node.place)


class _Kernel(_Body):
    """Writes the kernel itself: the derivative of its result is stored."""

    def __init__(
        self, program: ir.Program, parameter: ir.Parameter, cotangent: ir.ArrayRef
    ) -> None:
        super().__init__(program, {})
        self._parameter = parameter
        self._cotangent = cotangent

    def change(self) -> None:
        """Change the kernel in place."""
        body = self.program.kernel.body
        body[:] = self.write(body)

    def tangent_of_leaf(self, node: ir.Expression) -> ir.Expression | None:
        """Return the tangent of a leaf: 1 for the parameter."""
        name = self._parameter.name
        array = node.element.array if isinstance(node, ir.Load) else None
        if array is not None and array.space == "storage":
            own = array.name == name
        elif isinstance(node, ir.Argument):
            own = node.name == name
        else:
            return super().tangent_of_leaf(node)
        if not own:
            return None
        if isinstance(seen(node.type), Vector | Matrix):
            raise refusal(f"parameters that are vectors ({name})", node.place)
        return ir.Constant(node.type, node.place, 1.0)

    def store(self, node: ir.Store) -> None:
        """Write the store of the result."""
        place, type_ = node.place, node.element.type
        tangent = self.tangents.of(node.value)
        value: ir.Expression = ir.Constant(type_, place, 0.0)
        if tangent is not None:
            index = ir.BuiltIn(node.element.indices[0].type, place, f"element_of_{COTANGENT}")
            element = ir.Element(type_, place, self._cotangent, (index,))
            value = ir.Binary(type_, place, "*", ir.Load(type_, place, element), tangent)
        self.block.append(replace(node, value=value))


class _Function(_Body):
    """Writes a function of the user's: its tangent is returned."""

    def __init__(
        self,
        program: ir.Program,
        functions: dict[ir.Function, ir.Function],
        arguments: dict[str, str],
    ) -> None:
        super().__init__(program, functions)
        self._arguments = arguments

    def tangent_of_leaf(self, node: ir.Expression) -> ir.Expression | None:
        """Return the tangent of a leaf: that of a parameter is one, too."""
        if isinstance(node, ir.Argument) and node.name in self._arguments:
            return replace(node, name=self._arguments[node.name])
        return super().tangent_of_leaf(node)

    def end(self, node: ir.Return) -> None:
        """Write the end: the tangent of the value."""
        assert node.value is not None
        tangent = self.tangents.of(node.value)
        value = tangent if tangent is not None else zero_of(node.value.type, node.place)
        self.block.append(ir.Return(value, node.place))


def _derivative_of(
    program: ir.Program, functions: dict[ir.Function, ir.Function], function: ir.Function
) -> ir.Function:
    """Return a function of values and their tangents, which gives the tangent of the result."""
    floats = [each for each in function.parameters if has_floats(each.type)]
    arguments = {each.name: f"{each.name}_d" for each in floats}
    body = _Function(program, functions, arguments)
    parameters = [*function.parameters]
    parameters += [replace(each, name=arguments[each.name]) for each in floats]
    made = ir.Function(f"{function.name}_d", parameters, [], function.result)
    made.body = body.write(function.body)
    for original, tangent in body.variables.items():
        tangent.temporary = original.temporary
    return made
