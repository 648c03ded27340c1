"""Quantising weights, and the weights that blocks stand for."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gpucore import ArgumentError, ShapeError
from gpustd.quantization import small_blocks, super_blocks
from gpustd.quantization.expanding import EXPANDERS
from gpustd.quantization.float8 import E4M3FN_MAX, E5M2_MAX, to_e4m3fn, to_e5m2
from gpustd.quantization.formats import block_format
from gpustd.quantization.packing import Bytes, Floats

__all__ = ["dequantize", "quantize"]

_CHUNK: Final = 2**16
"""Weights that are worked on at a time, so that intermediate results stay in the cache."""

_WRITERS: Final[Mapping[str, Callable[[Floats], Bytes]]] = MappingProxyType(
    {
        "fp8_e4m3fn": to_e4m3fn,
        "fp8_e5m2": to_e5m2,
        "iq4_nl": super_blocks.iq4_nl,
        "iq4_xs": super_blocks.iq4_xs,
        "q2_k": super_blocks.q2_k,
        "q3_k": super_blocks.q3_k,
        "q4_0": small_blocks.q4_0,
        "q4_1": small_blocks.q4_1,
        "q4_k": super_blocks.q4_k,
        "q5_0": small_blocks.q5_0,
        "q5_1": small_blocks.q5_1,
        "q5_k": super_blocks.q5_k,
        "q6_k": super_blocks.q6_k,
        "q8_0": small_blocks.q8_0,
    }
)
_HALF_MAX: Final = 65504.0
_LARGEST: Final[Mapping[str, float]] = MappingProxyType(
    {"fp8_e4m3fn": E4M3FN_MAX, "fp8_e5m2": E5M2_MAX}
)
"""The largest weight of a format; the other formats' scales are float16."""


def dequantize(blocks: NDArray[np.uint8] | bytes | memoryview, name: str) -> NDArray[np.float32]:
    """Return the weights of blocks in the format ``name``, in one dimension.

    A block whose scale is infinite or NaN gives such weights. Raises `ArgumentError`, `ShapeError`.

    >>> from gpustd.quantization import dequantize
    >>> dequantize(bytes([0, 0x3C]) + bytes(range(32)), "q8_0")[:4].tolist()
    [0.0, 1.0, 2.0, 3.0]
    """
    layout = block_format(name)
    stored = np.frombuffer(blocks, np.uint8)
    if stored.size % layout.nbytes:
        raise ShapeError(
            f"{name}: blocks must be a multiple of {layout.nbytes} bytes, got {stored.size}"
        )
    rows = stored.reshape(-1, layout.nbytes)
    values = np.empty((len(rows), layout.elements), np.float32)
    _convert(EXPANDERS[name], rows, values, _CHUNK // layout.elements)
    return values.reshape(-1)


def quantize(values: NDArray[Any], name: str) -> NDArray[np.uint8]:
    """Return the blocks of weights, in one dimension of bytes.

    Weights are rounded to float32 first. Raises `ArgumentError` for weights that are infinite or
    NaN, or too large for the format, and `ShapeError` for a number of weights that is no multiple
    of a block's.

    >>> from gpustd.quantization import quantize
    >>> quantize(np.arange(32), "q8_0").size
    34
    """
    layout = block_format(name)
    if values.size % layout.elements:
        raise ShapeError(
            f"{name}: weights must be a multiple of {layout.elements}, got {values.size}"
        )
    with np.errstate(over="ignore"):
        weights = np.ascontiguousarray(values, np.float32).reshape(-1, layout.elements)
    _require_range(weights, name)
    blocks = np.empty((len(weights), layout.nbytes), np.uint8)
    _convert(_WRITERS[name], weights, blocks, _CHUNK // layout.elements)
    return blocks.reshape(-1)


def _convert(
    work: Callable[[Any], NDArray[Any]], source: NDArray[Any], target: NDArray[Any], step: int
) -> None:
    """Fill ``target`` with what ``work`` makes of ``source``, ``step`` rows at a time.

    NumPy lets other threads run meanwhile, so that all cores share large arrays.
    """

    def convert_rows(start: int) -> None:
        with np.errstate(all="ignore"):
            target[start : start + step] = work(source[start : start + step])

    starts = range(0, len(source), step)
    cores = min(os.cpu_count() or 1, len(starts))
    if cores < 2:
        for start in starts:
            convert_rows(start)
        return
    with ThreadPoolExecutor(cores) as threads:
        for _ in threads.map(convert_rows, starts):
            pass


def _require_range(weights: Floats, name: str) -> None:
    """Refuse weights that the format has no number for."""
    if not weights.size:
        return
    largest = float(max(weights.max(), -weights.min()))
    limit = _LARGEST.get(name, _HALF_MAX)
    if not largest <= limit:
        raise ArgumentError(
            f"{name}: weights must be finite and at most {limit:g}, got {largest:g}; keep this "
            "tensor in float16 or float32"
        )
