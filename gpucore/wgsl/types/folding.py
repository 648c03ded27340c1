"""Values that are known before the shader runs, of scalars and of their composites.

A function without a value here keeps its type, and the target's compiler computes it.
"""

from __future__ import annotations

from collections.abc import Sequence

from gpucore.wgsl.errors import ConstantError
from gpucore.wgsl.types.facts import Value
from gpucore.wgsl.types.kinds import Array, Matrix, Scalar, Structure, Type, Vector
from gpucore.wgsl.values import Constant, call_built_in, combine, convert, fit_value

__all__ = ["binary_value", "call_value", "construct_value", "convert_value", "unary_value"]


def convert_value(value: Value | None, type_: Type, *, explicit: bool = False) -> Value | None:
    """Return a value as another type of its shape; None where it has no such value.

    Raises `ConstantError` for a number that does not fit, unless ``explicit``.
    """
    if isinstance(value, Constant):
        return convert(value, type_.name, explicit) if isinstance(type_, Scalar) else None
    if value is None:
        return None
    if isinstance(type_, Structure):
        return value
    part = _part(type_)
    parts = [convert_value(each, part, explicit=explicit) for each in value] if part else []
    kept = tuple(each for each in parts if each is not None)
    return kept if parts and len(kept) == len(parts) else None


def _part(type_: Type) -> Type | None:
    """Return the type of the parts of a composite that `convert_value` knows."""
    match type_:
        case Vector(scalar=scalar):
            return scalar
        case Matrix(rows=rows, scalar=scalar):
            return Vector(rows, scalar)
        case Array(element=element):
            return element
        case _:
            return None


def unary_value(operator: str, value: Value | None) -> Value | None:
    """Return ``operator value``, or None where it is not known."""
    if isinstance(value, tuple):
        parts = [unary_value(operator, each) for each in value]
        return _all(parts)
    if value is None:
        return None
    if operator == "!" and value.type == "bool":
        return Constant("bool", not value.value)
    if operator == "-" and value.type not in ("bool", "u32"):
        return fit_value(-value.value, value.type)
    if operator == "~" and value.type in ("i32", "u32", "int"):
        return fit_value(~int(value.value), value.type)
    return None


def binary_value(operator: str, left: Value | None, right: Value | None) -> Value | None:
    """Return ``left operator right`` of scalars, or None where it is not known."""
    if not isinstance(left, Constant) or not isinstance(right, Constant):
        return _spread(operator, left, right)
    if operator in ("&&", "||"):
        chosen = left.value and right.value if operator == "&&" else left.value or right.value
        return Constant("bool", bool(chosen))
    try:
        return combine(operator, left, right)
    except (ConstantError, OverflowError, ValueError):
        return None


def _spread(operator: str, left: Value | None, right: Value | None) -> Value | None:
    """Return an operation on vectors part by part; a scalar operand goes with each part."""
    if left is None or right is None:
        return None
    count = len(left) if isinstance(left, tuple) else len(right) if isinstance(right, tuple) else 0
    lefts = left if isinstance(left, tuple) else (left,) * count
    rights = right if isinstance(right, tuple) else (right,) * count
    if len(lefts) != len(rights) or not all(isinstance(each, Constant) for each in lefts + rights):
        return None
    return _all([binary_value(operator, a, b) for a, b in zip(lefts, rights, strict=True)])


def call_value(name: str, values: Sequence[Value | None]) -> Value | None:
    """Return the value of a built-in function of scalars, or None where it is not known."""
    constants = [value for value in values if isinstance(value, Constant)]
    if len(constants) != len(values):
        return None
    try:
        return call_built_in(name, constants)
    except (ConstantError, OverflowError, ValueError):
        return None


def construct_value(type_: Type, values: Sequence[Value | None]) -> Value | None:
    """Return the value of a constructor of a scalar, vector or array, or None."""
    if isinstance(type_, Scalar) and len(values) == 1:
        try:
            return convert_value(values[0], type_, explicit=True)
        except ConstantError:
            return None
    if isinstance(type_, Vector):
        parts: list[Value | None] = []
        for value in values:
            parts += value if isinstance(value, tuple) else (value,)
        if len(parts) == 1:
            parts *= type_.count
        return _convert_all(parts, type_.scalar) if len(parts) == type_.count else None
    if isinstance(type_, Array) and len(values) == type_.count:
        return _convert_all(values, type_.element)
    if isinstance(type_, Structure) and len(values) == len(type_.members):
        types = [member for _, member in type_.members]
        parts = [_convert_all((v,), t) for v, t in zip(values, types, strict=True)]
        return _all([part[0] if isinstance(part, tuple) else None for part in parts])
    return None


def _convert_all(parts: Sequence[Value | None], type_: Type) -> Value | None:
    try:
        return _all([convert_value(each, type_, explicit=True) for each in parts])
    except ConstantError:
        return None


def _all(parts: Sequence[Value | None]) -> Value | None:
    kept = tuple(each for each in parts if each is not None)
    return kept if kept and len(kept) == len(parts) else None
