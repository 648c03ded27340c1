"""Tables of tiles that were timed on a device, and the timing that makes them.

Law: a tile changes how long a matrix product takes, never its result. `gpustd.matmul` reads tables
through ``files``, which knows no operation; the other modules time `gpustd.matmul`.

A user's tables come from ``avila tune``. They count for their adapter, engine and driver, and go
before the shipped ones in ``tables/``, which ``bench.tiles`` makes by timing launches inside whole
networks. A table chooses only among tiles that give the same bits. Entries for kernels whose text
has changed are passed over. The split of K and the variant change bits and are never tuned.
Software renderers have no choice of tiles: what takes time there is compiling.
"""

__all__: list[str] = []
