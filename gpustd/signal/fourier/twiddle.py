"""Tables of roots of unity, computed in float64 on the host, rounded once, kept for each device."""

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
    "near_roots",
    "root_levels",
    "roots",
]

Complex = NDArray[np.complex128]

# Up to this length a table holds all roots; above it, the first 4096 and then every 4096th.
_MAX_DIRECT = 2**14
_LOW = 4096
# The largest table of a pass's first roots, 8 MiB; beyond it, roots are products of two tables.
_MAX_FAR = 2**20


def unit_roots(numerators: NDArray[np.int64], n: int) -> Complex:
    """Return ``exp(-2 pi i numerators / n)``, the angle reduced in integers first."""
    angles = (numerators % n) * (-2.0 * np.pi / n)
    return np.asarray(np.cos(angles) + 1j * np.sin(angles))


def root_levels(n: int) -> int:
    """Return how many tables the ``n``-th roots of unity take: 1 or 2."""
    return 1 if n <= _MAX_DIRECT else 2


def roots(device: Device, n: int) -> Buffer[c64]:
    """Return ``exp(-2 pi i k / n)`` for all k, or for k < 4096 and then for multiples of 4096."""

    def make() -> Complex:
        return unit_roots(np.arange(n), n) if root_levels(n) == 1 else _two_levels(n)

    return table(device, c64, ("roots", n), make)


def _two_levels(n: int) -> Complex:
    """Return the first 4096 roots, then every 4096th."""
    low = unit_roots(np.arange(_LOW), n)
    return np.concatenate([low, unit_roots(np.arange(0, n, _LOW, dtype=np.int64), n)])


def far_levels(done: int, length: int, radix: int) -> int:
    """Return how many tables the first roots of `far_roots` take: 1 or 2."""
    return 1 if done * length // radix <= _MAX_FAR else 2


def far_roots(device: Device, done: int, length: int, radix: int) -> Buffer[c64]:
    """Return the factors of a pass of ``length``, after passes whose product is ``done``.

    Number k of column m is turned by m k of ``done * length`` parts. First come the `_steps` from a
    number of a butterfly of ``radix`` to its next. The turns of all butterflies' first numbers
    follow, (length / radix, done), or two levels of `roots` of which these are products.
    """
    n, levels = done * length, far_levels(done, length, radix)

    def make() -> Complex:
        if levels == 2:
            return np.concatenate([_steps(done, radix), _two_levels(n)])
        k, m = np.arange(length // radix, dtype=np.int64), np.arange(done, dtype=np.int64)
        return np.concatenate([_steps(done, radix), unit_roots(np.outer(k, m).ravel(), n)])

    return table(device, c64, ("far", done, length, radix, levels), make)


def _steps(done: int, radix: int) -> Complex:
    """Return turns of columns m < done: by m of ``done * radix`` parts, and by 2 to 16 times that.

    Multiples stay below ``radix``. The columns' turns by any other number below it are products of
    these.
    """
    m = np.arange(done, dtype=np.int64)
    return np.concatenate([unit_roots(p * m, done * radix) for p in (1, 2, 4, 8, 16) if p < radix])


def near_roots(device: Device, radices: tuple[int, ...], *, back: bool = False) -> Buffer[c64]:
    """Return the factors between a workgroup's butterflies of these radices, from the second on.

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
    """Return ``exp(-pi i k^2 / n)`` for k < n."""
    k = np.arange(n, dtype=np.int64)
    return unit_roots(k * k, 2 * n)


def chirp(device: Device, n: int, size: int, *, conjugate: bool) -> Buffer[c64]:
    """Return Bluestein's chirp ``exp(-pi i k^2 / n)`` or its conjugate, then zeros to ``size``."""

    def make() -> Complex:
        wave = _chirp(n)
        return np.pad(wave.conj() if conjugate else wave, (0, size - n))

    return table(device, c64, ("chirp", n, size, conjugate), make)


def chirp_spectrum(device: Device, n: int, size: int) -> Buffer[c64]:
    """Return the transform over ``size`` of the conjugate chirp, mirrored at 0, over ``size``."""

    def make() -> Complex:
        wave = np.zeros(size, np.complex128)
        wave[:n] = _chirp(n).conj()
        wave[size - n + 1 :] = wave[1:n][::-1]
        return np.fft.fft(wave) / size

    return table(device, c64, ("chirp spectrum", n, size), make)
