"""Images for the tests of `gpustd.image`, and their comparison with float64."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from gpucore import Buffer, Device
from tests.gpustd.compare import compare
from tests.gpustd.poison import poison_pool

__all__ = [
    "DTYPES",
    "EPS",
    "MODES",
    "SHAPES",
    "VALUES",
    "check",
    "draw",
    "first_axis",
    "largest",
    "per_axis",
    "pictures",
    "upload",
]

Array = NDArray[Any]

EPS = 2.0**-24
"""Unit of f32's rounding to the nearest."""

MODES = ("reflect", "mirror", "nearest", "wrap", "constant")
DTYPES = (np.uint8, np.float32)

VALUES = st.sampled_from((0.0, 3.0, -2.5, 300.0))
"""What surrounds a picture: levels, and what none of them is."""

_EXTENTS = st.sampled_from((1, 2, 3, 5, 8, 13, 16, 1, 2, 3, 5, 8, 13, 16, 0))

# Rows that end inside of a word, rows of whole words, a batch, one pixel.
SHAPES = ((13, 17), (6, 20, 3), (2, 5, 7, 4), (2, 3, 9, 1), (1, 1, 2))


def draw(shape: tuple[int, ...], dtype: type[Any], seed: int = 1) -> Array:
    """Draw values in 0 .. 255 for u8, around 0 for f32."""
    rng = np.random.default_rng(seed)
    if dtype is np.uint8:
        return rng.integers(0, 256, shape).astype(np.uint8)
    return rng.normal(0, 2, shape).astype(np.float32)


@st.composite
def pictures(
    pick: st.DrawFn,
    dtypes: tuple[type[Any], ...] = DTYPES,
    channels: tuple[int, ...] = (1, 2, 3, 4),
    ranks: tuple[int, ...] = (2, 3, 4),
) -> Array:
    """Draw an image of any form, at times empty, or a view that is not contiguous.

    Uploads copy such a view.
    """
    rank = pick(st.sampled_from(ranks))
    shape = (pick(_EXTENTS), pick(_EXTENTS), pick(st.sampled_from(channels)))[: min(rank, 3)]
    shape = (*(pick(st.integers(1, 2)),) * (rank == 4), *shape)
    step = pick(st.sampled_from((1, 1, -1, 2)))
    laid = tuple(per_axis(shape, abs(step), 1, 1))
    full = draw(
        tuple(n * m for n, m in zip(shape, laid, strict=True)),
        pick(st.sampled_from(dtypes)),
        pick(st.integers(0, 99)),
    )
    return full[tuple(per_axis(shape, slice(None, None, step), slice(None), slice(None)))]


def upload(device: Device, array: Array) -> Buffer[Any]:
    """Upload the array, with the pool poisoned for results of up to four times its size."""
    buffer = device.buffer_from_array(array)
    poison_pool(device, array.nbytes, 4 * array.size)
    return buffer


def largest(x: Array, value: float = 0.0) -> float:
    """Return the greatest size of an element or of ``value``; 0 where there are none."""
    return float(np.abs(x.astype(np.float64)).max(initial=abs(value)))


def first_axis(x: Array) -> int:
    """Return the axis of the height."""
    return 1 if x.ndim == 4 else 0


def per_axis(shape: tuple[int, ...], down: Any, across: Any, rest: Any) -> list[Any]:
    """Return a setting for each axis of an array: of its height, of its width, of the others."""
    first = 1 if len(shape) == 4 else 0
    return [down if i == first else across if i == first + 1 else rest for i in range(len(shape))]


def check(device: Device, function: str, result: Array, exact: Array, error: Any) -> None:
    """Compare with float64: f32 within ``error``; u8 within half a level more, once clamped."""
    if result.dtype == np.uint8:
        exact = np.clip(exact, 0, 255)
        error = np.asarray(error) + 0.5 + 512 * EPS
    compare(device, f"image.{function}", result, exact, error)
