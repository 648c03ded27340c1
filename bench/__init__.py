"""Benchmarks of gpustd: one file for each operation, with its `ENTRIES`.

Law: a result is shown beside a peer's and as a share of the card's roof, all from the same run.
"""

__all__: list[str] = []
