"""Calls in a kernel: conversions, functions of numbers, and what only a GPU has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Final

from gpucore.compiler import ir
from gpucore.compiler.errors import KernelSyntaxError, KernelTypeError, Place
from gpucore.compiler.flexible import describe_type, is_integer, meet, seen
from gpucore.compiler.lowering.arrays import local_array, shared_array
from gpucore.compiler.lowering.functions.composed import COMPOSED, call_composed
from gpucore.compiler.lowering.functions.names import function_name
from gpucore.compiler.lowering.functions.numbers import call_function
from gpucore.compiler.lowering.functions.subgroups import SUBGROUP_FUNCTIONS, call_subgroup_function
from gpucore.compiler.lowering.functions.vectors import (
    VECTOR_FUNCTIONS,
    call_vector_function,
    construct,
)
from gpucore.compiler.lowering.operators import constant, convert
from gpucore.compiler.lowering.scope import Scope
from gpucore.compiler.lowering.values import Known, Value, Values
from gpucore.wgsl.types.kinds import F16, F32, I32, U32, Matrix, Scalar, Vector

__all__ = ["call_known", "expression_of"]

NOTHING: Final = Known(None)
_TEXTS: Final = ("inf", "-inf", "nan")  # what float(...) takes
_LIBRARIES: Final = ("builtins", "math", "numpy")


def expression_of(value: Value, place: Place) -> ir.Expression:
    """Return a value of the GPU. Raises `KernelTypeError` for what is none."""
    if isinstance(value, ir.Expression):
        return value
    if isinstance(value, ir.ArrayRef):
        raise KernelTypeError(
            f"{value.name} is an array: take an element, as {value.name}[i]", place
        )
    if isinstance(value, Known) and isinstance(value.object, str):
        raise KernelTypeError(
            f"a number must stand here, got the text {value}: kernels have texts in print alone",
            place,
        )
    if isinstance(value, Values):
        count = len(value.items)
        raise KernelTypeError(
            f"a number must stand here, got a tuple of {count}: take an element, as t[0]", place
        )
    if value == NOTHING:
        raise KernelTypeError("a number must stand here, got nothing: this has no value", place)
    raise KernelTypeError(f"a number must stand here, got {value}", place)


def call_known(scope: Scope, function: Known, arguments: list[Value], place: Place) -> Value:
    """Return the value of a call of an object of Python. Raises `PythonKernelError`."""
    target = scope.type_of(function.object)
    if isinstance(target, Scalar):
        match arguments:
            case [Known(object=str(text))] if function.object is float and text in _TEXTS:
                return constant(float(text), place)
        return _conversion(target, arguments, place)
    if isinstance(target, Vector | Matrix):
        parts = [expression_of(each, place) for each in arguments]
        return construct(target, parts, place)
    name = function_name(function.object)
    if name in VECTOR_FUNCTIONS:
        parts = [expression_of(each, place) for each in arguments]
        return call_vector_function(str(name), parts, place)
    if name in SUBGROUP_FUNCTIONS:
        parts = [expression_of(each, place) for each in arguments]
        return call_subgroup_function(str(name), parts, place)
    if name in _SPECIAL:
        return _SPECIAL[name](scope, arguments, place)
    if name in COMPOSED:
        parts = [expression_of(each, place) for each in arguments]
        return call_composed(str(name), parts, place)
    if name is not None:
        return call_function(name, [expression_of(each, place) for each in arguments], place)
    raise KernelSyntaxError(_no_function(function), place)


def _no_function(function: Known) -> str:
    """Return why an object cannot be called: functions of the user's need a decorator."""
    module = str(getattr(function.object, "__module__", None) or "builtins")
    if isinstance(function.object, FunctionType) and module.partition(".")[0] not in _LIBRARIES:
        return f"kernels cannot call {function}: decorate it with @gpu_function"
    if not callable(function.object):
        return f"{function} cannot be called: it is no function"
    owner = "" if module == "builtins" else f"{module.partition('.')[0]}."
    return (
        f"kernels do not have {owner}{function}: they have the functions of numbers that the GPU "
        "has, by the names of math, NumPy and gpucore"
    )


def _conversion(target: Scalar, arguments: list[Value], place: Place) -> ir.Expression:
    if len(arguments) != 1:
        raise KernelTypeError(f"{target.name}(...) takes 1 argument, got {len(arguments)}", place)
    return convert(expression_of(arguments[0], place), target, place)


def _len(scope: Scope, arguments: list[Value], place: Place) -> Value:
    match arguments:
        case [Values(items=items)]:
            return constant(len(items), place)
    if len(arguments) != 1 or not isinstance(arguments[0], ir.ArrayRef):
        raise KernelTypeError("len takes one array, or one tuple", place)
    return extent(arguments[0], 0, place)


def extent(array: ir.ArrayRef, axis: int, place: Place) -> ir.Expression:
    """Return the size of an array along an axis."""
    if array.extents:
        return ir.Constant(U32, place, array.extents[axis])
    return ir.Extent(U32, place, array, axis)


def _barrier(scope: Scope, arguments: list[Value], place: Place) -> Value:
    if arguments:
        raise KernelTypeError("barrier takes no arguments", place)
    scope.block.append(ir.Evaluate(ir.Call(U32, place, "barrier", ()), place))
    return NOTHING


def _atomic(function: str) -> Callable[[Scope, list[Value], Place], Value]:
    count = 3 if function == "atomicCompareExchangeWeak" else 2
    of_floats = function not in ("atomicAnd", "atomicOr", "atomicXor")

    def call(scope: Scope, arguments: list[Value], place: Place) -> Value:
        if len(arguments) != count:
            raise KernelTypeError(
                f"this atomic function takes {count} arguments, got {len(arguments)}: write "
                + ("atomic_compare_exchange(x[i], 0, 1)" if count == 3 else "atomic_add(x[i], 1)"),
                place,
            )
        if not isinstance(arguments[0], ir.Load):
            raise KernelTypeError(
                "an atomic function takes an element of an array first: write atomic_add(x[i], 1)",
                place,
            )
        element = arguments[0].element
        values = [expression_of(each, place) for each in arguments[1:]]
        if element.array.space == "private":
            raise KernelTypeError(
                f"{element.array.name} is an array of one invocation, which no other changes: "
                "write without an atomic function",
                place,
            )
        if not is_integer(element.type) and not (of_floats and seen(element.type) == F32):
            known = "i32, u32 or f32" if of_floats else "i32 or u32"
            raise KernelTypeError(
                f"this atomic function takes elements of {known}, got "
                f"{describe_type(element.type)}",
                place,
            )
        for value in values:
            if meet(element.type, value.type) is None:
                raise KernelTypeError(
                    f"the array has {describe_type(element.type)}, got "
                    f"{describe_type(value.type)}: convert it",
                    value.place,
                )
        return ir.Atomic(element.type, place, function, element, tuple(values))

    return call


def _bitcast(scope: Scope, arguments: list[Value], place: Place) -> Value:
    if len(arguments) != 2 or not isinstance(arguments[0], Known):
        raise KernelTypeError("bitcast takes a type and a value, as bitcast(u32, x)", place)
    target = scope.type_of(arguments[0].object)
    value = expression_of(arguments[1], place)
    if target not in (F32, I32, U32) or seen(value.type) == F16:
        raise KernelTypeError(
            "bitcast takes one of f32, i32, u32 first, and a value of 32 bits", place
        )
    return ir.Convert(target, place, value, bits=True)


def _range(scope: Scope, arguments: list[Value], place: Place) -> Value:
    raise KernelSyntaxError("range stands in a for loop only, as in for i in range(n):", place)


_SPECIAL: Final[Mapping[str | None, Callable[[Scope, list[Value], Place], Value]]] = {
    "len": _len,
    "barrier": _barrier,
    "shared": shared_array,
    "local": local_array,
    "bitcast": _bitcast,
    "range": _range,
    "static_range": _range,
    "atomic_add": _atomic("atomicAdd"),
    "atomic_sub": _atomic("atomicSub"),
    "atomic_min": _atomic("atomicMin"),
    "atomic_max": _atomic("atomicMax"),
    "atomic_and": _atomic("atomicAnd"),
    "atomic_or": _atomic("atomicOr"),
    "atomic_xor": _atomic("atomicXor"),
    "atomic_exchange": _atomic("atomicExchange"),
    "atomic_compare_exchange": _atomic("atomicCompareExchangeWeak"),
}
