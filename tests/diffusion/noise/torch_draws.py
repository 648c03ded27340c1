"""The stored draws of PyTorch's CPU generator, and their names in the file of golden arrays."""

from collections.abc import Sequence

SEEDS = (0, 42, 2**32 - 1, 2**32 + 42, 2**63 + 12345)
DRAWS = ((4,), (3, 3, 5, 16, 3), (15, 1, 2), (16,), (17,), (24,), (31,), (64, 100, 64), (640, 999))
"""Counts of numbers drawn one after the other from one generator."""


def draws_of(counts: Sequence[int]) -> list[int]:
    """Return each count twice in a row."""
    return [count for count in counts for _ in range(2)]


def name(seed: int, counts: Sequence[int]) -> str:
    """Return the name of the array of all numbers, one draw after the other."""
    return f"{seed}/{'-'.join(map(str, counts))}"


def words_name(seed: int) -> str:
    """Return the name of the array of the first raw words' lower 31 bits."""
    return f"words/{seed}"
