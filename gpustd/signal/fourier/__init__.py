"""Fourier transforms: plans, passes, and the functions of SciPy's fft.

Law: roots of unity are float64 on the host, and passes and radices never depend on the batch.
"""

__all__: list[str] = []
