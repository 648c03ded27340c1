"""The WebGPU engines: wgpu-native and Dawn behind one backend class.

Law: the only place that imports ``wgpu`` and ``wgpudawn``.
"""

__all__: list[str] = []
