"""Tables of tiles that were timed on a device, and the timing that makes them.

Law: a tile changes how long a matrix product takes, never its result. `gpustd.matmul` reads tables
through ``files``, which knows no operation; the other modules time `gpustd.matmul`.
"""

__all__: list[str] = []
