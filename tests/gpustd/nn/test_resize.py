"""interpolate, pixel_shuffle and pixel_unshuffle against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gpucore import ArgumentError, Device, DType, DTypeError, ShapeError, f32, i32
from gpustd import nn
from tests.gpustd.nn.oracle import DTYPES, EPS, check, drawn, up

Array = NDArray[Any]

EXTENT = st.integers(1, 9)


def linear(x: Array, axis: int, new: int, step: float, align: bool) -> Array:
    """``x`` float64 with new elements along an axis, by the weights of two neighbours each."""
    old = x.shape[axis]
    i = np.arange(new)
    place = i * step if align else np.maximum((i + 0.5) * step - 0.5, 0)
    low = np.minimum(np.floor(place).astype(int), old - 1)
    high = np.minimum(low + 1, old - 1)
    weight = (place - low).reshape([-1 if a == axis else 1 for a in range(x.ndim)])
    return np.asarray((1 - weight) * x.take(low, axis) + weight * x.take(high, axis))


def check_bilinear(device: Device, x: Array, size: tuple[int, int], align: bool) -> None:
    expected = x.astype(np.float64)
    for axis, new in zip((1, 2), size, strict=True):
        old = x.shape[axis]
        step = (old - 1) / max(new - 1, 1) if align else old / new
        expected = linear(expected, axis, new, step, align)
    result = nn.interpolate(up(device, x), size, mode="bilinear", align_corners=align).read()
    # A place is off by three roundings of the extent, which moves the weights as much.
    allowed = EPS * (3 * sum(x.shape[1:3]) + 8) * 2 * np.abs(x).max()
    check(device, "interpolate", result, expected, allowed)


@given(
    old=st.tuples(EXTENT, EXTENT),
    size=st.tuples(EXTENT, EXTENT),
    channels=st.sampled_from([1, 4, 6]),
    align=st.booleans(),
)
@settings(max_examples=15, deadline=None)
def test_sizes(
    device: Device, old: tuple[int, int], size: tuple[int, int], channels: int, align: bool
) -> None:
    x = drawn(0, (2, *old, channels))
    check_bilinear(device, x, size, align)
    rows, columns = (np.arange(n) * o // n for n, o in zip(size, old, strict=True))
    expected = x[:, rows][:, :, columns]
    np.testing.assert_array_equal(nn.interpolate(up(device, x), size).read(), expected)


@DTYPES
def test_bilinear_in_each_dtype(device: Device, dtype: type[DType]) -> None:
    check_bilinear(device, drawn(1, (2, 5, 7, 12), dtype), (8, 9), False)


@pytest.mark.parametrize("factor", [2, (0.5, 2.5), 1.3])
def test_scale_factor(device: Device, factor: Any) -> None:
    """The factor, not the quotient of the extents, is the distance of pixels."""
    x = drawn(2, (1, 7, 6, 4))
    factors = factor if isinstance(factor, tuple) else (factor, factor)
    size = [int(n * f) for n, f in zip((7, 6), factors, strict=True)]
    expected = x.astype(np.float64)
    for axis in (1, 2):
        expected = linear(expected, axis, size[axis - 1], 1 / factors[axis - 1], False)
    result = nn.interpolate(up(device, x), scale_factor=factor, mode="bilinear").read()
    check(device, "interpolate", result, expected, EPS * 100 * np.abs(x).max())
    rows, columns = (
        np.floor(np.arange(n) / f).astype(int) for n, f in zip(size, factors, strict=True)
    )
    near = nn.interpolate(up(device, x), scale_factor=factor).read()
    np.testing.assert_array_equal(near, x[:, rows][:, :, columns])


@DTYPES
@pytest.mark.parametrize("factors", [(2, 2), (1, 3), (4, 2)], ids=str)
@pytest.mark.parametrize("channels", [3, 4, 16])
def test_whole_factors(
    device: Device, factors: tuple[int, int], channels: int, dtype: type[DType]
) -> None:
    """What lies between four pixels is made at once."""
    for old in ((5, 6), (1, 1), (2, 7)):
        x = drawn(3, (2, *old, channels), dtype)
        check_bilinear(device, x, (old[0] * factors[0], old[1] * factors[1]), False)


@pytest.mark.parametrize("r", [1, 2, 3])
def test_pixel_shuffle(device: Device, r: int) -> None:
    x = np.arange(2 * 3 * 4 * 5 * r * r, dtype=np.int32).reshape(2, 3, 4, 5 * r * r)
    y = nn.pixel_shuffle(up(device, x), r)
    expected = np.empty((2, 3 * r, 4 * r, 5), np.int32)
    for i in range(r):
        for j in range(r):
            expected[:, i::r, j::r] = x[..., i * r + j :: r * r]
    np.testing.assert_array_equal(y.read(), expected)
    np.testing.assert_array_equal(nn.pixel_unshuffle(y, r).read(), x)


def test_refuses(device: Device) -> None:
    x = device.buffer(f32, (1, 4, 4, 2))
    with pytest.raises(ArgumentError, match="either size or scale_factor"):
        nn.interpolate(x)
    with pytest.raises(ArgumentError, match="leaves no pixel"):
        nn.interpolate(x, scale_factor=0.1)
    with pytest.raises(ArgumentError, match="align_corners True"):
        nn.interpolate(x, 3, align_corners=True)
    with pytest.raises(DTypeError, match="interpolate"):
        nn.interpolate(device.buffer(i32, (1, 4, 4, 2)), 3, mode="bilinear")
    with pytest.raises(ShapeError, match="divide by 2 squared"):
        nn.pixel_shuffle(x, 2)
    with pytest.raises(ShapeError, match="height and width"):
        nn.pixel_unshuffle(x, 3)
