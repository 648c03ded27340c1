"""Factors of a transform's length."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from gpucore.integers import ceil_div

__all__ = ["divisors", "is_smooth", "next_smooth", "radix_products", "split_factors"]

_PRIMES = (2, 3, 5, 7, 11, 13)


def is_smooth(n: int) -> bool:
    """Tell whether no prime factor of ``n`` is above 13."""
    return _without_factors(n, _PRIMES) == 1


def _without_factors(n: int, primes: tuple[int, ...]) -> int:
    """Return ``n`` divided by these primes as often as they divide it."""
    for p in primes:
        while n % p == 0:
            n //= p
    return n


def next_smooth(n: int, primes: tuple[int, ...]) -> int:
    """Return the least number from ``n`` on with no prime factors but ``primes``, 2 among them."""
    best = 1 << max(n - 1, 0).bit_length()
    stack = [1]
    odd = [p for p in primes if p != 2]
    seen = {1}
    while stack:
        product = stack.pop()
        best = min(best, product << max(ceil_div(n, product) - 1, 0).bit_length())
        for p in odd:
            if product * p < best and product * p not in seen:
                seen.add(product * p)
                stack.append(product * p)
    return best


def split_factors(n: int, radices: tuple[int, ...]) -> tuple[int, ...]:
    """Return the radices whose product is ``n``, each as often as it divides what is left."""
    factors = []
    for radix in radices:
        while n % radix == 0:
            factors.append(radix)
            n //= radix
    return tuple(factors)


def divisors(n: int) -> Iterator[int]:
    """Yield the divisors of ``n``."""
    for d in range(1, math.isqrt(n) + 1):
        if n % d == 0:
            yield d
            if d * d != n:
                yield n // d


def radix_products(n: int, factors: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Yield the radices of ``factors`` that multiply to ``n``, largest first."""
    if n == 1:
        yield ()
    for i, radix in enumerate(factors):
        if n % radix == 0:
            for rest in radix_products(n // radix, factors[i:]):
                yield (radix, *rest)
