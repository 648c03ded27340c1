"""QR, singular values, symmetric eigenvalues and least squares.

The roof of qr with q is 4 M N² - 4 N³ / 3 operations (M >= N) at the rate of f32. That of Jacobi
methods is only the bytes of their operands. PyTorch and CuPy call cuSOLVER: geqrf and orgqr, gesvdj
(batched up to 32 by 32; CuPy gesvd for one matrix), syevd or syevj.
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

_SMALL = 2**18
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
    numpy_call: Callable[[Any], Call] | None,
    *,
    flops: float = 0.0,
    target: Target | None = None,
) -> Entry:
    """Return an entry for one call.

    ``theirs`` picks the function of PyTorch, ``numpy_call`` that of NumPy and CuPy. A small entry
    runs on software renderers as well, beside NumPy.
    """
    small = max(map(math.prod, shapes)) <= _SMALL

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

    def in_cupy(library: Any) -> Callable[[], object]:
        assert numpy_call is not None
        return functools.partial(numpy_call(library), *map(library.asarray, operands()))

    return Entry(
        name=f"{name} {' '.join('x'.join(map(str, s)) for s in shapes)} f32",
        setup=setup,
        flops=flops,
        bytes=12.0 * sum(math.prod(s) for s in shapes),
        numpy=(lambda: numpy_call(np)(*operands())) if numpy_call and small else None,
        torch=in_torch,
        cupy=in_cupy if numpy_call else None,
        target=target,
        cpu=small,
    )


def _qr(*shape: int, target: Target | None = None) -> Entry:
    *batch, m, n = shape
    return _entry(
        "qr",
        (shape,),
        lambda a: linalg.qr(a, mode="economic"),
        lambda torch: torch.linalg.qr,
        lambda module: module.linalg.qr,
        flops=math.prod(batch) * (4.0 * m * n**2 - 4 / 3 * n**3),
        target=target,
    )


def _svd(*shape: int, target: Target | None = None) -> Entry:
    return _entry(
        "svd",
        (shape,),
        lambda a: linalg.svd(a, full_matrices=False),
        lambda torch: functools.partial(torch.linalg.svd, full_matrices=False, driver="gesvdj"),
        lambda module: functools.partial(module.linalg.svd, full_matrices=False),
        target=target,
    )


def _eigh(*shape: int) -> Entry:
    return _entry(
        "eigh",
        (shape,),
        linalg.eigh,
        lambda torch: torch.linalg.eigh,
        lambda module: module.linalg.eigh,
    )


def _lstsq(m: int, n: int, columns: int) -> Entry:
    return _entry(
        "lstsq",
        ((m, n), (m, columns)),
        linalg.lstsq,
        lambda torch: torch.linalg.lstsq,
        None,
    )


ENTRIES = [
    _qr(96, 64),
    _qr(4096, 4096, target=_HALF),
    _qr(65536, 128, target=_HALF),
    _qr(4096, 32, 32),
    _svd(64, 16, 16),
    _svd(4096, 32, 32, target=_LEVEL),
    _svd(4096, 128, 16),
    _svd(1024, 64, 64),
    _svd(1024, 1024),
    _eigh(64, 16, 16),
    _eigh(4096, 32, 32),
    _eigh(1024, 1024),
    _lstsq(65536, 64, 1),
]
