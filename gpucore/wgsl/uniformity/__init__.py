"""Uniformity: calls of barriers that some invocations of a workgroup may miss.

Law: pure text work, as in `gpucore.wgsl`. Nothing that the WGSL specification allows is refused.
"""

from gpucore.wgsl.uniformity.analysis import keeps_subgroups_whole, require_uniformity

__all__ = ["keeps_subgroups_whole", "require_uniformity"]
