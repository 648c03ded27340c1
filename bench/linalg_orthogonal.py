"""QR, singular values, symmetric eigenvalues and least squares.

Floors: qr with q 4 M N² - 4 N³ / 3 operations (M >= N) at the rate of f32; Jacobi methods have none
but their operands' bytes. PyTorch calls cuSOLVER: geqrf and orgqr, gesvdj (batched up to 32 by 32),
syevd or syevj.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.entry import Entry, Target
from gpucore import Device
from gpustd import linalg

__all__ = ["ENTRIES"]

Shape = tuple[int, ...]
Call = Callable[..., Any]

_HALF = Target("of peer", 0.5)
_LEVEL = Target("of peer", 1.0)


def _normal(shape: Shape, *, symmetric: bool = False) -> NDArray[np.float32]:
    x = np.random.default_rng(0).standard_normal(shape, np.float32)
    return np.asarray((x + np.swapaxes(x, -1, -2)) / 2) if symmetric else x


def _entry(
    name: str,
    shapes: tuple[Shape, ...],
    ours: Call,
    theirs: Callable[[Any], Call],
    *,
    flops: float = 0.0,
    numpy: Call | None = None,
    target: Target | None = None,
) -> Entry:
    """One call; ``theirs`` picks the same of PyTorch's. With ``numpy``, for software as well."""

    @functools.cache
    def operands() -> list[NDArray[np.float32]]:
        return [_normal(shape, symmetric=name == "eigh") for shape in shapes]

    def setup(device: Device) -> Callable[[], object]:
        buffers = [device.buffer_from_array(x) for x in operands()]
        return lambda: ours(*buffers)

    def in_torch(library: Any) -> Callable[[], object]:
        tensors = [library.as_tensor(x) for x in operands()]
        call = theirs(library)
        return lambda: call(*tensors)

    return Entry(
        name=f"{name} {' '.join('x'.join(map(str, s)) for s in shapes)} f32",
        setup=setup,
        flops=flops,
        bytes=12.0 * sum(math.prod(s) for s in shapes),
        numpy=(lambda: numpy(*operands())) if numpy else None,
        torch=in_torch,
        target=target,
        cpu=numpy is not None,
    )


def _qr(*shape: int, small: bool = False, target: Target | None = None) -> Entry:
    *ahead, m, n = shape
    return _entry(
        "qr",
        (shape,),
        lambda a: linalg.qr(a, mode="economic"),
        lambda torch: torch.linalg.qr,
        flops=math.prod(ahead) * (4.0 * m * n**2 - 4 / 3 * n**3),
        numpy=np.linalg.qr if small else None,
        target=target,
    )


def _svd(*shape: int, small: bool = False, target: Target | None = None) -> Entry:
    return _entry(
        "svd",
        (shape,),
        lambda a: linalg.svd(a, full_matrices=False),
        lambda torch: functools.partial(torch.linalg.svd, full_matrices=False, driver="gesvdj"),
        numpy=functools.partial(np.linalg.svd, full_matrices=False) if small else None,
        target=target,
    )


def _eigh(*shape: int, small: bool = False) -> Entry:
    return _entry(
        "eigh",
        (shape,),
        linalg.eigh,
        lambda torch: torch.linalg.eigh,
        numpy=np.linalg.eigh if small else None,
    )


def _lstsq(m: int, n: int, columns: int) -> Entry:
    return _entry(
        "lstsq",
        ((m, n), (m, columns)),
        linalg.lstsq,
        lambda torch: torch.linalg.lstsq,
    )


ENTRIES = [
    _qr(96, 64, small=True),
    _qr(4096, 4096, target=_HALF),
    _qr(65536, 128, target=_HALF),
    _qr(4096, 32, 32),
    _svd(64, 16, 16, small=True),
    _svd(4096, 32, 32, target=_LEVEL),
    _svd(4096, 128, 16),
    _svd(1024, 64, 64),
    _svd(1024, 1024),
    _eigh(64, 16, 16, small=True),
    _eigh(4096, 32, 32),
    _eigh(1024, 1024),
    _lstsq(65536, 64, 1),
]
