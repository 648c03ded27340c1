"""Compiles functions of Python to compute shaders in WGSL.

Law: pure text work. No GPU, no NumPy: a function's syntax tree becomes a typed intermediate form
(`gpucore.compiler.lowering`), passes make it smaller (`gpucore.compiler.passes`), and it is written
as WGSL's syntax tree (`gpucore.compiler.emission`). Errors name file, line and column of the
Python source.

What calls of kernels need is here; `gpucore.compiler.compilation` has the compiler itself, which a
process loads for a kernel that is not on disk.
"""

from gpucore.compiler.compiled import CompiledKernel, Variant
from gpucore.compiler.errors import (
    KernelNameError,
    KernelSyntaxError,
    KernelTypeError,
    Place,
    PythonKernelError,
)

__all__ = [
    "CompiledKernel",
    "KernelNameError",
    "KernelSyntaxError",
    "KernelTypeError",
    "Place",
    "PythonKernelError",
    "Variant",
]
