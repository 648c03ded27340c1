"""Kernels of which an invocation computes several elements: vectors of them, or rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from gpucore.compiler import ir
from gpucore.compiler.compiled import Variant
from gpucore.compiler.emission.rows import Rows
from gpucore.compiler.emission.words import Entry, Words
from gpucore.compiler.passes.vectors import (
    element_function,
    fits_rows,
    fits_vectors,
    neighbour_functions,
)
from gpucore.wgsl.syntax import Function, Statement

__all__ = ["Several", "fits_several", "several_of"]


class Several(Protocol):
    """Writes the entry of a kernel whose invocations compute several elements."""

    @property
    def workgroups(self) -> Mapping[int, tuple[int, int, int]]:
        """The size of a workgroup by the axes of the grid."""

    def seen(self, array: ir.ArrayRef) -> ir.ArrayRef:
        """Return an array as it is declared."""

    def entry(self, kernel: Entry) -> tuple[list[Function], list[Statement]]:
        """Return functions, and the statements of the entry that call them."""


def fits_several(program: ir.Program, variant: Variant) -> bool:
    """Tell whether there is a variant that computes several elements an invocation."""
    if variant.stencil is not None:
        return not variant.stencil.rows and fits_rows(program)
    return program.kernel.result is not None and not variant.words and fits_vectors(program)


def several_of(program: ir.Program, variant: Variant) -> Several | None:
    """Take the kernel's body apart where a variant computes several elements; else return None."""
    if variant.words:
        return Words(element_function(program), program, variant)
    if variant.stencil is not None and variant.stencil.rows:
        reach = {axis: each or (0, 0) for axis, each in program.reach.items()}
        return Rows(*neighbour_functions(program), program, variant.stencil.rows, reach)
    return None
