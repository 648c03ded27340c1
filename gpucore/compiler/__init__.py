"""Compiles functions of Python to compute shaders in WGSL.

Law: pure text work. No GPU, no NumPy: a function's syntax tree becomes a typed intermediate form
(`gpucore.compiler.lowering`), passes make it smaller (`gpucore.compiler.passes`), and it is written
as WGSL's syntax tree (`gpucore.compiler.emission`). Errors name file, line and column of the
Python source.
"""

from gpucore.compiler.annotations import ArrayType, ConstantType
from gpucore.compiler.compilation import compile_kernel
from gpucore.compiler.compiled import CompiledKernel, Variant
from gpucore.compiler.errors import (
    KernelNameError,
    KernelSyntaxError,
    KernelTypeError,
    Place,
    PythonKernelError,
)
from gpucore.compiler.interface import KernelInterface, read_interface
from gpucore.compiler.source import FunctionSource, read_function

__all__ = [
    "ArrayType",
    "CompiledKernel",
    "ConstantType",
    "FunctionSource",
    "KernelInterface",
    "KernelNameError",
    "KernelSyntaxError",
    "KernelTypeError",
    "Place",
    "PythonKernelError",
    "Variant",
    "compile_kernel",
    "read_function",
    "read_interface",
]
