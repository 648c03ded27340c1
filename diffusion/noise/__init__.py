"""Unit normal noise: the same bits on every machine, or those of PyTorch.

Law: host arrays only, from a seed and a counter.
"""

__all__: list[str] = []
