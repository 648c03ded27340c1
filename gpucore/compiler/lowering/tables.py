"""Elements of tuples: by a known index, or of known numbers by any."""

from __future__ import annotations

import math

from gpucore.compiler import ir
from gpucore.compiler.errors import Place
from gpucore.compiler.flexible import Flexible, describe_type, is_integer, seen
from gpucore.compiler.lowering.operators import literal_of
from gpucore.compiler.lowering.scope import Scope
from gpucore.compiler.lowering.values import Value, Values
from gpucore.wgsl.types.kinds import Vector

__all__ = ["item_of"]


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
