"""Convolutions over one to three axes, transposed and grouped ones.

Law: addressing and choice of kernel; the arithmetic is that of `gpustd.matmul`.
"""

__all__: list[str] = []
