"""What a call of a kernel must give, as far as annotations tell before anything is compiled."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from gpucore.compiler.annotations import scalar_type
from gpucore.compiler.array_types import ArrayType, ConstantType
from gpucore.compiler.errors import KernelSyntaxError, KernelTypeError
from gpucore.compiler.flexible import FLOATS
from gpucore.compiler.source import FunctionSource

__all__ = ["KernelInterface", "parameters_of", "read_interface"]


@dataclass(frozen=True, slots=True)
class KernelInterface:
    """The parameters by name, and those that make variants of a kernel.

    ``constants`` have the type of Python of each number that is known when the kernel is compiled,
    ``variables`` the name of the type variable of a parameter, ``records`` the dataclass of one.
    ``floats`` are the parameters that are floats, arrays of them, or arrays of a type variable.
    """

    parameters: tuple[str, ...]
    constants: dict[str, type]
    variables: dict[str, str]
    records: dict[str, type]
    floats: tuple[str, ...] = ()


def read_interface(source: FunctionSource) -> KernelInterface:
    """Return what calls give.

    Raises `PythonKernelError` for an annotation that is missing or has no meaning, a default value,
    and ``*``.
    """
    arguments = source.tree.args
    defaults = [*arguments.defaults, *(each for each in arguments.kw_defaults if each is not None)]
    if defaults:
        raise KernelSyntaxError(
            "parameters of kernels have no default values: a call gives each of them",
            source.place(defaults[0]),
        )
    names = tuple(each.arg for each in parameters_of(source))
    found = KernelInterface(names, {}, {}, {}, tuple(_floats(source)))
    for node in parameters_of(source):
        if node.annotation is None:
            raise KernelTypeError(
                "a kernel is no method: define it outside of the class"
                if node.arg == "self"
                else f"the parameter {node.arg} needs a type, as in {node.arg}: f32 or "
                f"{node.arg}: Array[f32]",
                source.place(node),
            )
        annotation = source.evaluate(node.annotation)
        marker = annotation.element if isinstance(annotation, ArrayType) else annotation
        if isinstance(annotation, ConstantType):
            found.constants[node.arg] = annotation.kind
        elif isinstance(marker, TypeVar):
            found.variables[node.arg] = marker.__name__
        elif isinstance(annotation, type) and dataclasses.is_dataclass(annotation):
            found.records[node.arg] = annotation
    return found


def parameters_of(source: FunctionSource) -> list[ast.arg]:
    """Return the parameters of a function. Raises `KernelSyntaxError` for ``*``."""
    arguments = source.tree.args
    extra = arguments.vararg or arguments.kwarg
    if extra is not None:
        raise KernelSyntaxError(
            "a kernel takes a fixed number of parameters, no * or **", source.place(extra)
        )
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]


def _floats(source: FunctionSource) -> Iterator[str]:
    for node in parameters_of(source):
        annotation = None if node.annotation is None else source.evaluate(node.annotation)
        marker = annotation.element if isinstance(annotation, ArrayType) else annotation
        if isinstance(marker, TypeVar) or scalar_type(marker) in FLOATS:
            yield node.arg
