"""Uniformity: calls of barriers that some invocations of a workgroup may miss.

Law: pure text work, as in `gpucore.wgsl`. Nothing that the WGSL specification allows is refused.
"""

from gpucore.wgsl.uniformity.analysis import require_uniformity

__all__ = ["require_uniformity"]
