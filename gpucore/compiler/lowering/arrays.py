"""Arrays that a kernel declares: those that a workgroup shares, and those of one invocation."""

from __future__ import annotations

from dataclasses import replace

from gpucore.compiler import ir
from gpucore.compiler.errors import KernelTypeError, Place
from gpucore.compiler.lowering.operators import literal_of
from gpucore.compiler.lowering.scope import Scope
from gpucore.compiler.lowering.values import Known, Value
from gpucore.wgsl.types.kinds import Type

__all__ = ["local_array", "name_array", "shared_array"]


def shared_array(scope: Scope, arguments: list[Value], place: Place) -> Value:
    """Declare an array in shared memory; the statement that assigns it gives the name."""
    element, sizes = _element_and_sizes(scope, "shared", arguments, place)
    name = f"shared_{len(scope.program.shared) + 1}"
    array = ir.ArrayRef(name, element, len(sizes), "workgroup", place, sizes)
    scope.program.shared.append(array)
    return array


def local_array(scope: Scope, arguments: list[Value], place: Place) -> Value:
    """Declare an array of each invocation; the statement that assigns it fills it with zeros."""
    element, sizes = _element_and_sizes(scope, "local", arguments, place)
    return ir.ArrayRef("", element, len(sizes), "private", place, sizes)


def name_array(scope: Scope, name: str, array: ir.ArrayRef, place: Place) -> None:
    """Give an array that is declared its name, which no other value has.

    Raises `KernelTypeError`.
    """
    known = scope.values.get(name)
    again = isinstance(known, ir.ArrayRef) and known.place == array.place  # a loop is unrolled
    if (known is not None and not again) or scope.assignments[name] > 1:
        raise KernelTypeError(
            f"{name} is an array and is assigned to more than once: take another name", place
        )
    if array.space == "workgroup" and array.name.startswith("shared_"):
        shared = scope.program.shared
        renamed = replace(array, name=name)
        shared[shared.index(array)] = array = renamed
    elif array.space == "private" and not array.name:
        if again and isinstance(known, ir.ArrayRef) and known.extents == array.extents:
            array = known
        else:
            array = replace(array, name=name)
            scope.program.private.append(array)
        scope.block.append(ir.Clear(array, place))
    scope.values[name] = array
    scope.assigned.add(name)


def _element_and_sizes(
    scope: Scope, word: str, arguments: list[Value], place: Place
) -> tuple[Type, tuple[int, ...]]:
    """Return what an array has. Raises `KernelTypeError`."""
    if len(arguments) < 2:
        raise KernelTypeError(f"{word} takes a type and sizes, as {word}(f32, 8)", place)
    element = scope.type_of(arguments[0].object) if isinstance(arguments[0], Known) else None
    if element is None:
        raise KernelTypeError(f"{word} takes a type first, as {word}(f32, 8)", place)
    return element, tuple(_size(word, each, place) for each in arguments[1:])


def _size(word: str, value: Value, place: Place) -> int:
    number = literal_of(value) if isinstance(value, ir.Expression) else None
    if number is None and isinstance(value, ir.Constant):
        number = value.value
    if not isinstance(number, int) or number < 1:
        raise KernelTypeError(
            f"the sizes of {word}(...) must be integers above 0 that are known before the launch: "
            "literals, constants of the module, or Const parameters",
            place,
        )
    return number
