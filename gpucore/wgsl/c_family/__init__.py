"""WGSL as C++ for CUDA and HIP: a printer over the typed tree, and the prelude that its text uses.

Law: text work like the rest of `gpucore.wgsl`; it knows no driver and no compiler.

What launches need is here; `gpucore.wgsl.c_family.module` has the printer, which a process loads
for a kernel that is not on disk.
"""

from gpucore.wgsl.c_family.errors import UnsupportedError
from gpucore.wgsl.c_family.printed_kernel import PrintedKernel
from gpucore.wgsl.c_family.targets import (
    CUDA,
    HIP_32,
    HIP_64,
    KERNEL,
    MAX_BY_VALUE,
    TARGETS,
    Target,
)

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
]
