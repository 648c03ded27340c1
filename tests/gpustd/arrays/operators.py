"""Running one operator on a device and comparing it with NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gpucore import Buffer, Device
from gpucore.dtypes import DTYPES
from tests.gpustd.poison import poison_pool

__all__ = ["EPS", "draw", "on_device", "skip_without_f16", "ulps"]

Array = NDArray[Any]

EPS = float(np.finfo(np.float32).eps)


def skip_without_f16(device: Device, *dtypes: str) -> None:
    if "f16" in dtypes and not device.has_f16:
        pytest.skip(f"{device!r} has no f16")


def draw(dtype: str, shape: tuple[int, ...], seed: int = 0) -> Array:
    """Numbers of a dtype: normal floats, integers of its whole range with many small ones."""
    rng = np.random.default_rng(seed)
    if dtype == "c64":
        return (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(np.complex64)
    if dtype in ("f16", "f32"):
        return (3 * rng.normal(size=shape)).astype(DTYPES[dtype].numpy)
    info = np.iinfo(DTYPES[dtype].numpy)
    wide = rng.integers(info.min, info.max, shape, endpoint=True, dtype=DTYPES[dtype].numpy)
    small = rng.integers(-3 if info.min else 0, 4, shape).astype(DTYPES[dtype].numpy)
    return np.where(rng.random(shape) < 0.5, wide, small)


def on_device(device: Device, call: Callable[..., Buffer[Any]], *operands: Any) -> Array:
    """``call`` of operands, arrays as buffers and numbers as they are, in poisoned memory."""
    given = [device.buffer_from_array(x) if isinstance(x, np.ndarray) else x for x in operands]
    shape = np.broadcast_shapes(*(x.shape for x in operands if isinstance(x, np.ndarray)))
    poison_pool(device, *{int(np.prod(shape)) * n for n in (1, 2, 4, 8)})
    return call(*given).read()


def ulps(expected: Any, count: float, dtype: str = "f32") -> Array:
    """``count`` units in the last place of f32 results, and the rounding of an f16 one."""
    size = np.abs(np.where(np.isfinite(expected), expected, 0))
    allowed = count * EPS * size + 1.2e-38
    return np.asarray(allowed + (2.0**-10 * size + 6e-8 if dtype == "f16" else 0.0))
