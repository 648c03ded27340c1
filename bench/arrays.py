"""Arrays: operations that only move bytes, against copies; sorts, against CUB and Thrust.

PyTorch sorts with CUB, CuPy with Thrust. Floors: an elementwise operation and a scan read their
operands and write their result once. A sum reads once. A radix sort of 32-bit keys has passes of 8
bits. Each pass reads, counts and writes the keys, 48 bytes for a key in all.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import draws
from bench.entry import Entry, Target
from gpucore import Buffer, Device, DType, f16, f32, i32, u8
from gpustd import arrays

__all__ = ["ENTRIES"]

_NEAR_COPIES = Target("of copy rate", 0.9)
_HALF_OF_PEER = Target("of peer", 0.5)
_LARGE = 64 * 2**20

Operands = Sequence[tuple[tuple[int, ...], type[DType]]]


def _array(shape: tuple[int, ...], dtype: type[DType], seed: int) -> NDArray[Any]:
    """Return normal floats, or integers below 2^31 (of indices: below 2^20)."""
    if dtype in (f16, f32):
        return draws.normal(shape, seed).astype(dtype.numpy, copy=False)
    return draws.integers(shape, 256 if dtype is u8 else 2**20, seed).astype(dtype.numpy)


@functools.lru_cache(maxsize=1)
def _arrays(operands: Operands) -> list[NDArray[Any]]:
    return [_array(shape, dtype, seed) for seed, (shape, dtype) in enumerate(operands)]


def _call_by_name(name: str, **given: object) -> Callable[..., object]:
    """Return a call of ``name`` in NumPy or CuPy: it takes the module, then its arrays."""
    return lambda module, *operands: getattr(module, name)(*operands, **given)


def _sort_by_name(name: str) -> Callable[..., object]:
    """Return a call of the sort ``name``: it takes the module, then its array.

    CuPy sorts with Thrust, which waits for its stream, so that the call cannot be captured.
    """

    def call(module: Any, x: Any) -> object:
        if module is not np and module.cuda.get_current_stream().is_capturing():
            raise RuntimeError(f"{name} waits for its stream")
        return getattr(module, name)(x)

    return call


def entry(
    name: str,
    ours: Callable[..., object],
    operands: Operands,
    moved: float,
    peers: tuple[Callable[..., object] | None, Callable[..., Any] | None] = (None, None),
    target: Target | None = None,
) -> Entry:
    """Return an entry that times ``ours`` on buffers.

    ``peers`` are the same computation for NumPy and CuPy, and for PyTorch. Both get their module
    and its arrays.
    """
    in_numpy, in_torch = peers
    size = max(math.prod(shape) for shape, _ in operands)
    cpu = size <= 2**20
    make = functools.partial(_arrays, tuple(operands))

    def setup(device: Device) -> Callable[[], object]:
        buffers: list[Buffer[Any]] = [device.buffer_from_array(a) for a in make()]
        return lambda: ours(*buffers)

    def cupy_call(cupy: Any) -> Callable[[], object]:
        assert in_numpy is not None
        return functools.partial(in_numpy, cupy, *map(cupy.asarray, make()))

    def torch_call(torch: Any) -> Callable[[], object]:
        assert in_torch is not None
        tensors = [torch.as_tensor(a) for a in make()]
        return functools.partial(in_torch, torch, *tensors)

    shapes = ", ".join(f"{'x'.join(map(str, shape))} {dtype.name}" for shape, dtype in operands)
    return Entry(
        name=f"{name} {shapes}",
        setup=setup,
        flops=0.0,
        bytes=float(moved),
        numpy=(lambda: in_numpy(np, *make())) if cpu and in_numpy else None,
        torch=torch_call if in_torch else None,
        cupy=cupy_call if in_numpy else None,
        target=None if cpu else target,
        f16=any(dtype is f16 for _, dtype in operands),
        cpu=cpu,
    )


def elementwise(size: int, dtype: type[DType]) -> list[Entry]:
    """Return the entries of flat, broadcast and transcendental operators."""
    b = dtype.itemsize
    rows = (size // 1024, 1024)
    return [
        entry(
            "add",
            arrays.add,
            [((size,), dtype)] * 2,
            3.0 * b * size,
            (_call_by_name("add"), lambda _, x, y: x + y),
            _NEAR_COPIES,
        ),
        entry(
            "add a row",
            arrays.add,
            [(rows, dtype), ((1024,), dtype)],
            2.0 * b * size,
            (_call_by_name("add"), lambda _, x, y: x + y),
            _NEAR_COPIES,
        ),
        entry(
            "multiply a column",
            arrays.multiply,
            [(rows, dtype), ((rows[0], 1), dtype)],
            2.0 * b * size,
            (_call_by_name("multiply"), lambda _, x, y: x * y),
            _NEAR_COPIES,
        ),
        *(
            entry(
                name,
                getattr(arrays, name),
                [((size,), dtype)],
                2.0 * b * size,
                (_call_by_name(name), lambda torch, x, name=name: getattr(torch, name)(x)),
                _NEAR_COPIES,
            )
            for name in ("exp", "sin", "tanh")
        ),
    ]


def reductions(size: int, dtype: type[DType]) -> list[Entry]:
    """Return the entries of sums of all, of rows and of columns, and of extremes."""
    b = dtype.itemsize
    shapes = {None: (size,), 1: (size // 4096, 4096), 0: (4096, size // 4096)}
    sums = [
        entry(
            f"sum over {'all' if axis is None else ('columns', 'rows')[axis]}",
            functools.partial(arrays.sum, axis=axis),
            [(shape, dtype)],
            float(b * size),
            (_call_by_name("sum", axis=axis), lambda _, x, axis=axis: x.sum(axis)),
            _NEAR_COPIES,
        )
        for axis, shape in shapes.items()
    ]
    largest = entry(
        "max",
        arrays.max,
        [((size,), dtype)],
        float(b * size),
        (_call_by_name("max"), lambda _, x: x.max()),
        _NEAR_COPIES,
    )
    place = entry(
        "argmax",
        arrays.argmax,
        [((size,), dtype)],
        float(b * size),
        (_call_by_name("argmax"), lambda _, x: x.argmax()),
    )
    return [*sums, largest, place]


def scans(size: int) -> list[Entry]:
    """Return the entries of cumsum over one row, over many rows, and over columns.

    CuPy uses CUB only without an axis, so that the long row has none.
    """
    shapes = {-1: (size,), 1: (size // 8192, 8192), 0: (8192, size // 8192)}
    return [
        entry(
            f"cumsum along {axis}",
            functools.partial(arrays.cumsum, axis=axis),
            [(shape, f32)],
            8.0 * size,
            (
                _call_by_name("cumsum", axis=None if axis < 0 else axis),
                lambda _, x, axis=axis: x.cumsum(axis),
            ),
            _NEAR_COPIES,
        )
        for axis, shape in shapes.items()
    ]


def sorts(size: int) -> list[Entry]:
    """Return the entries of sort, argsort and topk, on one long row and on short rows."""
    short = (size // 512, 512)
    return [
        *(
            entry(
                "sort",
                arrays.sort,
                [((size,), dtype)],
                48.0 * size,
                (_sort_by_name("sort"), lambda _, x: x.sort()[0]),
                _HALF_OF_PEER,
            )
            for dtype in (f32, i32)
        ),
        entry(
            "argsort",
            arrays.argsort,
            [((size,), f32)],
            80.0 * size,
            (_sort_by_name("argsort"), lambda _, x: x.argsort(stable=True)),
            _HALF_OF_PEER,
        ),
        entry(
            "sort short rows",
            arrays.sort,
            [(short, f32)],
            8.0 * size,
            (_sort_by_name("sort"), lambda _, x: x.sort(-1)[0]),
            _HALF_OF_PEER,
        ),
        entry(
            "argsort short rows",
            arrays.argsort,
            [(short, f32)],
            8.0 * size,
            (_sort_by_name("argsort"), lambda _, x: x.argsort(stable=True, dim=-1)),
        ),
        *(
            entry(
                name,
                lambda x: arrays.topk(x, 10),
                [(shape, f32)],
                4.0 * size,
                (None, lambda _, x: x.topk(10, -1)),
            )
            for name, shape in (("topk 10 of rows", short), ("topk 10 of a row", (size,)))
        ),
    ]


def moves(size: int) -> list[Entry]:
    """Return the entries of gathers, scatters and a transpose."""
    rows = (size // 256, 256)
    picked = size // 256
    return [
        entry(
            "take rows",
            lambda x, i: arrays.take(x, arrays.remainder(i, rows[0]), 0),
            [(rows, f32), ((picked,), i32)],
            8.0 * size,
            (None, lambda _, x, i: x[i % rows[0]]),
            _NEAR_COPIES,
        ),
        entry(
            "scatter_add of integers",
            arrays.scatter_add,
            [((2**20,), i32), ((size // 8,), i32), ((size // 8,), i32)],
            1.0 * size,
            (None, lambda _, x, i, v: x.index_add(0, i, v)),
        ),
        entry(
            "transpose",
            arrays.transpose,
            [(rows, u8)],
            2.0 * size,
            (lambda m, x: m.ascontiguousarray(x.T), lambda _, x: x.T.contiguous()),
        ),
    ]


ENTRIES = [
    *(each for size in (2**20, _LARGE) for each in elementwise(size, f32)),
    *elementwise(_LARGE, f16)[:3],
    *(each for size in (2**20, _LARGE) for each in reductions(size, f32)),
    *reductions(_LARGE, f16)[:3],
    *(each for size in (2**20, _LARGE) for each in scans(size)),
    *(each for size in (2**18, _LARGE) for each in sorts(size)),
    *(each for size in (2**18, _LARGE) for each in moves(size)),
]
