"""NumPy float64 references of gpustd.nn's windows, and what the tests of that package share."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gpucore import Buffer, Device, DType, f16, f32
from tests.conftest import skip_without_f16
from tests.gpustd.compare import compare
from tests.gpustd.poison import poison_pool

__all__ = [
    "DTYPES",
    "EPS",
    "case_name",
    "check",
    "convolution",
    "draw_normal",
    "pooling",
    "scatter_windows",
    "stored",
    "strided_view",
    "supported_dtype",
    "taps_of",
    "up",
]

Array = NDArray[Any]

# Unit in the last place of f32: what computing rounds to.
EPS = float(np.finfo(np.float32).eps)
DTYPES = pytest.mark.parametrize("dtype", [f32, f16], ids=lambda d: d.name)


def case_name(value: object) -> str:
    """Return a parameter's text in a test's name: a dtype's own, else as it prints."""
    return str(getattr(value, "name", value))


def draw_normal(seed: int, shape: Sequence[int], dtype: type[DType] = f32) -> Array:
    """Draw normal numbers in the storage type."""
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype.numpy)


def supported_dtype(device: Device, dtype: type[DType]) -> type[DType]:
    """Return the drawn dtype, or f32 on a device that has no f16."""
    return f32 if dtype is f16 and not device.has_f16 else dtype


def strided_view(x: Array) -> Array:
    """Return the same numbers as a view that is not contiguous: every other one, backwards."""
    wide = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), x.dtype)
    view = wide[..., ::-2]
    view[...] = x
    return view


def up(device: Device, x: Array, *, poison: int = 0) -> Buffer[Any]:
    """``x`` on the device, where the next buffer of ``poison`` bytes (0: of its own) is NaN.

    Skips where the device lacks the dtype.
    """
    if x.dtype == np.float16:
        skip_without_f16(device, "f16")
    buffer = device.buffer_from_array(x)
    poison_pool(device, poison or x.nbytes)
    return buffer


def stored(dtype: np.dtype[Any], expected: Array) -> Array:
    """Greatest error of rounding to a storage type; below 2^-126 f32 may become 0."""
    if dtype == np.float16:
        return np.asarray(2.0**-11 * np.abs(expected) + 2.0**-25)
    return np.asarray(2.0**-24 * np.abs(expected) + 2.0**-126)


def check(device: Device, function: str, result: Array, expected: Array, allowed: Any) -> None:
    """Compare, with the rounding of the result's dtype added to ``allowed``."""
    finite = np.where(np.isfinite(expected), expected, 0.0)
    limit = allowed + stored(result.dtype, finite)
    compare(device, f"nn.{function}", result, expected, limit)


def taps_of(
    x: Array,
    kernel: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    results: Sequence[int],
) -> Array:
    """Windows of a padded (N, spatial..., C): (N, results..., kernel..., C), copied tap by tap."""
    windows = np.empty((x.shape[0], *results, *kernel, x.shape[-1]), x.dtype)
    for tap in itertools.product(*map(range, kernel)):
        where = tuple(
            slice(k * d, k * d + (n - 1) * s + 1, s)
            for k, d, s, n in zip(tap, dilation, stride, results, strict=True)
        )
        index = (slice(None),) * (1 + len(kernel)) + tap
        windows[index] = x[(slice(None), *where)]
    return windows


def convolution(
    x: Array,
    w: Array,
    *,
    stride: Sequence[int],
    padding: Sequence[tuple[int, int]],
    dilation: Sequence[int],
    groups: int,
) -> Array:
    """x (N, spatial..., C) with w (kernel..., C / groups, Cout), both float64."""
    rank = x.ndim - 2
    kernel = w.shape[:rank]
    padded = np.pad(x, ((0, 0), *padding, (0, 0)))
    results = [
        (n - (k - 1) * d - 1) // s + 1
        for n, k, d, s in zip(padded.shape[1:-1], kernel, dilation, stride, strict=True)
    ]
    windows = taps_of(padded, kernel, stride, dilation, results)
    rows = windows.reshape(*windows.shape[:-1], groups, -1)
    weights = w.reshape(*w.shape[:-1], groups, -1)
    letters = "abc"[:rank]
    y = np.einsum(f"n...{letters}gi,{letters}igo->n...go", rows, weights)
    return np.asarray(y.reshape(*y.shape[:-2], -1))


def scatter_windows(
    x: Array,
    w: Array,
    *,
    stride: Sequence[int],
    padding: Sequence[int],
    more: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> Array:
    """Transposed convolution as it is defined: each element adds its taps to the result."""
    rank = x.ndim - 2
    kernel = w.shape[:rank]
    numbers = list(zip(x.shape[1:-1], kernel, stride, dilation, more, strict=True))
    full = [(n - 1) * s + (k - 1) * d + 1 + m for n, k, s, d, m in numbers]
    y = np.zeros((x.shape[0], *full, w.shape[-1]))
    parts = x.reshape(*x.shape[:-1], groups, -1)
    weights = w.reshape(*w.shape[:-1], groups, -1)
    for tap in itertools.product(*map(range, kernel)):
        where = tuple(
            slice(t * d, t * d + (n - 1) * s + 1, s)
            for t, (n, _, s, d, _) in zip(tap, numbers, strict=True)
        )
        added = np.einsum("...gi,igo->...go", parts, weights[tap])
        y[(slice(None), *where)] += added.reshape(*added.shape[:-2], -1)
    cut = tuple(slice(p, n - p) for p, n in zip(padding, full, strict=True))
    return np.asarray(y[(slice(None), *cut)])


def pooling(
    x: Array,
    fill: float,
    *,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    ceil_mode: bool,
) -> Array:
    """Windows (N, results..., taps, C), outside of the image ``fill``, beyond its padding NaN + 1j.

    The imaginary part marks what no pooling counts.
    """
    results, pads = [], []
    numbers = zip(x.shape[1:-1], kernel, stride, padding, dilation, strict=True)
    for n, k, s, p, d in numbers:
        span = (k - 1) * d + 1
        places = [i for i in range(0, n + 2 * p, s) if i + span <= n + 2 * p]
        following = len(places) * s
        if ceil_mode and following < n + p and following - s + span < n + 2 * p:
            places.append(following)
        results.append(len(places))
        pads.append((p, p, max(places[-1] + span - n - 2 * p, 0)))
    inner = ((0, 0), *((a, b) for a, b, _ in pads), (0, 0))
    outer = ((0, 0), *((0, c) for _, _, c in pads), (0, 0))
    padded = np.pad(x.astype(np.complex128), inner, constant_values=fill)
    padded = np.pad(padded, outer, constant_values=fill + 1j)
    windows = taps_of(padded, kernel, stride, dilation, results)
    return np.asarray(windows.reshape(x.shape[0], *results, math.prod(kernel), x.shape[-1]))
