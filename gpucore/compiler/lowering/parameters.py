"""The parameters of a kernel: what their annotations mean."""

from __future__ import annotations

import ast
import dataclasses
from typing import TypeVar

from gpucore.compiler import ir
from gpucore.compiler.annotations import fields_of, type_of_object
from gpucore.compiler.array_types import ArrayType, ConstantType
from gpucore.compiler.compiled import Variant
from gpucore.compiler.errors import KernelTypeError
from gpucore.compiler.interface import parameters_of
from gpucore.compiler.lowering.scope import Scope
from gpucore.compiler.lowering.values import Fields, Value
from gpucore.compiler.source import FunctionSource
from gpucore.wgsl.types.kinds import BOOL, Scalar, Structure, Type, Vector

__all__ = ["read_parameters", "result_element", "stencil_element"]


def read_parameters(scope: Scope, variant: Variant) -> None:
    """Give the parameters of a kernel their meaning. Raises `PythonKernelError`."""
    constants = dict(variant.constants)
    types = dict(variant.types)
    for node in parameters_of(scope.source):
        assert node.annotation is not None  # the interface was read before
        annotation = scope.source.evaluate(node.annotation)
        _note_type_variable(scope, annotation, types)
        parameter = _parameter(scope, node, annotation)
        scope.function.parameters.append(parameter)
        if parameter.kind == "constant":
            value = constants.get(node.arg, 1)
            scope.bind_constant(node.arg, value, node)
        elif parameter.kind == "record":
            assert isinstance(annotation, type)
            scope.values[node.arg] = _record(scope, node.arg, annotation, node)
        elif parameter.array is not None:
            scope.values[node.arg] = parameter.array
        else:
            variable = ir.Variable(node.arg, parameter.type, parameter.place)
            value_node = ir.Argument(parameter.type, parameter.place, node.arg)
            scope.values[node.arg] = variable
            scope.assigned.add(node.arg)
            scope.assign(variable, value_node, parameter.place)


def _note_type_variable(scope: Scope, annotation: object, types: dict[str, str]) -> None:
    """Give a type variable the type that the launch, or the default, has for it."""
    marker = annotation.element if isinstance(annotation, ArrayType) else annotation
    if isinstance(marker, TypeVar) and marker not in scope.types:
        scope.types[marker] = Scalar(types.get(marker.__name__, "f32"))


def _parameter(scope: Scope, node: ast.arg, annotation: object) -> ir.Parameter:
    place = scope.place(node)
    assert node.annotation is not None
    if isinstance(annotation, ConstantType):
        type_ = type_of_object(annotation.kind)
        assert type_ is not None
        return ir.Parameter(node.arg, type_, place, kind="constant")
    if isinstance(annotation, ArrayType):
        element = _element(scope, annotation, node.annotation)
        array = ir.ArrayRef(node.arg, element, annotation.rank, "storage", place)
        return ir.Parameter(node.arg, element, place, array)
    if isinstance(annotation, type) and dataclasses.is_dataclass(annotation):
        return ir.Parameter(node.arg, BOOL, place, kind="record")
    found = scope.type_of(annotation)
    if found is None:
        shown = getattr(annotation, "__name__", repr(annotation))
        raise scope.type_error(
            f"the type of {node.arg} must be a scalar such as f32, a vector, a dataclass, or an "
            f"array such as Array[f32], got {shown}",
            node.annotation,
        )
    return ir.Parameter(node.arg, found, place)


def _element(scope: Scope, annotation: ArrayType, node: ast.expr) -> Type:
    """Return the type of an array's elements. Raises `KernelTypeError`."""
    element = (
        None if annotation.element in (int, float, bool) else scope.type_of(annotation.element)
    )
    if element is None:
        raise scope.type_error(
            f"elements of an array must be f32, f16, i32, u32, a vector or a dataclass, got "
            f"{annotation!r}{_instead(annotation.element)}",
            node,
        )
    return element


def _instead(element: object) -> str:
    """Return what to do where a GPU has no numbers of a size."""
    name = getattr(element, "__name__", "")
    if "64" in name or element in (int, float):
        word = "f32" if "float" in name else "i32"
        return f": the GPU has numbers of 16 and 32 bits, write {word}"
    if "8" in name or "bool" in name:
        return ": give it as u32, which gpustd.cast makes"
    return ""


def _record(scope: Scope, name: str, marker: type, node: ast.arg) -> Fields:
    """Return the fields of a dataclass parameter, each a value that the launch gives."""
    items: dict[str, Value] = {}
    for field, annotation in fields_of(marker).items():
        path = f"{name}.{field}"
        if isinstance(annotation, type) and dataclasses.is_dataclass(annotation):
            items[field] = _record(scope, path, annotation, node)
            continue
        type_ = scope.type_of(annotation)
        if type_ is None or isinstance(type_, Structure):
            raise scope.type_error(
                f"the field {path} must be a scalar such as f32, or a vector, got {annotation!r}",
                node,
            )
        items[field] = ir.Argument(type_, scope.place(node), path)
    return Fields(name, items)


def result_element(scope: Scope, source: FunctionSource) -> Scalar | Vector | None:
    """Return the elements of the array that a kernel says it returns; None for no result.

    Raises `KernelTypeError` for a result of another type.
    """
    node = source.tree.returns
    annotation = None if node is None else source.evaluate(node)
    if annotation is None or node is None:
        return None
    if isinstance(annotation, ArrayType):
        element = scope.type_of(annotation.element)
        if isinstance(element, Scalar | Vector) and element != BOOL:
            return element
    raise KernelTypeError(
        "a kernel returns nothing, or one element of an array of f32, f16, i32, u32 or vectors of "
        "them, as in -> Array[f32]",
        source.place(node),
    )


def stencil_element(scope: Scope, source: FunctionSource) -> Scalar | Vector:
    """Return the type that a stencil says it returns. Raises `KernelTypeError` without one."""
    node = source.tree.returns
    element = None if node is None else scope.type_of(source.evaluate(node))
    if not isinstance(element, Scalar | Vector) or element == BOOL:
        raise scope.type_error(
            f"{source.name} must return one element of the result, as in -> f32",
            node or source.tree,
        )
    return element
