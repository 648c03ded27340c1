"""Operators and methods of `Buffer`: their names and types here, what they do elsewhere.

Law: computes nothing. Another package offers the operations by name, and gpucore never imports it:
see `gpucore.algebra.provider`.
"""

__all__: list[str] = []
