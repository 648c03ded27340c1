"""The functions that kernels call by name: of numbers, vectors and subgroups.

Law: they take and give typed expressions, and know nothing of Python's syntax tree.
"""

__all__: list[str] = []
