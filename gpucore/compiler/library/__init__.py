"""Functions of `math` and NumPy that WGSL lacks, written in the language of kernels.

Law: no function here runs in Python. The compiler reads their text where a kernel calls them, so
they are made of what kernels have; `gpucore.compiler.library.words` are the names that it knows.
"""

from gpucore.compiler.library.table import LIBRARY, library_source

__all__ = ["LIBRARY", "library_source"]
