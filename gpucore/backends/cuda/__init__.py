"""The CUDA engine: WGSL printed as CUDA C++, compiled by NVRTC, run through the driver API.

Law: the only place that touches CUDA. Nothing here is imported before an adapter is asked for, and
nothing is found where the driver or NVRTC is missing. What HIP has, too, is in
`gpucore.backends.drivers`.

Both libraries are called through ctypes. Their C interfaces are stable for years, the packages with
bindings are megabytes that are bound to one major version, and some twenty functions are in use.
A device lives in the card's primary context, which other libraries of the process share.
"""

__all__: list[str] = []
