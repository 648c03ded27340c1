"""Reads Python's syntax tree into the typed intermediate form.

Law: pure text work. It looks names up in the function's module, and calls nothing of the user's.
"""

from gpucore.compiler.lowering.kernels import RESULT, read_called, read_kernel

__all__ = ["RESULT", "read_called", "read_kernel"]
