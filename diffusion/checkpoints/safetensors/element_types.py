"""The element types of model files and NumPy's: bits as they are stored, and their values.

NumPy lacks bfloat16 and the 8-bit floats. Their values are read as the nearest wider type, which
holds each of them exactly: BF16 as float32, F8 as float16. F8_E4M3 is the variant without
infinities (Micikevicius et al. 2022, arXiv 2209.05433), whose largest value is 448.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from diffusion.errors import SettingsError

FLOATING: Final = frozenset({"F8_E4M3", "F8_E5M2", "F16", "BF16", "F32", "F64"})
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
        return (stored.astype(np.uint16) << np.uint16(8)).view(np.float16)
    if dtype == "F8_E4M3":
        return np.asarray(_E4M3[stored])
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


def _e4m3_values() -> NDArray[np.float16]:
    """Return each byte's value: 4 bits of exponent (bias 7), 3 of mantissa; S.1111.111 is NaN."""
    codes = np.arange(128)
    exponent, mantissa = codes >> 3, codes & 7
    values = np.where(
        exponent == 0, mantissa * 2.0**-9, (8 + mantissa) * 2.0 ** (exponent.astype(float) - 10)
    )
    values[127] = np.nan
    return np.concatenate([values, -values]).astype(np.float16)


_E4M3: Final = _e4m3_values()
_E5M2: Final = (np.arange(256, dtype=np.uint16) << np.uint16(8)).view(np.float16)


def _to_byte(values: NDArray[Any], table: NDArray[np.float16], finite: int) -> NDArray[Any]:
    """Return the byte of the nearest table value, with the sign in the top bit.

    ``finite``: how many of the table's first values, which ascend, are finite.
    """
    steps = table[:finite].astype(np.float64)
    size = np.abs(values.astype(np.float64))
    unknown = np.isnan(size)
    size = np.where(np.isfinite(size), size, 4 * steps[-1])
    upper = np.clip(np.searchsorted(steps, size), 1, finite - 1)
    below, above = size - steps[upper - 1], steps[upper] - size
    odd = (upper - 1) & 1
    code = np.where((above < below) | ((above == below) & (odd == 1)), upper, upper - 1)
    # Half a step above the largest value is where the next one would begin; a tie goes to it
    # only where the largest is odd, as in IEEE 754.
    limit = steps[-1] + (steps[-1] - steps[-2]) / 2
    over = size > limit if finite % 2 else size >= limit
    code = np.where(over, finite, code)
    code = np.where(unknown, 127, code)
    return (code + np.where(np.signbit(values), 128, 0)).astype(np.uint8)


_NARROW: Final[dict[str, Callable[[NDArray[Any]], NDArray[Any]]]] = {
    "BF16": _to_bf16,
    "F8_E4M3": lambda values: _to_byte(values, _E4M3, 127),
    "F8_E5M2": lambda values: _to_byte(values, _E5M2, 124),
}
