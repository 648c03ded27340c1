"""The element types of model files and NumPy's: bits as they are stored, and their values.

NumPy lacks bfloat16 and the 8-bit floats. Their values are read as the nearest wider type, which
holds each of them exactly: BF16 as float32, F8 as float16. F8_E4M3 is the variant without
infinities.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from diffusion.errors import SettingsError
from gpustd.quantization import BLOCK_FORMATS
from gpustd.quantization.float8 import from_e4m3fn, from_e5m2, to_e4m3fn, to_e5m2

FLOATING: Final = frozenset({"F8_E4M3", "F8_E5M2", "F16", "BF16", "F32", "F64"})
"""Types that hold a weight in each element."""

BLOCKS: Final[Mapping[str, str]] = MappingProxyType(
    {name.upper(): name for name, layout in BLOCK_FORMATS.items() if layout.elements > 1}
    | {"F8_E4M3": "fp8_e4m3fn", "F8_E5M2": "fp8_e5m2"}
)
"""Types whose bytes may stay quantised, and gpustd's name of each format."""

WEIGHTS: Final = FLOATING | BLOCKS.keys()
"""Types that hold weights."""

STORED: Final[Mapping[str, np.dtype[Any]]] = MappingProxyType(
    {
        "BOOL": np.dtype("u1"),
        "U8": np.dtype("u1"),
        "I8": np.dtype("i1"),
        "F8_E4M3": np.dtype("u1"),
        "F8_E5M2": np.dtype("u1"),
        "U16": np.dtype("<u2"),
        "I16": np.dtype("<i2"),
        "F16": np.dtype("<f2"),
        "BF16": np.dtype("<u2"),
        "U32": np.dtype("<u4"),
        "I32": np.dtype("<i4"),
        "F32": np.dtype("<f4"),
        "U64": np.dtype("<u8"),
        "I64": np.dtype("<i8"),
        "F64": np.dtype("<f8"),
    }
)
"""The element types that are read, and NumPy's type for their bits."""

NAMES: Final[Mapping[np.dtype[Any], str]] = MappingProxyType(
    {code: name for name, code in STORED.items() if name[:2] not in ("BO", "BF", "F8")}
    | {np.dtype(np.bool_): "BOOL"}
)
"""The element type of each NumPy type that has one."""


def decode(dtype: str, stored: NDArray[Any]) -> NDArray[Any]:
    """Return the values of stored bits; any BOOL byte but 0 is true."""
    if dtype == "BF16":
        wide = stored.astype(np.uint32)
        wide <<= np.uint32(16)
        return wide.view(np.float32)
    if dtype == "F8_E5M2":
        return from_e5m2(stored)
    if dtype == "F8_E4M3":
        return from_e4m3fn(stored)
    return stored.astype(np.bool_) if dtype == "BOOL" else stored


def encode(dtype: str, values: NDArray[Any]) -> NDArray[Any]:
    """Return the bits that store values, rounded to nearest, ties to even.

    Floating-point numbers may become any floating type; all others keep their own. A number too
    large for F16, F8_E5M2 or F8_E4M3 becomes infinite, or NaN where there is no infinity. Raises
    ``SettingsError``.
    """
    if dtype not in FLOATING or values.dtype.kind != "f":
        if NAMES.get(values.dtype) != dtype:
            raise SettingsError("dtype", dtype, f"give the type of the tensor, {values.dtype}")
        return values.view(np.uint8) if dtype == "BOOL" else values
    narrow = _NARROW.get(dtype)
    if narrow is not None:
        return narrow(values)
    with np.errstate(over="ignore"):
        return values.astype(STORED[dtype], copy=False)


def _to_bf16(values: NDArray[Any]) -> NDArray[Any]:
    """Return the upper half of float32 values, rounded; a NaN stays one."""
    with np.errstate(over="ignore"):
        bits = values.astype(np.float32).view(np.uint32)
    odd = (bits >> np.uint32(16)) & np.uint32(1)
    rounded = (bits + np.uint32(0x7FFF) + odd) >> np.uint32(16)
    quiet = (bits >> np.uint32(16)) | np.uint32(0x40)
    return np.where(np.isnan(values), quiet, rounded).astype(np.uint16)


_NARROW: Final[dict[str, Callable[[NDArray[Any]], NDArray[Any]]]] = {
    "BF16": _to_bf16,
    "F8_E4M3": to_e4m3fn,
    "F8_E5M2": to_e5m2,
}
