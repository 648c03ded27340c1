"""Sixty programs as kernels in Python, by subject: what users of GPUs write first.

Law: a program is one function, with the kernels that it needs beside it. Each reads as its formula
does, takes buffers of any size, and is compared with NumPy in tests/kernel_programs.
"""

__all__: list[str] = []
