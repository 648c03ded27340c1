"""Kernels in Python: the decorator `gpu_kernel`, and the launch of what the compiler makes.

Law: the compiler knows no device, and this is where its kernels meet one.
"""

from gpucore.kernels.autotuning import TunedKernel, autotune
from gpucore.kernels.decorator import gpu_kernel
from gpucore.kernels.printing import show_prints
from gpucore.kernels.python_kernel import GpuKernel
from gpucore.kernels.stencils import GpuStencil, stencil

__all__ = [
    "GpuKernel",
    "GpuStencil",
    "TunedKernel",
    "autotune",
    "gpu_kernel",
    "show_prints",
    "stencil",
]
