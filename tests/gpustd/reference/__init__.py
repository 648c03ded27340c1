"""NumPy float64 references of the operations, their case tables and tolerances.

Law: knows NumPy only. Each module has `CASES`, `reference` and, where results are rounded, the
greatest error allowed with the arithmetic behind it.
"""

__all__ = []
