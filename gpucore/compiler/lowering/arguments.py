"""The arguments of a call in a kernel, by place or by name, beside the parameters or fields."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from gpucore.compiler import ir
from gpucore.compiler.errors import KernelTypeError, Place
from gpucore.compiler.flexible import describe_type, meet
from gpucore.compiler.interface import parameters_of
from gpucore.compiler.known_numbers import known_number
from gpucore.compiler.lowering.operators import constant
from gpucore.compiler.lowering.scope import Scope
from gpucore.compiler.lowering.values import Known, Value
from gpucore.compiler.source import FunctionSource
from gpucore.compiler.suggestions import did_you_mean
from gpucore.wgsl.types.kinds import Structure

__all__ = ["Given", "make_structure", "match_arguments", "named_values"]


class Given(NamedTuple):
    """The arguments of a call."""

    by_place: Sequence[Value]
    by_name: Mapping[str, Value]


def named_values(scope: Scope, node: ast.Call, values: Sequence[Value]) -> Given:
    """Return the values of a call's arguments. Raises `KernelSyntaxError` for ``**``."""
    by_name: dict[str, Value] = {}
    for keyword, value in zip(node.keywords, values[len(node.args) :], strict=True):
        if keyword.arg is None:
            raise scope.syntax_error("kernels do not have **", keyword.value)
        by_name[keyword.arg] = value
    return Given(values[: len(node.args)], by_name)


def match_arguments(
    scope: Scope, source: FunctionSource, given: Given, place: Place
) -> dict[str, Value]:
    """Return the argument of each parameter, or its default value. Raises `KernelTypeError`."""
    names = [each.arg for each in parameters_of(source)]
    expected = f"{source.name} takes {len(names)} argument{'s' * (len(names) != 1)}"
    if len(given.by_place) > len(names) - len(source.tree.args.kwonlyargs):
        raise scope.error_at(f"{expected}, got {len(given.by_place)} by place", place)
    found = dict(zip(names, given.by_place, strict=False))
    for name, value in given.by_name.items():
        if name not in names:
            advice = did_you_mean(name, names) or f"; there are: {', '.join(names)}"
            raise scope.error_at(f"{source.name} has no parameter {name}{advice}", place)
        if name in found:
            raise scope.error_at(f"{source.name} is given {name} by place and by name", place)
        found[name] = value
    defaults = _defaults(source)
    if missing := [name for name in names if name not in found and name not in defaults]:
        raise scope.error_at(f"{expected}, got {len(found)}: give {', '.join(missing)}", place)
    return {
        name: found[name] if name in found else _default_value(source, defaults[name])
        for name in names
    }


def _defaults(source: FunctionSource) -> dict[str, ast.expr]:
    """Return the default values of parameters."""
    arguments = source.tree.args
    by_place = [*arguments.posonlyargs, *arguments.args]
    last = by_place[len(by_place) - len(arguments.defaults) :]
    found = {node.arg: value for node, value in zip(last, arguments.defaults, strict=True)}
    pairs = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    return found | {node.arg: value for node, value in pairs if value is not None}


def _default_value(source: FunctionSource, node: ast.expr) -> Value:
    """Return a default value, which is a number. Raises `KernelTypeError`."""
    sign, inner = 1, node
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        sign, inner = -1, node.operand
    number = None
    if isinstance(inner, ast.Constant | ast.Name | ast.Attribute):
        value = inner.value if isinstance(inner, ast.Constant) else source.evaluate(inner)
        number = known_number(value)
    if number is None:
        raise KernelTypeError(
            "a default value must be a number, or the name of one", source.place(node)
        )
    return constant(-number if sign < 0 else number, source.place(node))


def make_structure(
    scope: Scope,
    function: Known,
    node: ast.Call,
    read: Callable[[list[ast.expr]], list[ir.Expression]],
) -> ir.Expression:
    """Return a structure of its fields, by place or by name. Raises `KernelTypeError`."""
    type_ = scope.type_of(function.object)
    if not isinstance(type_, Structure):
        raise scope.type_error(f"{function} has fields that no number of WGSL holds", node)
    names = [name for name, _ in type_.members]
    given = dict(zip(names, node.args, strict=False))
    given |= {each.arg: each.value for each in node.keywords if each.arg is not None}
    if sorted(given) != sorted(names) or len(node.args) + len(node.keywords) != len(names):
        raise scope.type_error(f"{function} takes the fields {', '.join(names)}", node)
    values = dict(zip(given, read(list(given.values())), strict=True))
    for name, member in type_.members:
        if meet(member, values[name].type) is None:
            raise scope.type_error(
                f"{name} of {function} must be {describe_type(member)}, got "
                f"{describe_type(values[name].type)}: convert it",
                given[name],
            )
    return ir.Construct(type_, scope.place(node), tuple(values[name] for name in names))
