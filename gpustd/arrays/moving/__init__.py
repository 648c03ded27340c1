"""Elements in other places: joined, sliced, repeated, rolled and transposed.

Law: nothing is computed; any dtype, and results are new buffers.
"""

__all__: list[str] = []
