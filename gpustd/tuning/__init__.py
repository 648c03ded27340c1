"""The timing that makes tables of tiles, and the roof that times are compared with.

Law: a tile changes how long a matrix product takes, never its result. This package times
`gpustd.matmul`, which reads the tables (`gpustd.matmul.tile_files`).

A user's tables come from ``avila tune``. They count for their adapter, engine and driver, and go
before the shipped ones in ``gpustd/matmul/tile_tables``, which ``bench.tiles`` makes by timing
launches inside whole networks. A table chooses only among tiles that give the same bits. Entries
for kernels whose text has changed are passed over. The split of K and the variant change bits and
are never tuned. Software renderers have no choice of tiles: what takes time there is compiling.
"""

__all__: list[str] = []
