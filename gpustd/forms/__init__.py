"""Reductions and scans by a Python function: its operator is compiled into gpustd's own kernels.

Law: no kernels of its own. The operator becomes a function of WGSL (`gpucore.compiler`), and the
templates of `gpustd.arrays` call it, so that it is as fast as their own sums. That is why these
forms stand here: gpucore knows no templates.
"""

from gpustd.forms.gradients import Gradient, grad
from gpustd.forms.reduction import GpuReduction, gpu_reduce
from gpustd.forms.scan import GpuScan, gpu_scan

__all__ = ["GpuReduction", "GpuScan", "Gradient", "gpu_reduce", "gpu_scan", "grad"]
