"""Calls of the library's functions: of numbers, of each component of vectors, and of halves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gpucore.compiler import ir
from gpucore.compiler.errors import KernelTypeError, Place
from gpucore.compiler.flexible import describe_type, is_float, is_integer, seen
from gpucore.compiler.library import LIBRARY, library_source
from gpucore.compiler.lowering.arguments import Given
from gpucore.compiler.lowering.device_functions import call_device_function
from gpucore.compiler.lowering.functions.names import function_name
from gpucore.compiler.lowering.operators import constant, convert, literal_of
from gpucore.compiler.lowering.scope import Scope
from gpucore.compiler.lowering.values import Value, Values
from gpucore.wgsl.types.kinds import F16, F32, I32, Scalar, Vector

__all__ = ["call_written"]

_OF_INTEGERS: Final = ("gcd", "lcm")


def call_written(scope: Scope, target: object, given: Given, place: Place) -> Value | None:
    """Return a call of what is written in Python: the user's functions, and the library's.

    None for others. Raises `PythonKernelError`.
    """
    source = getattr(target, "gpu_source", None)
    if callable(source):
        return call_device_function(scope, source(), given, place)
    if (known := _fold_math(target, given, place)) is not None:
        return known
    library = _in_library(target)
    return None if library is None else _call_library(scope, library, given, place)


def _in_library(function: object) -> Callable[..., object] | None:
    """Return the library's function for one of `math`, NumPy or Python, or for one of its own."""
    name = function_name(function)
    if name is not None and name in LIBRARY:
        return LIBRARY[name]
    module = getattr(function, "__module__", None) or ""
    own = module.startswith("gpucore.compiler.library.") and name is None
    return function if own and callable(function) and not isinstance(function, type) else None


def _fold_math(function: object, given: Given, place: Place) -> Value | None:
    """Return what a function of `math` gives for literals; None for other calls.

    Raises `KernelTypeError` where Python raises.
    """
    if getattr(function, "__module__", None) != "math" or not callable(function):
        return None
    if (name := function_name(function)) is not None and name not in LIBRARY:
        return None  # floor and the like give floats in a kernel
    values = (*given.by_place, *given.by_name.values())
    numbers = [literal_of(each) if isinstance(each, ir.Expression) else None for each in values]
    known = [each for each in numbers if each is not None]
    if len(known) != len(numbers):
        return None
    count = len(given.by_place)
    named = dict(zip(given.by_name, known[count:], strict=True))
    try:
        found = function(*known[:count], **named)
    except (ValueError, TypeError, ArithmeticError) as error:
        raise KernelTypeError(f"{getattr(function, '__name__', '')}: {error}", place) from None
    if isinstance(found, tuple):
        return Values(tuple(constant(each, place) for each in found))
    return constant(found, place) if isinstance(found, int | float) else None


def _call_library(
    scope: Scope, function: Callable[..., object], given: Given, place: Place
) -> Value:
    """Return a call; of vectors, one for each component. Raises `KernelTypeError`."""
    name = function.__name__
    arguments = [*given.by_place, *given.by_name.values()]
    counts = {
        kind.count
        for each in arguments
        if isinstance(each, ir.Expression) and isinstance(kind := seen(each.type), Vector)
    }
    if not counts:
        return _call(scope, function, given, place)
    if len(counts) > 1:
        raise KernelTypeError(f"{name} takes vectors of one size", place)
    kept = [scope.keep(each) if isinstance(each, ir.Expression) else each for each in arguments]
    parts: list[ir.Expression] = []
    for i in range(count := counts.pop()):
        own = [_component(each, i, place) for each in kept]
        places = len(given.by_place)
        inner = Given(own[:places], dict(zip(given.by_name, own[places:], strict=True)))
        part = _call(scope, function, inner, place)
        if not isinstance(part, ir.Expression):
            raise KernelTypeError(f"{name} takes numbers, got a vector: call it for each", place)
        parts.append(part)
    scalar = seen(parts[0].type)
    assert isinstance(scalar, Scalar)
    return ir.Construct(Vector(count, scalar), place, tuple(parts))


def _component(value: Value, index: int, place: Place) -> Value:
    if not isinstance(value, ir.Expression) or not isinstance(kind := seen(value.type), Vector):
        return value
    return ir.Item(kind.scalar, place, value, ir.Constant(I32, place, index))


def _call(scope: Scope, function: Callable[..., object], given: Given, place: Place) -> Value:
    """Return a call with numbers; halves are computed as f32."""
    name = function.__name__
    arguments = [*given.by_place, *given.by_name.values()]
    numbers = [each for each in arguments if isinstance(each, ir.Expression)]
    for each in numbers:
        if name in _OF_INTEGERS and not is_integer(each.type):
            raise KernelTypeError(
                f"{name} takes integers, got {describe_type(each.type)}", each.place
            )
    if name == "floor_divmod" and numbers and is_float(numbers[0].type):
        function = LIBRARY["float_divmod"]
    halves = any(seen(each.type) == F16 for each in numbers) and name not in _OF_INTEGERS
    if halves:
        given = Given(
            [_whole(each, place) for each in given.by_place],
            {key: _whole(each, place) for key, each in given.by_name.items()},
        )
    value = call_device_function(scope, library_source(function), given, place)
    return _half(value, place) if halves else value


def _whole(value: Value, place: Place) -> Value:
    half = isinstance(value, ir.Expression) and seen(value.type) == F16
    return convert(value, F32, place) if half and isinstance(value, ir.Expression) else value


def _half(value: Value, place: Place) -> Value:
    if isinstance(value, Values):
        return Values(tuple(_half(each, place) for each in value.items))
    single = isinstance(value, ir.Expression) and seen(value.type) == F32
    return convert(value, F16, place) if single and isinstance(value, ir.Expression) else value
