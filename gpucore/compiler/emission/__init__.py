"""Writes the typed form as WGSL's syntax tree, and that as text.

Law: pure text work, and the only place that knows WGSL's spelling.
"""

from gpucore.compiler.emission.kernels import write_functions, write_kernel

__all__ = ["write_functions", "write_kernel"]
