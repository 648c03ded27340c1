"""Engines whose driver is a C library: what CUDA and HIP have in common.

Law: names neither. A `Driver` has the table of an engine's functions, by what they do.

- A device has a stream of its own, and one for each that is asked for: see `lanes`.
- Copies from the host have a branch of a graph for themselves: see `sides`.
- A recording that is submitted becomes a graph of the driver, which its ``plan`` keeps.
- Small uniforms are parameters of the launch. The host keeps a copy of each for that.
- Compiled kernels lie in a cache on disk, by text, architecture and the compiler's version.
"""

__all__: list[str] = []
