"""Benchmarks of gpustd: one file an operation, each with its `ENTRIES`.

Law: a number stands beside a peer's and as a share of the card's roof, both taken in the same run.
"""

__all__: list[str] = []
