"""BLAS, triangular solves, Cholesky and LU.

CuPy calls cuBLAS and cuSOLVER, as PyTorch does; small entries stand beside NumPy and SciPy, too.
BLAS 1 and 2 are measured by the bytes of their operands. Others are measured by operations at the
rate of f32: matrix products 2 M N K (8 in complex numbers), triangular solves N² K, Cholesky N³ /
3, LU 2 N³ / 3.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.cupy_peer import scipy_part
from bench.entry import Entry, Target
from gpucore import Buffer, Device, DType, c64, f16, f32
from gpustd import linalg

__all__ = ["ENTRIES"]

Shape = tuple[int, ...]
Ours = Callable[..., object]
Theirs = Callable[..., Any]

_SMALL = 2**18
_NEAR_COPIES = Target("of copy rate", 0.9)
_HALF_OF_CUSOLVER = Target("of peer", 0.5)


def _normal(shape: Shape, seed: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def _definite(shape: Shape, seed: int) -> NDArray[np.float32]:
    """Return symmetric matrices with a heavy diagonal: positive definite, and cheap to compute."""
    x = _normal(shape, seed)
    n = shape[-1]
    return np.asarray((x + np.swapaxes(x, -1, -2)) / 2 + 2 * n**0.5 * np.eye(n), np.float32)


def _in_torch(
    call: Callable[[Any], Theirs], operands: Callable[[], list[NDArray[Any]]], torch: Any
) -> Callable[[], object]:
    """Return the call in PyTorch, by cuSOLVER where it may, so that a graph can capture it."""
    torch.backends.cuda.preferred_linalg_library("cusolver")
    tensors = [torch.as_tensor(x) for x in operands()]
    return functools.partial(call(torch), *tensors)


def _in_cupy(
    call: Callable[[Any], Theirs], operands: Callable[[], list[NDArray[Any]]], cupy: Any
) -> Callable[[], object]:
    return functools.partial(call(cupy), *map(cupy.asarray, operands()))


def _entry(
    name: str,
    shapes: tuple[Shape, ...],
    ours: Ours,
    *,
    flops: float = 0.0,
    dtype: type[DType] = f32,
    numpy_call: Callable[[Any], Theirs] | None = None,
    torch: Callable[[Any], Theirs] | None = None,
    target: Target | None = None,
) -> Entry:
    """Return an entry for one call on random operands of ``shapes``.

    The first operand is definite for factorisations. ``numpy_call`` picks the function of CuPy and,
    for a small entry, of NumPy: each gets its module.
    """
    definite = name.startswith(("cholesky", "trsm", "solve_triangular", "cho_solve"))

    @functools.cache
    def operands() -> list[NDArray[Any]]:
        arrays = [_normal(s, i) for i, s in enumerate(shapes)]
        if definite:
            arrays[0] = _definite(shapes[0], 0)
        return [x.astype(dtype.numpy) for x in arrays]

    def setup(device: Device) -> Callable[[], object]:
        buffers: list[Buffer[Any]] = [device.buffer_from_array(x, dtype) for x in operands()]
        return lambda: ours(*buffers)

    small = max(map(math.prod, shapes)) <= _SMALL
    result = 0 if name.startswith(("dot", "nrm2", "iamax", "norm")) else math.prod(shapes[-1])
    return Entry(
        name=f"{name} {' '.join('x'.join(map(str, s)) for s in shapes)} {dtype.name}",
        setup=setup,
        flops=flops,
        bytes=float(dtype.itemsize * (sum(math.prod(s) for s in shapes) + result)),
        numpy=(lambda: numpy_call(np)(*operands())) if numpy_call and small else None,
        torch=functools.partial(_in_torch, torch, operands) if torch else None,
        cupy=functools.partial(_in_cupy, numpy_call, operands) if numpy_call else None,
        target=target,
        f16=dtype is f16,
        cpu=small,
    )


def _matmul(
    a: Shape,
    b: Shape,
    dtype: type[DType] = f32,
    *,
    target: Target | None = None,
) -> Entry:
    count = math.prod(a[:-2])
    flops = (8.0 if dtype is c64 else 2.0) * count * a[-2] * a[-1] * b[-1]
    return _entry(
        "matmul",
        (a, b),
        linalg.matmul,
        flops=flops,
        dtype=dtype,
        numpy_call=lambda m: m.matmul,
        torch=lambda t: t.matmul,
        target=target,
    )


def _square(n: int, batch: int = 1) -> Shape:
    return (n, n) if batch == 1 else (batch, n, n)


def _factorisation(
    name: str,
    ours: Ours,
    peers: tuple[Callable[[Any], Theirs], Callable[[Any], Theirs]],
    operations: float,
    sizes: tuple[int, int],
    *,
    target: Target | None = None,
) -> Entry:
    """Return an entry for a factorisation.

    ``operations`` are those of a matrix over N³; ``sizes`` N and the batch. ``peers`` are the
    function of NumPy and CuPy, and that of PyTorch.
    """
    n, batch = sizes
    return _entry(
        name,
        (_square(n, batch),),
        ours,
        flops=operations * n**3 * batch,
        numpy_call=peers[0],
        torch=peers[1],
        target=target,
    )


def _dot(module: Any) -> Theirs:
    dot: Theirs = module.dot
    return dot


def _lower(module: Any) -> Theirs:
    return functools.partial(scipy_part(module, "linalg").solve_triangular, lower=True)


_LINE = (2**26,)
_cholesky = functools.partial(
    _factorisation,
    "cholesky",
    linalg.cholesky,
    (lambda m: m.linalg.cholesky, lambda t: lambda a: t.linalg.cholesky_ex(a)[0]),
    1 / 3,
)
_lu = functools.partial(
    _factorisation,
    "lu_factor",
    linalg.lu_factor,
    (lambda m: scipy_part(m, "linalg").lu_factor, lambda t: t.linalg.lu_factor_ex),
    2 / 3,
)

ENTRIES = [
    _entry("dot", ((2**16,),) * 2, linalg.dot, numpy_call=_dot),
    _entry(
        "dot", (_LINE,) * 2, linalg.dot, numpy_call=_dot, torch=lambda t: t.dot, target=_NEAR_COPIES
    ),
    _entry(
        "nrm2",
        (_LINE,),
        linalg.nrm2,
        numpy_call=lambda m: m.linalg.norm,
        torch=lambda t: t.linalg.vector_norm,
    ),
    _entry("iamax", (_LINE,), linalg.iamax, torch=lambda t: lambda x: x.abs().argmax()),
    _entry(
        "axpy",
        (_LINE,) * 2,
        linalg.axpy,
        numpy_call=lambda m: m.add,
        torch=lambda t: t.add,
        target=_NEAR_COPIES,
    ),
    _entry("gemv", ((512, 512), (512,)), functools.partial(linalg.gemv, 1.0), numpy_call=_dot),
    _entry(
        "gemv",
        ((16384, 8192), (8192,)),
        functools.partial(linalg.gemv, 1.0),
        numpy_call=_dot,
        torch=lambda t: t.mv,
        target=_NEAR_COPIES,
    ),
    _entry(
        "gemv transposed",
        ((16384, 8192), (16384,)),
        functools.partial(linalg.gemv, 1.0, trans=1),
        numpy_call=lambda m: lambda a, x: m.dot(a.T, x),
        torch=lambda t: lambda a, x: t.mv(a.T, x),
        target=_NEAR_COPIES,
    ),
    _matmul((256, 256), (256, 256)),
    _matmul((4096, 4096), (4096, 4096), target=Target("tflops", 40)),
    _matmul((64, 512, 512), (64, 512, 512), target=Target("of peer", 0.7)),
    _matmul((4096, 64, 64), (4096, 64, 64)),
    _matmul((64, 512, 512), (64, 512, 512), f16),
    _matmul((2048, 2048), (2048, 2048), c64, target=Target("of peer", 0.6)),
    _entry(
        "gemm of transposes",
        (_square(4096),) * 2,
        functools.partial(linalg.gemm, 1.0, trans_a=1, trans_b=1),
        flops=2.0 * 4096**3,
        numpy_call=lambda m: lambda a, b: m.matmul(a.T, b.T),
        torch=lambda t: lambda a, b: a.T @ b.T,
    ),
    _entry(
        "syrk",
        ((4096, 1024),),
        functools.partial(linalg.syrk, 1.0, lower=True),
        flops=4096.0**2 * 1024,
    ),
    _entry(
        "solve_triangular",
        (_square(4096), (4096, 4096)),
        functools.partial(linalg.solve_triangular, lower=True),
        flops=4096.0**3,
        numpy_call=_lower,
        torch=lambda t: lambda a, b: t.linalg.solve_triangular(a, b, upper=False),
        target=_HALF_OF_CUSOLVER,
    ),
    _entry(
        "solve_triangular",
        (_square(4096), (4096, 1)),
        functools.partial(linalg.solve_triangular, lower=True),
        numpy_call=_lower,
        torch=lambda t: lambda a, b: t.linalg.solve_triangular(a, b, upper=False),
    ),
    _cholesky((256, 1)),
    _cholesky((1024, 1)),
    _cholesky((4096, 1), target=_HALF_OF_CUSOLVER),
    _cholesky((64, 4096)),
    _lu((256, 1)),
    _lu((1024, 1)),
    _lu((4096, 1), target=_HALF_OF_CUSOLVER),
    _lu((64, 1024)),
    _entry(
        "solve",
        (_square(4096), (4096, 64)),
        linalg.solve,
        flops=2 / 3 * 4096.0**3,
        numpy_call=lambda m: m.linalg.solve,
        torch=lambda t: lambda a, b: t.linalg.solve_ex(a, b)[0],
    ),
    _factorisation(
        "inv",
        linalg.inv,
        (lambda m: m.linalg.inv, lambda t: lambda a: t.linalg.inv_ex(a)[0]),
        2.0,
        (2048, 1),
    ),
]
