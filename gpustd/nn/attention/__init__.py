"""Attention: fused kernels, masks, and the form with scores in memory.

Law: no variant keeps a matrix of all scores, but that by products.
"""

__all__: list[str] = []
