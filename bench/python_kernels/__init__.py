"""Twelve programs of ``examples/kernels`` beside Numba CUDA and CuPy, on one card in one run.

Law: the peers' kernels are ours, in their languages, with the same algorithm and the same grid.
"""

__all__: list[str] = []
