"""Tables of roots of unity, made in float64 on the host, rounded once, and kept for each device."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gpucore import Buffer, Device, c64
from gpustd.launch.tables import table

__all__ = [
    "chirp",
    "chirp_spectrum",
    "far_levels",
    "far_roots",
    "levels_of",
    "near_roots",
    "roots",
]

Complex = NDArray[np.complex128]

# A table of all roots up to here, above it one of the first 4096 and one of their multiples.
_MOST_DIRECT = 2**14
_LOW = 4096
# Numbers of a table of a pass's first roots, 8 MiB, above which they are products.
_MOST_FAR = 2**20


def turns(numerators: NDArray[np.int64], n: int) -> Complex:
    """``exp(-2 pi i numerators / n)``, the angle reduced in integers first."""
    angles = (numerators % n) * (-2.0 * np.pi / n)
    return np.asarray(np.cos(angles) + 1j * np.sin(angles))


def levels_of(n: int) -> int:
    """Tables that the ``n``-th roots of unity take: 1 or 2."""
    return 1 if n <= _MOST_DIRECT else 2


def roots(device: Device, n: int) -> Buffer[c64]:
    """``exp(-2 pi i k / n)``: for all k, or for k < 4096 and then for multiples of 4096."""

    def make() -> Complex:
        return turns(np.arange(n), n) if levels_of(n) == 1 else _two_levels(n)

    return table(device, c64, ("roots", n), make)


def _two_levels(n: int) -> Complex:
    low = turns(np.arange(_LOW), n)
    return np.concatenate([low, turns(np.arange(0, n, _LOW, dtype=np.int64), n)])


def far_levels(done: int, length: int, radix: int) -> int:
    """Tables that the first roots of `far_roots` take: 1 or 2."""
    return 1 if done * length // radix <= _MOST_FAR else 2


def far_roots(device: Device, done: int, length: int, radix: int) -> Buffer[c64]:
    """What a pass of ``length`` multiplies by, after passes whose product is ``done``.

    Number k of column m is turned by m k of ``done * length`` parts. First come the `_steps` from a
    number of a butterfly of ``radix`` to its next, then the turns of all butterflies' first
    numbers, (length / radix, done); or, of two levels, `roots` of which these are products.
    """
    n, levels = done * length, far_levels(done, length, radix)

    def make() -> Complex:
        if levels == 2:
            return np.concatenate([_steps(done, radix), _two_levels(n)])
        k, m = np.arange(length // radix, dtype=np.int64), np.arange(done, dtype=np.int64)
        return np.concatenate([_steps(done, radix), turns(np.outer(k, m).ravel(), n)])

    return table(device, c64, ("far", done, length, radix, levels), make)


def _steps(done: int, radix: int) -> Complex:
    """Of column m < done: m of ``done * radix`` parts, and 2 to 16 times that below ``radix``.

    The columns' turns by any other number below the radix are products of these.
    """
    m = np.arange(done, dtype=np.int64)
    return np.concatenate([turns(p * m, done * radix) for p in (1, 2, 4, 8, 16) if p < radix])


def near_roots(device: Device, radices: tuple[int, ...], *, back: bool = False) -> Buffer[c64]:
    """What a workgroup multiplies by between butterflies of these radices, from the second on.

    Each has its `_steps`, after butterflies whose product is that of the radices before. With
    ``back`` those of the radices in reverse order follow.
    """

    def make() -> Complex:
        parts = []
        for walk in (radices, radices[::-1]) if back else (radices,):
            done = walk[0]
            for radix in walk[1:]:
                parts.append(_steps(done, radix))
                done *= radix
        return np.concatenate(parts) if parts else np.ones(1, np.complex128)

    return table(device, c64, ("near", radices, back), make)


def _chirp(n: int) -> Complex:
    """``exp(-pi i k^2 / n)`` for k < n."""
    k = np.arange(n, dtype=np.int64)
    return turns(k * k, 2 * n)


def chirp(device: Device, n: int, size: int, *, conjugate: bool) -> Buffer[c64]:
    """Bluestein's chirp ``exp(-pi i k^2 / n)`` or its conjugate, then zeros up to ``size``."""

    def make() -> Complex:
        wave = _chirp(n)
        return np.pad(wave.conj() if conjugate else wave, (0, size - n))

    return table(device, c64, ("chirp", n, size, conjugate), make)


def chirp_spectrum(device: Device, n: int, size: int) -> Buffer[c64]:
    """Transform over ``size`` of the conjugate chirp, mirrored at 0, over ``size``."""

    def make() -> Complex:
        wave = np.zeros(size, np.complex128)
        wave[:n] = _chirp(n).conj()
        wave[size - n + 1 :] = wave[1:n][::-1]
        return np.fft.fft(wave) / size

    return table(device, c64, ("chirp spectrum", n, size), make)
