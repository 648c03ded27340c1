"""NumPy float64 references of operations, their case tables and tolerances.

Law: a reference knows NumPy only. Each module has `reference`, the table `CASES` and, where results
are rounded, the greatest error allowed with the arithmetic behind it. The sizes that benchmarks
time are here, too: those in `SMALL` are also cases.
"""

__all__ = []
