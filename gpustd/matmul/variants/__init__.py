"""Variants of the matrix product, from one loop for every result to matrix units.

Law: a variant is a function from a `Matmul` and its `Operands` to planned launches. It records
nothing.
"""

__all__: list[str] = []
