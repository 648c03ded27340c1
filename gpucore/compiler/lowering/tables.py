"""Elements of tuples: by a known index, of known numbers by any; and whether a value is one."""

from __future__ import annotations

import ast
import math
from collections.abc import Sequence

from gpucore.compiler import ir
from gpucore.compiler.errors import Place
from gpucore.compiler.flexible import Flexible, describe_type, is_integer, seen
from gpucore.compiler.lowering.operators import binary, compare, literal_of
from gpucore.compiler.lowering.scope import Scope
from gpucore.compiler.lowering.values import Value, Values
from gpucore.wgsl.types.kinds import Vector

__all__ = ["is_among", "item_of"]


def item_of(scope: Scope, items: Values, index: ir.Expression, place: Place) -> Value:
    """Return an element of a tuple. Raises `KernelTypeError`."""
    number, count = literal_of(index), len(items.items)
    if isinstance(number, int) and -count <= number < count:
        return items.items[number]
    if isinstance(number, int):
        raise scope.error_at(
            f"the index of a tuple of {count} must be a number below {count}, got {number}",
            index.place,
        )
    if not is_integer(index.type) or isinstance(seen(index.type), Vector):
        raise scope.error_at(
            f"the index of a tuple must be an integer, got {describe_type(index.type)}: convert "
            "it, as u32(...)",
            index.place,
        )
    numbers = [literal_of(e) if isinstance(e, ir.Expression) else None for e in items.items]
    known = [each for each in numbers if each is not None and not isinstance(each, bool)]
    if len(known) < count or not count:
        raise scope.error_at(
            "an index that is computed takes an element of known numbers: of other tuples, loop "
            "over static_range, or give the numbers as an array",
            index.place,
        )
    if not all(map(math.isfinite, known)):
        raise scope.error_at("a table has finite numbers alone: give them as an array", place)
    type_ = Flexible(any(isinstance(each, float) for each in known), literal=False)
    if not type_.is_float:
        return ir.Table(type_, place, tuple(ir.Constant(type_, place, n) for n in known), index)
    floats = tuple(ir.Constant(type_, place, float(each)) for each in known)
    return ir.Table(type_, place, floats, index)


def is_among(scope: Scope, values: Sequence[Value], node: ast.Compare) -> ir.Expression:
    """Return whether a number is one of a tuple. Raises `KernelTypeError`."""
    number, *rest = values
    items = rest[0].items if len(rest) == 1 and isinstance(rest[0], Values) else ()
    if not items or not isinstance(number, ir.Expression):
        raise scope.type_error("in takes a number and a tuple, as in x in (1, 2)", node)
    place, kept = scope.place(node), scope.keep(number)
    found: ir.Expression | None = None
    for each in items:
        if not isinstance(each, ir.Expression):
            raise scope.type_error("in takes a tuple of numbers", node)
        same = compare("==", kept, each, place)
        found = same if found is None else binary("|", found, same, place)
    assert found is not None
    return found
