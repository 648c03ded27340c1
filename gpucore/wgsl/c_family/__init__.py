"""WGSL as C++ for CUDA and HIP: a printer over the typed tree, and the prelude that its text uses.

Law: text work like the rest of `gpucore.wgsl`; it knows no driver and no compiler.
"""

from gpucore.wgsl.c_family.errors import UnsupportedError
from gpucore.wgsl.c_family.module import (
    KERNEL,
    MAX_BY_VALUE,
    PrintedKernel,
    print_kernel,
)
from gpucore.wgsl.c_family.targets import CUDA, HIP_32, HIP_64, TARGETS, Target

__all__ = [
    "CUDA",
    "HIP_32",
    "HIP_64",
    "KERNEL",
    "MAX_BY_VALUE",
    "TARGETS",
    "PrintedKernel",
    "Target",
    "UnsupportedError",
    "print_kernel",
]
