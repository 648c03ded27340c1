"""What a call of a kernel must give, as far as annotations tell before anything is compiled."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from gpucore.compiler.annotations import ArrayType, ConstantType, scalar_type
from gpucore.compiler.flexible import FLOATS
from gpucore.compiler.source import FunctionSource

__all__ = ["KernelInterface", "read_interface"]


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
    """Return what calls give. Raises `PythonKernelError` for an annotation without a meaning."""
    names = tuple(each.arg for each in _nodes(source))
    found = KernelInterface(names, {}, {}, {}, tuple(_floats(source)))
    for node in _nodes(source):
        annotation = None if node.annotation is None else source.evaluate(node.annotation)
        marker = annotation.element if isinstance(annotation, ArrayType) else annotation
        if isinstance(annotation, ConstantType):
            found.constants[node.arg] = annotation.kind
        elif isinstance(marker, TypeVar):
            found.variables[node.arg] = marker.__name__
        elif isinstance(annotation, type) and dataclasses.is_dataclass(annotation):
            found.records[node.arg] = annotation
    return found


def _floats(source: FunctionSource) -> Iterator[str]:
    for node in _nodes(source):
        annotation = None if node.annotation is None else source.evaluate(node.annotation)
        marker = annotation.element if isinstance(annotation, ArrayType) else annotation
        if isinstance(marker, TypeVar) or scalar_type(marker) in FLOATS:
            yield node.arg


def _nodes(source: FunctionSource) -> list[ast.arg]:
    arguments = source.tree.args
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
