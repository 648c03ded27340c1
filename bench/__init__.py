"""Benchmarks of gpustd: one file an operation, each with its `ENTRIES`.

Law: a number stands beside a peer's and the card's own copy bandwidth, taken in the same run.
"""

__all__: list[str] = []
