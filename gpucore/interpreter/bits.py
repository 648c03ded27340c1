"""WGSL's functions of bits and of packed numbers, on arrays.

Source: WGSL specification, sections 17.5 (numeric) and 17.9, 17.10 (packing).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from gpucore.interpreter.values import DTYPES, Data
from gpucore.wgsl.types.kinds import Scalar, Type, Vector

__all__ = ["FUNCTIONS", "bitcast", "pack_halves"]


def bitcast(value: Data, type_: Type) -> Data:
    """Return the bits of a scalar or vector as another type of as many bits."""
    scalar = type_ if isinstance(type_, Scalar) else getattr(type_, "scalar", None)
    assert isinstance(scalar, Scalar)
    dtype = DTYPES[scalar.name]
    if dtype.itemsize == value.dtype.itemsize:
        return np.ascontiguousarray(value).view(dtype)
    rows = np.ascontiguousarray(np.moveaxis(np.atleast_2d(value), 0, -1)).view(dtype)
    parts = np.moveaxis(rows, -1, 0)
    return parts if isinstance(type_, Vector) else parts[0]


def _as_u32(x: Data) -> Data:
    return x.astype(np.uint32)


def _bit_length(x: Data) -> Data:
    """Return how many bits a u32 takes."""
    return np.frexp(x.astype(np.float64))[1].astype(np.uint32)


def _leading_bit(x: Data) -> Data:
    bits = np.where(x < 0, ~x, x) if x.dtype == np.int32 else x
    return (_bit_length(_as_u32(bits)).astype(np.int64) - 1).astype(x.dtype)


def _lowest_bit(x: Data) -> Data:
    return x & (~x + np.uint32(1))


def _trailing_zeros(x: Data) -> Data:
    u = _as_u32(x)
    return np.where(u == 0, 32, _bit_length(_lowest_bit(u)) - np.uint32(1)).astype(x.dtype)


def _trailing_bit(x: Data) -> Data:
    u = _as_u32(x)
    place = _bit_length(_lowest_bit(u)).astype(np.int64) - 1
    return place.astype(x.dtype)


def _reverse(x: Data) -> Data:
    u = _as_u32(x)
    for shift, mask in ((1, 0x55555555), (2, 0x33333333), (4, 0x0F0F0F0F), (8, 0x00FF00FF)):
        m, s = np.uint32(mask), np.uint32(shift)
        u = ((u >> s) & m) | ((u & m) << s)
    return ((u >> np.uint32(16)) | (u << np.uint32(16))).astype(x.dtype)


def _field(offset: Data, count: Data) -> tuple[Data, Data]:
    """Return offset and mask of a field of bits, cut at 32."""
    o = np.minimum(offset, np.uint32(32)).astype(np.uint64)
    c = np.minimum(count, np.uint32(32) - o.astype(np.uint32)).astype(np.uint64)
    return o, (np.uint64(1) << c) - np.uint64(1)


def _extract(x: Data, offset: Data, count: Data) -> Data:
    o, mask = _field(offset, count)
    bits = (_as_u32(x).astype(np.uint64) >> o) & mask
    if x.dtype == np.uint32:
        return bits.astype(np.uint32)
    sign = (mask + np.uint64(1)) >> np.uint64(1)
    return ((bits ^ sign).astype(np.int64) - sign.astype(np.int64)).astype(np.int32)


def _insert(x: Data, new: Data, offset: Data, count: Data) -> Data:
    o, mask = _field(offset, count)
    wide, bits = _as_u32(x).astype(np.uint64), _as_u32(new).astype(np.uint64)
    return ((wide & ~(mask << o)) | ((bits & mask) << o)).astype(np.uint32).astype(x.dtype)


# Packing: the first component is in the lowest bits.


def _words(parts: Data, dtype: str) -> Data:
    rows = np.ascontiguousarray(np.moveaxis(parts.astype(dtype), 0, -1))
    return rows.view(np.uint32)[..., 0]


def pack_halves(pair: Data) -> Data:
    """Return two f32 as the f16 halves of a u32."""
    return _words(pair, "f2")


def _parts(word: Data, dtype: str) -> Data:
    rows = np.ascontiguousarray(word)[..., None].view(dtype)
    return np.moveaxis(rows, -1, 0)


def _norm(dtype: str, low: float, scale: float) -> Callable[[Data], Data]:
    return lambda v: _words(np.floor(0.5 + scale * np.clip(v, low, 1).astype(np.float64)), dtype)


def _unnorm(dtype: str, low: float, scale: float) -> Callable[[Data], Data]:
    return lambda w: np.maximum(_parts(w, dtype) / scale, low).astype(np.float32)


def _dot4(dtype: str, result: str) -> Callable[[Data, Data], Data]:
    def run(a: Data, b: Data) -> Any:
        products = _parts(a, dtype).astype(np.int64) * _parts(b, dtype)
        return products.sum(0).astype(result)

    return run


FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {
    "countLeadingZeros": lambda x: (np.uint32(32) - _bit_length(_as_u32(x))).astype(x.dtype),
    "countOneBits": lambda x: np.bitwise_count(_as_u32(x)).astype(x.dtype),
    "countTrailingZeros": _trailing_zeros,
    "dot4I8Packed": _dot4("i1", "i4"),
    "dot4U8Packed": _dot4("u1", "u4"),
    "extractBits": _extract,
    "firstLeadingBit": _leading_bit,
    "firstTrailingBit": _trailing_bit,
    "insertBits": _insert,
    "pack2x16snorm": _norm("i2", -1, 32767),
    "pack2x16unorm": _norm("u2", 0, 65535),
    "pack4x8snorm": _norm("i1", -1, 127),
    "pack4x8unorm": _norm("u1", 0, 255),
    "pack4xI8": lambda v: _words(v, "i1"),
    "pack4xI8Clamp": lambda v: _words(np.clip(v, -128, 127), "i1"),
    "pack4xU8": lambda v: _words(v, "u1"),
    "pack4xU8Clamp": lambda v: _words(np.clip(v, 0, 255), "u1"),
    "reverseBits": _reverse,
    "unpack2x16float": lambda w: _parts(w, "f2").astype(np.float32),
    "unpack2x16snorm": _unnorm("i2", -1, 32767),
    "unpack2x16unorm": _unnorm("u2", 0, 65535),
    "unpack4x8snorm": _unnorm("i1", -1, 127),
    "unpack4x8unorm": _unnorm("u1", 0, 255),
    "unpack4xI8": lambda w: _parts(w, "i1").astype(np.int32),
    "unpack4xU8": lambda w: _parts(w, "u1").astype(np.uint32),
}
