"""Stencils: indices of an array are offsets from the element that an invocation computes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce

from gpucore.compiler import ir
from gpucore.compiler.compiled import Neighbourhood
from gpucore.compiler.errors import KernelTypeError, Place
from gpucore.compiler.flexible import describe_type, meet
from gpucore.compiler.lowering.functions.numbers import call_function
from gpucore.compiler.lowering.operators import (
    binary,
    compare,
    constant,
    convert,
    negate,
)
from gpucore.compiler.lowering.scope import Scope
from gpucore.wgsl.types.kinds import BOOL, I32, U32, Vector

__all__ = ["leave_beyond", "neighbour", "own_place", "take_neighbours"]


def take_neighbours(scope: Scope, form: Neighbourhood) -> int:
    """Let indices of the arrays be offsets, but for those that are whole; return their axes.

    Raises `KernelTypeError` for arrays of several ranks, or of more than 3 axes.
    """
    parameters = scope.function.parameters
    names = [each.name for each in parameters if each.array is not None]
    if unknown := sorted(set(form.whole) - set(names)):
        raise scope.type_error(
            f"whole names {', '.join(unknown)}, but the arrays of {scope.source.name} are: "
            f"{', '.join(names)}",
            scope.source.tree,
        )
    rank = 0
    for i, parameter in enumerate(parameters):
        array = parameter.array
        if array is None or array.name in form.whole:
            continue
        rank = rank or array.rank
        if array.rank != rank or rank > 3:
            wanted = f"{rank} axes as those before it" if rank <= 3 else "1 to 3 axes"
            raise scope.error_at(
                f"{array.name} must have {wanted}, got {array.rank}: annotate it so, or name "
                f"it in whole=({array.name!r},) to index it as in other kernels",
                array.place,
            )
        near = replace(array, neighbours=form)
        parameters[i] = replace(parameter, array=near)
        scope.values[array.name] = near
    if not rank:
        raise scope.type_error(
            f"{scope.source.name} has no array that is read by offsets, so nothing tells the shape "
            "of its result: give one that is not in whole",
            scope.source.tree,
        )
    return rank


def own_place(rank: int, place: Place) -> tuple[ir.Expression, ...]:
    """Return the indices of an invocation's element: x goes along the last axis."""
    ids = ir.BuiltIn(Vector(3, U32), place, "global_invocation_id")
    return tuple(ir.Member(U32, place, ids, "xyz"[rank - 1 - axis]) for axis in range(rank))


def leave_beyond(scope: Scope, array: ir.ArrayRef, own: Sequence[ir.Expression]) -> None:
    """End an invocation whose element is beyond the ends of the result."""
    place = array.place
    beyond = [
        compare(">=", index, ir.Extent(U32, place, array, axis), place)
        for axis, index in enumerate(own)
    ]
    either = reduce(lambda one, other: ir.Binary(BOOL, place, "||", one, other), beyond)
    scope.block.append(ir.If(either, [ir.Return(None, place)], [], place))


def neighbour(
    scope: Scope, array: ir.ArrayRef, offsets: Sequence[ir.Expression], place: Place
) -> ir.Expression:
    """Return the element of an array at offsets from the own one. Raises `KernelTypeError`."""
    form = array.neighbours
    assert form is not None
    indices: list[ir.Expression] = []
    inside: list[ir.Expression] = []
    for axis, (own, offset) in enumerate(zip(own_place(array.rank, place), offsets, strict=True)):
        if meet(I32, offset.type) is None:
            raise KernelTypeError(
                f"an offset must be i32, got {describe_type(offset.type)}: convert it, as i32(...)",
                offset.place,
            )
        if _known(offset) == 0:
            indices.append(own)
            continue
        place_ = binary("+", convert(own, I32, place), offset, place)
        at = scope.keep(place_, "near")
        _note_reach(scope, axis, _known(offset))
        size = convert(ir.Extent(U32, place, array, axis), I32, place)
        if form.boundary == "constant":
            low = compare(">=", at, constant(0, place), place)
            inside += [low, compare("<", at, size, place)]
        within = _BOUNDARIES[form.boundary](scope, axis, at, size, offset)
        if form.rows:
            within = ir.Call(I32, place, ir.INSIDE, (at, within))
        indices.append(convert(within, U32, place))
    element = ir.Element(array.element, place, array, tuple(indices))
    value = ir.Load(array.element, place, element)
    if not inside:
        return value
    both = reduce(lambda one, other: ir.Binary(BOOL, place, "&&", one, other), inside)
    outside = constant(form.value, place)
    if meet(array.element, outside.type) is None:
        raise KernelTypeError(
            f"value must be {describe_type(array.element)} as the elements of {array.name}, got "
            f"{form.value!r}",
            array.place,
        )
    chosen = call_function("where", [both, value, outside], place)
    return ir.Call(array.element, place, ir.INSIDE, (value, chosen)) if form.rows else chosen


def _note_reach(scope: Scope, axis: int, offset: int | None) -> None:
    reach = scope.program.reach
    known = reach.get(axis, (0, 0))
    if offset is None or known is None:
        reach[axis] = None
    else:
        reach[axis] = min(known[0], offset), max(known[1], offset)


def _known(offset: ir.Expression) -> int | None:
    """Return an offset that is known before the launch."""
    return int(offset.value) if isinstance(offset, ir.Constant) else None


def _known_offset(
    scope: Scope, axis: int, offset: ir.Expression, boundary: str, more: int = 0
) -> int:
    """Return an offset, and note the extent that it needs. Raises `KernelTypeError`."""
    number = _known(offset)
    if number is None:
        raise KernelTypeError(
            f"an offset must be known before the launch with the boundary {boundary}: write a "
            "literal, or loop over static_range",
            offset.place,
        )
    least = scope.program.least
    least[axis] = max(least.get(axis, 1), abs(number) + more)
    return number


def _edge(
    scope: Scope, axis: int, at: ir.Expression, size: ir.Expression, offset: ir.Expression
) -> ir.Expression:
    place, number = at.place, _known(offset)
    last = binary("-", size, constant(1, place), place)
    if number is not None:
        return (
            call_function("max", [at, constant(0, place)], place)
            if number < 0
            else call_function("min", [at, last], place)
        )
    return call_function("clamp", [at, constant(0, place), last], place)


def _wrap(
    scope: Scope, axis: int, at: ir.Expression, size: ir.Expression, offset: ir.Expression
) -> ir.Expression:
    place = at.place
    if _known_offset(scope, axis, offset, "wrap") < 0:
        outside = compare("<", at, constant(0, place), place)
        moved = binary("+", at, size, place)
    else:
        outside = compare(">=", at, size, place)
        moved = binary("-", at, size, place)
    return call_function("where", [outside, moved, at], place)


def _reflect(
    scope: Scope, axis: int, at: ir.Expression, size: ir.Expression, offset: ir.Expression
) -> ir.Expression:
    place = at.place
    if _known_offset(scope, axis, offset, "reflect", 1) < 0:
        return call_function("abs", [at], place)
    end = binary("*", constant(2, place), binary("-", size, constant(1, place), place), place)
    return call_function("min", [at, binary("-", end, at, place)], place)


def _symmetric(
    scope: Scope, axis: int, at: ir.Expression, size: ir.Expression, offset: ir.Expression
) -> ir.Expression:
    place = at.place
    one = constant(1, place)
    if _known_offset(scope, axis, offset, "symmetric") < 0:
        back = binary("-", negate(at, place), one, place)
        return call_function("max", [at, back], place)
    double = binary("*", constant(2, place), size, place)
    back = binary("-", binary("-", double, one, place), at, place)
    return call_function("min", [at, back], place)


_BOUNDARIES = {
    "constant": _edge,
    "edge": _edge,
    "reflect": _reflect,
    "symmetric": _symmetric,
    "wrap": _wrap,
}
