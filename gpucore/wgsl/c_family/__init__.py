"""WGSL as C++ for CUDA: a printer over the typed tree, and the prelude that its text uses.

Law: text work like the rest of `gpucore.wgsl`; it knows no driver and no compiler.
"""

from gpucore.wgsl.c_family.errors import UnsupportedError
from gpucore.wgsl.c_family.module import (
    KERNEL,
    MAX_BY_VALUE,
    PrintedKernel,
    print_kernel,
)

__all__ = ["KERNEL", "MAX_BY_VALUE", "PrintedKernel", "UnsupportedError", "print_kernel"]
