"""interpolate, pixel_shuffle and pixel_unshuffle against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gpucore import (
    ArgumentError,
    Device,
    DType,
    DTypeError,
    LimitError,
    ShapeError,
    c64,
    f16,
    f32,
    i32,
    u8,
    u32,
)
from gpustd import nn
from tests.draws import draws
from tests.gpustd.nn.oracle import (
    DTYPES,
    EPS,
    check,
    draw_normal,
    strided_view,
    supported_dtype,
    up,
)

Array = NDArray[Any]

EXTENT = st.integers(1, 9)
DRAWN = st.sampled_from([f32, f32, f16])
FACTOR = st.sampled_from([1, 2, 3, 0.5, 0.75, 1.3, 2.5])


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
    allowed = EPS * (3 * sum(x.shape[1:3]) + 8) * 2 * np.abs(x).max(initial=0)
    check(device, "interpolate", result, expected, allowed)


@given(
    images=st.sampled_from([1, 2, 0]),
    old=st.tuples(EXTENT, EXTENT),
    size=st.tuples(EXTENT, EXTENT),
    channels=st.sampled_from([1, 4, 6]),
    dtype=DRAWN,
    align=st.booleans(),
)
@settings(max_examples=draws(25), deadline=None)
def test_sizes(
    device: Device,
    images: int,
    old: tuple[int, int],
    size: tuple[int, int],
    channels: int,
    dtype: type[DType],
    align: bool,
) -> None:
    x = strided_view(draw_normal(0, (images, *old, channels), supported_dtype(device, dtype)))
    check_bilinear(device, x, size, align)
    rows, columns = (np.arange(n) * o // n for n, o in zip(size, old, strict=True))
    expected = x[:, rows][:, :, columns]
    np.testing.assert_array_equal(nn.interpolate(up(device, x), size).read(), expected)


@given(old=st.integers(2**16, 2**19), new=st.integers(2**16, 2**19))
@example(old=70000, new=140000)
@example(old=2**16 + 1, new=2**16)
@settings(max_examples=draws(10), deadline=None)
def test_nearest_of_many_pixels(device: Device, old: int, new: int) -> None:
    """Places times extents need more than 32 bits."""
    x = np.arange(old, dtype=np.float32).reshape(1, 1, old, 1)
    result = nn.interpolate(up(device, x), (1, new)).read().ravel()
    np.testing.assert_array_equal(result, np.arange(new) * old // new)


def test_nearest_of_too_many_pixels() -> None:
    x = Device.null().buffer(f32, (1, 1, 2**26 + 1, 1))
    with pytest.raises(LimitError, match=r"interpolate: .* got \(1, 67108865\) to \(1, 64\)"):
        nn.interpolate(x, (1, 64))


@given(
    old=st.tuples(EXTENT, EXTENT),
    factor=FACTOR | st.tuples(FACTOR, FACTOR),
    channels=st.sampled_from([1, 4, 6]),
    dtype=DRAWN,
)
@settings(max_examples=draws(25), deadline=None)
def test_scale_factor(
    device: Device, old: tuple[int, int], factor: Any, channels: int, dtype: type[DType]
) -> None:
    """The factor, not the quotient of the extents, is the distance of pixels."""
    x = strided_view(draw_normal(2, (1, *old, channels), supported_dtype(device, dtype)))
    factors = factor if isinstance(factor, tuple) else (factor, factor)
    size = [int(n * f) for n, f in zip(old, factors, strict=True)]
    if not all(size):
        with pytest.raises(ArgumentError, match="leave at least one pixel"):
            nn.interpolate(up(device, x), scale_factor=factor)
        return
    expected = x.astype(np.float64)
    for axis in (1, 2):
        expected = linear(expected, axis, size[axis - 1], 1 / factors[axis - 1], False)
    result = nn.interpolate(up(device, x), scale_factor=factor, mode="bilinear").read()
    check(device, "interpolate", result, expected, EPS * 100 * np.abs(x).max())
    # No place is a whole number that rounding of the factor's inverse could miss: those of 1.3 are
    # 10 / 13 apart, of which there are less than 13.
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
    """The results between four pixels are computed at once."""
    for old in ((5, 6), (1, 1), (2, 7)):
        x = draw_normal(3, (2, *old, channels), dtype)
        check_bilinear(device, x, (old[0] * factors[0], old[1] * factors[1]), False)


@given(
    shape=st.tuples(*[st.sampled_from([1, 2, 3, 5, 0])] * 4),
    r=st.sampled_from([1, 2, 3]),
    dtype=st.sampled_from([f32, f16, i32, u32, u8, c64]),
)
@settings(max_examples=draws(20), deadline=None)
def test_channels_as_pixels(
    device: Device, shape: tuple[int, ...], r: int, dtype: type[DType]
) -> None:
    """pixel_shuffle, its inverse, and pixels repeated, which are of WGSL's own dtypes."""
    images, height, width, channels = shape
    full = (images, height, width, channels * r * r)
    numbers = np.arange(np.prod(full)).astype(supported_dtype(device, dtype).numpy).reshape(full)
    x = strided_view(numbers)
    y = nn.pixel_shuffle(up(device, x), r)
    expected = np.empty((images, height * r, width * r, channels), x.dtype)
    for i, j in np.ndindex(r, r):
        expected[:, i::r, j::r] = x[..., i * r + j :: r * r]
    np.testing.assert_array_equal(y.read(), expected)
    np.testing.assert_array_equal(nn.pixel_unshuffle(y, r).read(), x)
    if dtype.wgsl is None:
        return
    expected = x.repeat(r, axis=1).repeat(r, axis=2)
    np.testing.assert_array_equal(nn.upsample_nearest(up(device, x), r).read(), expected)


def test_refuses(device: Device) -> None:
    x = device.buffer(f32, (1, 4, 4, 2))
    with pytest.raises(ArgumentError, match="either size or scale_factor"):
        nn.interpolate(x)
    for factor in (float("nan"), float("inf"), 0.0):
        with pytest.raises(ArgumentError, match="must be positive and finite"):
            nn.interpolate(x, scale_factor=factor)
    with pytest.raises(ShapeError, match="at least one pixel"):
        nn.interpolate(device.buffer(f32, (1, 0, 4, 2)), 3)
    with pytest.raises(ArgumentError, match="align_corners must be False"):
        nn.interpolate(x, 3, align_corners=True)
    with pytest.raises(DTypeError, match="interpolate"):
        nn.interpolate(device.buffer(i32, (1, 4, 4, 2)), 3, mode="bilinear")
    with pytest.raises(ShapeError, match="multiple of 2 squared"):
        nn.pixel_shuffle(x, 2)
    with pytest.raises(ShapeError, match="height and width"):
        nn.pixel_unshuffle(x, 3)
