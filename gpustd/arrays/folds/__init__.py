"""Folds along axes: reductions, running folds and counts.

Law: the order of sums follows from the axis, the dtype and the device alone.
"""

__all__: list[str] = []
