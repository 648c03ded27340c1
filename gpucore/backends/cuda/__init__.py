"""The CUDA engine: WGSL printed as CUDA C++, compiled by NVRTC, run through the driver API.

Law: the only place that touches CUDA. Nothing here is imported before an adapter is asked for, and
nothing is found where the driver or NVRTC is missing.

Both libraries are called through ctypes. Their C interfaces are stable for years, the packages with
bindings are megabytes that are bound to one major version, and some twenty functions are in use.

- A device has one stream of its own, in the card's primary context, which other libraries of the
  process share. The order of calls is that of the stream.
- A recording that is submitted becomes a CUDA graph, which its ``plan`` keeps.
- Small uniforms are parameters of the launch. The host keeps a copy of each for that.
- Compiled kernels lie in a cache on disk, by text, architecture and NVRTC's version.
"""

__all__: list[str] = []
