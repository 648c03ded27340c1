"""Elementwise operations: operands, arithmetic, functions, comparisons and casts.

Law: operands of one dtype, which Python numbers take on; shapes broadcast as in NumPy.
"""

__all__: list[str] = []
