"""The way from a function's source to WGSL."""

from __future__ import annotations

from gpucore.compiler.compiled import CompiledKernel, Variant
from gpucore.compiler.emission import write_kernel
from gpucore.compiler.lowering import read_kernel
from gpucore.compiler.passes import (
    differentiate,
    drop_copies,
    drop_dead_code,
    fold_constants,
    move_invariants,
)
from gpucore.compiler.source import FunctionSource

__all__ = ["compile_kernel"]


def compile_kernel(source: FunctionSource, variant: Variant) -> CompiledKernel:
    """Compile a function of Python. Raises `PythonKernelError`."""
    program = read_kernel(source, variant)
    if variant.derivative:
        differentiate(program, variant.derivative)
    for function in (*program.functions, program.kernel):
        drop_copies(function)
        fold_constants(function)
        drop_dead_code(function)
    move_invariants(program)
    return write_kernel(program, variant)
