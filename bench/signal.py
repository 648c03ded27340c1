"""Fourier transforms beside cuFFT (in PyTorch, and in CuPy with a plan), convolution, filters.

The least time of a transform is that of its bytes, each number read and written once. Lengths above
a few thousand take two passes in any library, so half the rate of copies is their best.
FLOP are counted as 5 n log2(n), as is usual.
"""

from __future__ import annotations

import functools
import importlib
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import draws
from bench.cupy_peer import scipy_part
from bench.entry import Entry, Target
from gpucore import Buffer, Device
from gpustd import signal

__all__ = ["ENTRIES"]

Array = NDArray[Any]
_SMOOTH = Target("of peer", 0.6)
_POWERS = Target("of peer", 0.8)


@functools.cache
def _scipy() -> Any:
    """Import scipy.signal where it is first needed: as a peer, and for a filter's coefficients."""
    return importlib.import_module("scipy.signal")


@functools.lru_cache(maxsize=2)
def _numbers(shape: tuple[int, ...], *, complex_: bool) -> Array:
    x = draws.normal(shape)
    return (x + 1j * draws.normal(shape, 1)).astype(np.complex64) if complex_ else x


def transform(
    name: str, shape: tuple[int, ...], axis: int = -1, target: Target | None = None
) -> Entry:
    """Return an entry for a transform, by the name that all libraries share.

    CuPy's plan is made before the clock starts. A transform back to real numbers may overwrite its
    spectrum, which saves a copy.
    """
    real = name.startswith("rfft")
    n = math.prod(shape) if name.endswith("2") else shape[axis]
    flops = (2.5 if real else 5.0) * math.prod(shape) * math.log2(max(n, 2))
    where: dict[str, Any] = {} if name.endswith("2") else {"axis": axis}

    def setup(device: Device) -> Callable[[], object]:
        x: Buffer[Any] = device.buffer_from_array(_numbers(shape, complex_=not real))
        return lambda: getattr(signal, name)(x, **where)

    def torch(peer: Any) -> Callable[[], object]:
        x = peer.as_tensor(_numbers(shape, complex_=not real))
        options = {"dim" if key == "axis" else key: value for key, value in where.items()}
        return lambda: getattr(peer.fft, name)(x, **options)

    def cupy(peer: Any) -> Callable[[], object]:
        x = peer.asarray(_numbers(shape, complex_=not real))
        fft = scipy_part(peer, "fft")
        kind = "R2C" if real else "C2R" if name.startswith("irfft") else "C2C"
        plan = fft.get_fft_plan(x, axes=where.get("axis"), value_type=kind)
        return lambda: getattr(fft, name)(x, **where, overwrite_x=kind == "C2R", plan=plan)

    cpu = math.prod(shape) <= 2**18
    return Entry(
        name=f"{name} {'x'.join(map(str, shape))}{f' axis {axis}' if axis != -1 else ''}",
        setup=setup,
        flops=flops,
        bytes=(8.0 if real else 16.0) * math.prod(shape),
        numpy=(lambda: getattr(np.fft, name)(_numbers(shape, complex_=not real), **where))
        if cpu
        else None,
        torch=torch,
        cupy=cupy,
        target=target,
        cpu=cpu,
    )


def convolution(n: int, taps: int, *, cpu: bool = False) -> Entry:
    """Return an entry for a long signal and a filter of finite response.

    The method is the faster one: for long filters the FFT.
    """

    def setup(device: Device) -> Callable[[], object]:
        x = device.buffer_from_array(_numbers((n,), complex_=False))
        h = device.buffer_from_array(_numbers((taps,), complex_=False))
        return lambda: signal.oaconvolve(x, h) if taps > 64 else signal.convolve(x, h)

    def torch(peer: Any) -> Callable[[], object]:
        x = peer.as_tensor(_numbers((n,), complex_=False))
        h = peer.as_tensor(_numbers((taps,), complex_=False))
        if taps > 64:
            size = signal.next_fast_len(n + taps - 1)
            rfft, irfft = peer.fft.rfft, peer.fft.irfft
            return lambda: irfft(rfft(x, size) * rfft(h, size), size)[: n + taps - 1]
        reversed_taps = h.flip(0)[None, None]
        return lambda: peer.nn.functional.conv1d(x[None, None], reversed_taps, padding=taps - 1)[
            0, 0
        ]

    return Entry(
        name=f"convolve {n} {taps}",
        setup=setup,
        flops=2.0 * n * taps if taps <= 64 else 0.0,
        bytes=8.0 * n,
        numpy=(
            lambda: np.convolve(_numbers((n,), complex_=False), _numbers((taps,), complex_=False))
        )
        if cpu
        else None,
        torch=torch,
        cpu=cpu,
    )


def sections(shape: tuple[int, ...], order: int, *, cpu: bool = False) -> Entry:
    """Return an entry for a recursive filter in second-order sections along the last axis.

    PyTorch has no such function.
    """
    sos = functools.cache(lambda: _scipy().butter(order, 0.2, output="sos"))

    def setup(device: Device) -> Callable[[], object]:
        x = device.buffer_from_array(_numbers(shape, complex_=False))
        return lambda: signal.sosfilt(sos(), x)

    return Entry(
        name=f"sosfilt {'x'.join(map(str, shape))} order {order}",
        setup=setup,
        flops=4.5 * order * math.prod(shape),
        bytes=8.0 * math.prod(shape),
        numpy=(lambda: _scipy().sosfilt(sos(), _numbers(shape, complex_=False))) if cpu else None,
        cpu=cpu,
    )


def short_time(n: int, size: int, *, cpu: bool = False) -> Entry:
    """Return an entry for a short-time transform with a Hann window and half overlap."""

    def setup(device: Device) -> Callable[[], object]:
        x = device.buffer_from_array(_numbers((n,), complex_=False))
        return lambda: signal.stft(x, nperseg=size)[2]

    def torch(peer: Any) -> Callable[[], object]:
        x = peer.as_tensor(_numbers((n,), complex_=False))
        window = peer.hann_window(size)
        window /= window.sum()
        return lambda: peer.stft(
            x, size, size // 2, window=window, pad_mode="constant", return_complex=True
        )

    return Entry(
        name=f"stft {n} {size}",
        setup=setup,
        flops=5.0 * n * math.log2(size),
        bytes=12.0 * n,
        numpy=(lambda: _scipy().stft(_numbers((n,), complex_=False), nperseg=size))
        if cpu
        else None,
        torch=torch,
        cpu=cpu,
    )


def inverse_short_time(n: int, size: int) -> Entry:
    """Return an entry for the inverse short-time transform, of the spectra of noise."""

    def setup(device: Device) -> Callable[[], object]:
        x = device.buffer_from_array(_numbers((n,), complex_=False))
        spectra = signal.stft(x, nperseg=size)[2]
        return lambda: signal.istft(spectra, nperseg=size)[1]

    def torch(peer: Any) -> Callable[[], object]:
        x = peer.as_tensor(_numbers((n,), complex_=False))
        window = peer.hann_window(size)
        spectra = peer.stft(x, size, size // 2, window=window, return_complex=True)
        return lambda: peer.istft(spectra, size, size // 2, window=window)

    return Entry(
        name=f"istft {n} {size}",
        setup=setup,
        flops=5.0 * n * math.log2(size),
        bytes=12.0 * n,
        torch=torch,
        cpu=False,
    )


def _batch(n: int) -> tuple[int, int]:
    """Return the shape of as many transforms of ``n`` as hold 2^24 numbers."""
    return max(1, 2**24 // n), n


ENTRIES = [
    transform("fft", (16, 1024)),
    transform("fft", (256, 1000)),
    transform("rfft", (16, 4096)),
    *(transform("fft", _batch(n), target=_POWERS) for n in (4, 16, 32)),
    *(transform("fft", _batch(n), target=_SMOOTH) for n in (3, 15, 60)),
    transform("fft", _batch(128)),
    *(transform("fft", _batch(2**k), target=_POWERS) for k in range(10, 25)),
    *(transform("fft", (1, 2**k), target=_POWERS) for k in range(10, 24)),
    *(transform("fft", _batch(n), target=_SMOOTH) for n in (105, 1000, 3**6, 5**4 * 7, 2520)),
    *(transform("fft", _batch(n), target=_SMOOTH) for n in (14175, 44100, 3**5 * 5**3 * 7, 10**6)),
    *(transform("fft", (1, n), target=_SMOOTH) for n in (2520, 44100, 3**5 * 5**3 * 7, 10**6)),
    transform("fft", (1, 2**3 * 3**2 * 5**5 * 7**2), target=_SMOOTH),
    transform("fft", _batch(1009)),
    transform("fft", _batch(65537)),
    *(transform("rfft", _batch(2**k), target=_POWERS) for k in (5, 10, 12, 13, 16, 20, 24)),
    *(
        transform("irfft", (max(1, 2**24 // 2**k), 2**k + 1), target=_POWERS)
        for k in (9, 11, 15, 19)
    ),
    *(transform("fft", (2**k, 2 ** (24 - k)), 0, _POWERS) for k in (6, 10, 12)),
    transform("fft2", (4096, 4096), target=_POWERS),
    transform("rfft2", (4096, 4096), target=_POWERS),
    convolution(2**16, 32, cpu=True),
    convolution(2**24, 32),
    convolution(2**24, 1000),
    sections((4, 2**15), 4, cpu=True),
    sections((1, 2**24), 4),
    sections((1024, 2**14), 8),
    short_time(2**17, 512, cpu=True),
    short_time(2**24, 1024),
    inverse_short_time(2**24, 1024),
]
