"""Functions of the user's in WGSL."""

from __future__ import annotations

from gpucore.compiler import ir
from gpucore.compiler.emission.expressions import Outside
from gpucore.compiler.emission.statements import StatementWriter
from gpucore.compiler.emission.trees import type_name
from gpucore.compiler.emission.wgsl_names import Names
from gpucore.compiler.errors import Place
from gpucore.wgsl.syntax import Block, Expression, Function, Name, Parameter, Variable
from gpucore.wgsl.types.kinds import Type

__all__ = ["write_function"]


class _Inside:
    """The names that a function reads: the kernel's, and its own parameters."""

    def __init__(self, kernel: Outside, parameters: dict[str, str]) -> None:
        self._kernel = kernel
        self._parameters = parameters
        self.atomics = kernel.atomics
        self.storage_barriers = kernel.storage_barriers

    def at(self, place: Place) -> int:
        return self._kernel.at(place)

    def array(self, array: ir.ArrayRef) -> Name:
        return self._kernel.array(array)

    def own_arrays(self, body: ir.Block) -> tuple[Variable, ...]:
        return self._kernel.own_arrays(body)

    def print_site(self, node: ir.Print) -> tuple[int, tuple[str, str, str]]:
        return self._kernel.print_site(node)

    def argument(self, name: str, at: int) -> Expression:
        if name in self._parameters:
            return Name(self._parameters[name], at=at)
        return self._kernel.argument(name, at)

    def extent(self, array: ir.ArrayRef, axis: int, at: int) -> Expression:
        return self._kernel.extent(array, axis, at)

    def built_in(self, name: str, at: int) -> Expression:
        return self._kernel.built_in(name, at)

    def function(self, function: ir.Function) -> str:
        return self._kernel.function(function)

    def table(self, node: ir.Table) -> str:
        return self._kernel.table(node)

    def beyond_number(self, word: str) -> str:
        return self._kernel.beyond_number(word)

    def atomic(self, node: ir.Atomic) -> str:
        return self._kernel.atomic(node)

    def division(self, operator: str, type_: Type) -> str | None:
        return self._kernel.division(operator, type_)


def write_function(function: ir.Function, kernel: Outside, names: Names, place: int) -> Function:
    """Return a function that the kernel calls."""
    own = names.child()
    parameters = {each.name: own.unique(each.name) for each in function.parameters}
    writer = StatementWriter(function.body, _Inside(kernel, parameters), own)
    return Function(
        kernel.function(function),
        tuple(
            Parameter(parameters[each.name], type_name(each.type), at=kernel.at(each.place))
            for each in function.parameters
        ),
        Block((*kernel.own_arrays(function.body), *writer.block(function.body))),
        None if function.result is None else type_name(function.result),
        at=place,
    )
