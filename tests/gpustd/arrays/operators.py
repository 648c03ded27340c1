"""Running one operator on a device and comparing it with NumPy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpucore import Buffer, Device
from gpucore.dtypes import DTYPES
from tests.gpustd.poison import poison_pool

__all__ = [
    "EPS",
    "draw",
    "held_by",
    "laid_out",
    "mixture",
    "on_device",
    "ulps",
]

Array = NDArray[Any]

EPS = float(np.finfo(np.float32).eps)


def held_by(device: Device, dtype: str) -> str:
    """``dtype``, or f32 where the device has no f16."""
    return "f32" if dtype == "f16" and not device.has_f16 else dtype


def laid_out(x: Array, layout: str) -> Array:
    """Return the same elements as a view with steps, swapped axes or reversed rows."""
    if not x.ndim or layout == "plain":
        return x
    if layout == "turned":
        return np.asfortranarray(x)
    if layout == "back":
        return x[::-1].copy()[::-1]
    return np.repeat(x, 2, axis=-1)[..., ::2]


def mixture(dtype: str, shape: tuple[int, ...], seed: int, extras: Sequence[float] = ()) -> Array:
    """As `draw`, floats of all sizes with zeros, infinities, NaN and ``extras`` among them.

    No subnormal numbers. Complex ones are finite, with parts of sizes from e^-10 to e^3.
    """
    rng = np.random.default_rng(seed)
    if dtype == "c64":
        sizes = np.exp(rng.uniform(-10, 3, (2, *shape)))
        parts = rng.normal(size=(2, *shape)) * sizes
        return np.asarray(parts[0] + 1j * parts[1]).astype(np.complex64)
    if dtype not in ("f16", "f32"):
        return np.asarray(draw(dtype, shape, seed))
    most = 85 if dtype == "f32" else 9.5
    normal = rng.normal(size=shape)
    kinds = [
        2 * normal,
        rng.uniform(-1, 1, shape),
        normal * np.exp(rng.uniform(-most, 0, shape)),
        normal * np.exp(rng.uniform(0, most, shape)),
        normal * np.exp(rng.uniform(0, 14 if dtype == "f32" else 7, shape)),
        rng.uniform(-1.3 * most, 1.3 * most, shape),
        rng.choice([0, -0.0, 1, -1, 0.5, -2.5, 2, 3, np.inf, -np.inf, np.nan, *extras], shape),
    ]
    chosen = np.choose(rng.integers(0, len(kinds), shape), kinds)
    with np.errstate(over="ignore"):
        x = np.asarray(chosen).astype(DTYPES[dtype].numpy)
    return np.where(np.abs(x) < np.finfo(x.dtype).smallest_normal, np.zeros_like(x), x)


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
