"""Memory of an invocation: WGSL promises 8192 bytes for each of two address spaces.

Beyond it engines differ: they refuse, take minutes to compile, or lose the device. Source: WGSL
specification, section 2.4 (limits); a bool counts one byte there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gpucore.wgsl.constants import Constants
from gpucore.wgsl.errors import WgslLayoutError, layout_error
from gpucore.wgsl.layout import Layouts, element_dtype
from gpucore.wgsl.syntax import (
    Block,
    Call,
    ConstAssert,
    Declaration,
    For,
    Function,
    If,
    Loop,
    Module,
    Statement,
    Switch,
    Variable,
    While,
)
from gpucore.wgsl.usage import names_used

__all__ = ["require_invocation_memory"]

_MOST: Final = 8192
_ADVICE: Final = "use smaller arrays, var<workgroup>, or a buffer"


def require_invocation_memory(module: Module) -> None:
    """Raise `WgslLayoutError` for more memory of an invocation than WGSL promises.

    A variable without a type in its text counts where its value is a call of the type.
    """
    names: dict[str, Declaration] = {
        d.name: d for d in module.declarations if not isinstance(d, ConstAssert)
    }
    layouts = Layouts(names, Constants(names, module.source), module.source)
    for declaration in names.values():
        if isinstance(declaration, Function):
            variables = [v for v in _variables(declaration.body) if v.kind == "var"]
            where = f"the variables of function '{declaration.name}'"
            _require_fits(where, variables, layouts, module.source)
            if declaration.attributes:
                _require_fits(
                    f"var<private> of '{declaration.name}'",
                    list(_private(declaration, names)),
                    layouts,
                    module.source,
                )


def _private(entry: Function, names: dict[str, Declaration]) -> Iterator[Variable]:
    """Yield the private variables that an entry point uses."""
    private = [
        d for d in names.values() if isinstance(d, Variable) and d.address_space == "private"
    ]
    if private:
        used = names_used(entry, names)
        yield from (variable for variable in private if variable.name in used)


def _require_fits(where: str, variables: list[Variable], layouts: Layouts, source: str) -> None:
    nbytes = 0
    for variable in variables:
        nbytes += _size(variable, layouts)
        if nbytes > _MOST:
            raise layout_error(
                f"{where} have {nbytes} bytes up to '{variable.name}', over WGSL's limit of "
                f"{_MOST}: {_ADVICE}",
                source,
                variable.at,
            )


def _size(variable: Variable, layouts: Layouts) -> int:
    """Return the bytes of a variable; 0 where the engine must find its type."""
    type_ = variable.type
    if type_ is None and isinstance(variable.value, Call):
        type_ = variable.value.function
    if type_ is None:
        return 0
    try:
        layout = layouts.of(type_)
    except WgslLayoutError:
        return 0
    return layout.size // 4 if element_dtype(layout) == "bool" else layout.size


def _variables(block: Block) -> Iterator[Variable]:
    """Yield the variables that are declared anywhere in a block."""
    for statement in block.statements:
        if isinstance(statement, Variable):
            yield statement
        else:
            for inner in _blocks(statement):
                yield from _variables(inner)


def _blocks(statement: Statement) -> Iterator[Block]:
    match statement:
        case Block():
            yield statement
        case If(clauses=clauses, otherwise=otherwise):
            yield from (clause.body for clause in clauses)
            if otherwise is not None:
                yield otherwise
        case Switch(clauses=cases):
            yield from (case_.body for case_ in cases)
        case Loop(body=body, continuing=continuing):
            yield body
            if continuing is not None:
                yield continuing
        case For(start=start, body=body):
            if isinstance(start, Variable):
                yield Block((start,))
            yield body
        case While(body=body):
            yield body
