"""Tables of roots against exponentials in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gpucore import Device
from gpustd.signal.fourier import twiddle

Array = NDArray[Any]

# Of products whose factors are rounded once, relatively.
ROUNDING = 2.0**-22


def exact(numerators: Array, n: int) -> Array:
    return np.asarray(np.exp(-2j * np.pi * (numerators % n) / n))


def powers(steps: Array, radix: int) -> Array:
    """Return roots to 0 to radix - 1 of each column, (radix, columns), from their powers.

    Given are the powers 1, 2, 4 ...
    """
    of = np.ones((radix, steps.shape[1]), np.complex128)
    for i in range(radix):
        for bit, row in enumerate(steps):
            of[i] *= row if i >> bit & 1 else 1
    return of


@pytest.mark.parametrize("levels", [1, 2])
@pytest.mark.parametrize(
    ("done", "length", "radix"),
    [(1, 20, 10), (7, 26, 13), (64, 1024, 16), (5, 6, 2), (3, 64, 32), (1024, 1024, 16)],
)
def test_far_roots(
    monkeypatch: pytest.MonkeyPatch, levels: int, done: int, length: int, radix: int
) -> None:
    """Number k of column m is turned by m k of all numbers, in either form."""
    monkeypatch.setattr(twiddle, "_MAX_FAR", 2**20 if levels == 1 else 0)
    assert twiddle.far_levels(done, length, radix) == levels
    table = twiddle.far_roots(Device.null(), done, length, radix).read().astype(np.complex128)
    count = (radix - 1).bit_length()
    steps, rest = table[: count * done].reshape(count, done), table[count * done :]
    m, k = np.arange(done), np.arange(length // radix)[:, None]
    if levels == 1:
        first = rest.reshape(length // radix, done)
    else:
        first = rest[m * k % 4096] * rest[4096:][m * k // 4096]
    # Number k of a butterfly of the radix is length / radix after number k - 1.
    whole = (powers(steps, radix)[:, None] * first).reshape(length, done)
    expected = exact(np.outer(np.arange(length), m), done * length)
    np.testing.assert_allclose(whole, expected, rtol=ROUNDING)


def test_near_roots() -> None:
    """After butterflies whose product is d, number i of column m is turned by m i of d radix."""
    radices = (13, 16, 2, 9, 25)
    table = twiddle.near_roots(Device.null(), radices).read().astype(np.complex128)
    done = radices[0]
    for radix in radices[1:]:
        count = (radix - 1).bit_length()
        steps, table = table[: count * done].reshape(count, done), table[count * done :]
        expected = exact(np.outer(np.arange(radix), np.arange(done)), done * radix)
        np.testing.assert_allclose(powers(steps, radix), expected, rtol=ROUNDING)
        done *= radix
    assert not table.size


@pytest.mark.parametrize("n", [1, 12, 2**14, 2**14 + 1, 3**10])
def test_roots(n: int) -> None:
    table = twiddle.roots(Device.null(), n).read().astype(np.complex128)
    k = np.arange(n)
    two = twiddle.root_levels(n) == 2
    assert two == (n > 2**14)
    whole = table[k % 4096] * table[4096:][k // 4096] if two else table
    np.testing.assert_allclose(whole, exact(k, n), rtol=ROUNDING)
