"""Kernels of a user's own from a few lines of WGSL: elementwise, reductions and scans.

Law: a text is checked when the object is made, compiled once for each device and set of dtypes, and
broadcasts its operands. The order in which a reduction combines follows from the sizes alone.
"""

__all__: list[str] = []
