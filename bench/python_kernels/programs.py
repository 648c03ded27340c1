"""The programs: their arrays at two sizes, what NumPy computes, and our launch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.python_kernels import references
from examples.kernels import fields, fractals, images, learning, matrices, particles, sorting
from gpucore.integers import ceil_div

__all__ = ["PROGRAMS", "Arrays", "Check", "Grid", "Program"]

Arrays = dict[str, NDArray[Any]]
Numbers = tuple[float, ...]
_FLAT, _SQUARE = (256, 1), (16, 16)


@dataclass(frozen=True)
class Grid:
    """Workgroups and the invocations of one, both along x and y."""

    groups: tuple[int, int]
    block: tuple[int, int]


@dataclass(frozen=True)
class Check:
    """How near results must be; ``differing`` is the share that may lie further away."""

    rtol: float = 1e-4
    atol: float = 1e-4
    differing: float = 0.0

    def passes(self, found: NDArray[Any], expected: NDArray[Any]) -> bool:
        """Tell whether results are near enough."""
        if found.shape != expected.shape:
            return False
        near = np.isclose(found.astype(float), expected.astype(float), self.rtol, self.atol)
        return bool((~near).mean() <= self.differing)


@dataclass(frozen=True)
class Program:
    """One kernel, the same in three languages.

    Attributes:
        name: that of the kernel, here and in the peers' modules.
        make: returns the arrays of a size in the order of the kernel's parameters.
        numbers: the arguments that are no arrays, in their order.
        result: the array that the kernel writes and that is compared.
        large: the size that is timed on a card.
        small: the size that is compared with NumPy, and timed on software renderers.
        reference: takes copies of the arrays, and returns the result that NumPy computes.
        ours: takes our buffers in the order of the arrays; returns the result where it makes one.
        block: the invocations of a workgroup.
        over: the array with an element for each invocation.
        flops: floating-point operations of one launch, from the arrays and the result.
        bytes: bytes that one launch must read and write.
    """

    name: str
    make: Callable[[np.random.Generator, int], Arrays]
    numbers: Numbers
    result: str
    large: int
    small: int
    reference: Callable[[Arrays, Numbers], NDArray[Any]]
    ours: Callable[..., Any]
    block: tuple[int, int]
    over: str
    flops: Callable[[Arrays], float]
    bytes: Callable[[Arrays], float]
    check: Check = Check()

    def arrays(self, size: int) -> Arrays:
        """Return the arrays of a size; the same for all that compute with them."""
        return self.make(np.random.default_rng(26), size)

    def grid(self, arrays: Mapping[str, NDArray[Any]]) -> Grid:
        """Return the grid that covers the array ``over``."""
        shape = arrays[self.over].shape
        rows, columns = (1, shape[0]) if self.block[1] == 1 else shape
        x, y = self.block
        return Grid((ceil_div(columns, x), ceil_div(rows, y)), self.block)


def _picture(rng: np.random.Generator, size: int) -> Arrays:
    return {"x": rng.random((size, size + 5), np.float32), "y": _zeros(size, size + 5)}


def _zeros(*shape: int, dtype: type = np.float32) -> NDArray[Any]:
    return np.zeros(shape, dtype)


def _pixels(rng: np.random.Generator, size: int) -> Arrays:
    return {"counts": _zeros(size, size + 8, dtype=np.uint32)}


def _bodies(rng: np.random.Generator, size: int) -> Arrays:
    return {"bodies": rng.random((size, 4), np.float32), "pulls": _zeros(size, 4)}


def _words(rng: np.random.Generator, size: int) -> Arrays:
    x = rng.integers(0, 2**32, size, np.uint32)
    return {"x": x, "bins": _zeros(256, dtype=np.uint32)}


def _tiles(rng: np.random.Generator, size: int) -> Arrays:
    x = rng.integers(0, 1000, size, np.uint32)
    totals = _zeros(ceil_div(size, 256), dtype=np.uint32)
    return {"x": x, "sums": _zeros(size, dtype=np.uint32), "totals": totals}


def _matrices(rng: np.random.Generator, size: int) -> Arrays:
    a, b = rng.random((size, size + 16), np.float32), rng.random((size + 16, size), np.float32)
    return {"a": a, "b": b, "c": _zeros(size, size)}


def _wide_matrix(rng: np.random.Generator, size: int) -> Arrays:
    return {"x": rng.random((size, size + 16), np.float32), "y": _zeros(size + 16, size)}


def _options(rng: np.random.Generator, size: int) -> Arrays:
    low, high = {"share": 10, "strike": 10, "years": 1}, {"share": 50, "strike": 50, "years": 5}
    drawn = {k: rng.uniform(low[k], high[k], size).astype(np.float32) for k in low}
    return {**drawn, "price": _zeros(size)}


def _sparse(rng: np.random.Generator, size: int) -> Arrays:
    """Return rows of 8 to 24 values, at columns in rising order."""
    starts = np.concatenate([[0], np.cumsum(rng.integers(8, 25, size))]).astype(np.uint32)
    entries = int(starts[-1])
    return {
        "starts": starts,
        "columns": rng.integers(0, size, entries).astype(np.uint32),
        "values": rng.random(entries, np.float32),
        "x": rng.random(size, np.float32),
        "y": _zeros(size),
    }


def _bytes_of(*names: str, times: float = 1) -> Callable[[Arrays], float]:
    """Return a function of the bytes that these arrays have together."""
    return lambda arrays: times * float(sum(arrays[name].nbytes for name in names))


def _nothing(arrays: Arrays) -> float:
    return 0.0


def _per(name: str, each: float) -> Callable[[Arrays], float]:
    """Return a function of ``each`` times the elements of an array."""
    return lambda arrays: each * float(arrays[name].size)


def _mandelbrot(counts: Any, left: float, top: float, height: float, most: int) -> None:
    corner: Any = (left, top)
    side: Any = height / len(counts)
    fractals.mandelbrot(fractals.View(corner, side), most, counts)


def _transpose(x: Any, y: Any) -> None:
    rows, columns = x.shape
    matrices.transpose[ceil_div(columns, 16), ceil_div(rows, 16)](x, y)


def _price(share: Any, strike: Any, years: Any, _: Any, rate: float, volatility: float) -> Any:
    return learning.black_scholes(share, strike, years, rate, volatility)


PROGRAMS = (
    Program(
        "mandelbrot",
        _pixels,
        (-2.0, -1.25, 2.5, 200),  # left, top, height, rounds
        "counts",
        4096,
        40,
        references.mandelbrot,
        _mandelbrot,
        _SQUARE,
        "counts",
        lambda arrays: 10.0 * float(arrays["counts"].sum(dtype=np.float64)),
        _bytes_of("counts"),
        Check(differing=0.02),  # where rounding decides whether a point has escaped
    ),
    Program(
        "accelerations",
        _bodies,
        (),
        "pulls",
        65536,
        300,
        references.accelerations,
        particles.accelerations,
        (128, 1),
        "bodies",
        lambda arrays: 20.0 * float(len(arrays["bodies"])) ** 2,
        _bytes_of("bodies", "pulls"),
        Check(1e-3, 1e-2),
    ),
    Program(
        "heat_step",
        _picture,
        (0.2,),
        "y",
        8192,
        33,
        references.heat_step,
        lambda x, y, rate: fields.heat_step(rate, x, y),
        _SQUARE,
        "y",
        _nothing,
        _bytes_of("x", "y"),
    ),
    Program(
        "wave_step",
        _picture,
        (0.4,),
        "y",
        8192,
        33,
        references.wave_step,
        lambda x, y, courant: fields.wave_step(courant, x, y),
        _SQUARE,
        "y",
        _nothing,
        _bytes_of("x", "y", "y"),
    ),
    Program(
        "histogram",
        _words,
        (),
        "bins",
        2**26,
        1000,
        references.histogram,
        sorting.histogram,
        _FLAT,
        "x",
        _nothing,
        _bytes_of("x"),
        Check(0, 0),
    ),
    Program(
        "scan_tiles",
        _tiles,
        (),
        "sums",
        2**26,
        1000,
        references.scan_tiles,
        sorting.scan_tiles,
        _FLAT,
        "x",
        _nothing,
        _bytes_of("x", "sums", "totals"),
        Check(0, 0),
    ),
    Program(
        "matmul",
        _matrices,
        (),
        "c",
        4096,
        40,
        references.matmul,
        matrices.matmul,
        _SQUARE,
        "c",
        lambda arrays: 2.0 * arrays["a"].size * arrays["b"].shape[1],
        _bytes_of("a", "b", "c"),
    ),
    Program(
        "transpose",
        _wide_matrix,
        (),
        "y",
        8192,
        40,
        references.transpose,
        _transpose,
        _SQUARE,
        "x",
        _nothing,
        _bytes_of("x", "y"),
        Check(0, 0),
    ),
    Program(
        "sobel",
        _picture,
        (),
        "y",
        8192,
        33,
        references.sobel,
        images.sobel,
        _SQUARE,
        "y",
        _nothing,
        _bytes_of("x", "y"),
    ),
    Program(
        "bilateral",
        _picture,
        (4, 2.0, 0.2),
        "y",
        4096,
        33,
        references.bilateral,
        images.bilateral,
        _SQUARE,
        "y",
        _per("y", 81 * 14),
        _bytes_of("x", "y"),
    ),
    Program(
        "black_scholes",
        _options,
        (0.02, 0.3),
        "price",
        2**26,
        1000,
        references.black_scholes,
        _price,
        _FLAT,
        "price",
        _nothing,
        _bytes_of("share", "strike", "years", "price"),
        Check(1e-3, 1e-3),
    ),
    Program(
        "sparse_product",
        _sparse,
        (),
        "y",
        2**21,
        200,
        references.sparse_product,
        matrices.sparse_product,
        _FLAT,
        "y",
        _nothing,
        _bytes_of("starts", "columns", "values", "x", "y"),
        Check(1e-3, 1e-3),
    ),
)
