"""Colours against the formulas in float64, and against Pillow where it has the same.

WGSL's pow(x, p) is exp2(p log2(x)): log2 may be off by 3 ulp outside of 0.5 .. 2 and by 2^-21
inside, exp2 by 3 + 2 |x| ulp. Over 0.04 .. 1.25 that is at most 2^-20 of log2 (3 ulp of 4.7 are
2^-20.4), so that pow is off by at most ln 2 p 2^-20 + (3 + 2 x 4.7 p) 2^-23 of itself: for p = 2.4
by 5 x 10^-6, for p = 1 / 2.4 and 1 / 3 (over 0.003 .. 1.25) by 2.1 x 10^-6.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from gpucore import Device, DTypeError, ShapeError, f32, u8
from gpustd import image
from gpustd.launch.variants import force_variant
from tests.draws import draws
from tests.gpustd.image.image_cases import DTYPES, EPS, check, pictures, upload

Array = NDArray[Any]
VARIANTS = ("direct", "staged")
POWER, ROOT = 5e-6, 2.1e-6
LUMA = np.array([0.299, 0.587, 0.114])
XYZ = np.array(
    [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
)
WHITE = np.array([0.95047, 1.0, 1.08883])
STEP = 6 / 29


def srgb_to_linear(v: Array) -> Array:
    return np.where(v <= 0.04045, v / 12.92, (np.maximum(v + 0.055, 0) / 1.055) ** 2.4)


def linear_to_srgb(v: Array) -> Array:
    return np.where(v <= 0.0031308, v * 12.92, 1.055 * np.maximum(v, 0) ** (1 / 2.4) - 0.055)


def keep_alpha(curve: Callable[[Array], Array], v: Array) -> Array:
    return np.concatenate([curve(v[..., :3]), v[..., 3:]], -1) if v.shape[-1] == 4 else curve(v)


def ycbcr(v: Array, middle: float) -> Array:
    y = v @ LUMA
    return np.stack(
        [y, (v[..., 2] - y) / 1.772 + middle, (v[..., 0] - y) / 1.402 + middle], axis=-1
    )


def from_ycbcr(v: Array, middle: float) -> Array:
    y, b, r = v[..., 0], v[..., 1] - middle, v[..., 2] - middle
    green = y - 0.114 * 1.772 / 0.587 * b - 0.299 * 1.402 / 0.587 * r
    return np.stack([y + 1.402 * r, green, y + 1.772 * b], axis=-1)


def each_pixel(convert: Callable[..., Any], v: Array) -> Array:
    return np.array([convert(*p) for p in v.reshape(-1, 3).tolist()]).reshape(v.shape)


def lab(v: Array) -> Array:
    t = srgb_to_linear(v) @ XYZ.T / WHITE
    f = np.where(t > STEP**3, np.cbrt(t), t / (3 * STEP**2) + 4 / 29)
    return np.stack(
        [116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], -1
    )


def from_lab(v: Array) -> Array:
    y = (v[..., 0] + 16) / 116
    f = np.stack([y + v[..., 1] / 500, y, y - v[..., 2] / 200], -1)
    t = np.where(f > STEP, f**3, 3 * STEP**2 * (f - 4 / 29))
    return linear_to_srgb((t * WHITE) @ np.linalg.inv(XYZ).T)


class Conversion(NamedTuple):
    """A function on values in 0 .. 1, and the allowed error of f32.

    ``channels`` and ``dtypes`` are those that it takes. ``span`` is that of its f32 operands, wider
    than 0 .. 1 where it does not clamp. ``levels`` tells whether it returns levels for u8.
    ``exact`` takes values and the middle of 0 .. 1, which is 128 for levels.
    """

    exact: Callable[[Array, float], Array]
    error: float
    channels: tuple[int, ...] = (3,)
    dtypes: tuple[type[Any], ...] = DTYPES
    span: tuple[float, float] = (0.0, 1.0)
    levels: bool = False


ANY, FLOATS, WIDE = (1, 2, 3, 4), (np.float32,), (-0.25, 1.25)
CONVERSIONS = {
    # Sums of values up to 1.25, or differences of such: a few roundings each.
    "rgb_to_grey": Conversion(lambda v, _: v @ LUMA, 8 * EPS, span=WIDE, levels=True),
    "rgb_to_ycbcr": Conversion(ycbcr, 15 * EPS, span=WIDE, levels=True),
    # The same with factors of 1.772.
    "ycbcr_to_rgb": Conversion(from_ycbcr, 24 * EPS, span=WIDE, levels=True),
    # A hue is a difference of values over their span; 8 roundings of numbers up to 5 / 6.
    "rgb_to_hsv": Conversion(lambda v, _: each_pixel(colorsys.rgb_to_hsv, v), 16 * EPS),
    # The hue counts six times; a sum with 5, and the product of what is left.
    "hsv_to_rgb": Conversion(
        lambda v, _: each_pixel(lambda h, s, v: colorsys.hsv_to_rgb(h % 1, s, v), v),
        32 * EPS,
        dtypes=FLOATS,
    ),
    # f of t: an error of POWER in t is a third of it in f where f is a root, and f's slope is 7.8
    # where t < 0.0089; ROOT of f at most 1. Then 500 times the difference of two.
    "rgb_to_lab": Conversion(
        lambda v, _: lab(v), 2 * 500 * (POWER * (1 / 3 + 7.8 * 0.0089) + ROOT + 8 * EPS)
    ),
    # f takes 6 roundings, its cube 3 times that and two, sums of the inverse matrix's row 5.3 times
    # that and three; the encoding's slope is at most 12.92. The matrix has nine places.
    "lab_to_rgb": Conversion(
        lambda v, _: from_lab(v),
        12.92 * (5.3 * 23 * EPS + 2e-9) + 1.1 * ROOT + 4 * EPS,
        dtypes=FLOATS,
    ),
    "srgb_to_linear": Conversion(
        lambda v, _: keep_alpha(srgb_to_linear, v), 2 * POWER, ANY, span=WIDE
    ),
    "linear_to_srgb": Conversion(
        lambda v, _: keep_alpha(linear_to_srgb, v), 1.2 * ROOT + 4 * EPS, ANY, FLOATS, WIDE
    ),
    "to_float": Conversion(lambda v, _: v, 3 * EPS, ANY, (np.uint8,)),
}


@st.composite
def colours(pick: st.DrawFn, taken: Conversion, dtype: type[np.generic]) -> Array:
    """Draw values over the whole span, many at its ends, or colours next to greys."""
    ranks = (3, 4) if taken.channels == (3,) else (2, 3, 4)
    x = pick(pictures((dtype,), taken.channels, ranks))
    if x.dtype == np.float32:
        np.clip(x / 3 + 0.5, *taken.span, out=x)
    if pick(st.booleans()) and x.ndim > 2:
        step = x.dtype.type(1 if x.dtype == np.uint8 else 2.0**-12)
        x[..., 1:] = x[..., :1]
        x[..., -1] -= step * (x[..., -1] > 0)
    return x


@pytest.mark.parametrize(
    ("name", "dtype"), [(name, d) for name in sorted(CONVERSIONS) for d in CONVERSIONS[name].dtypes]
)
@given(data=st.data(), variant=st.sampled_from(VARIANTS))
@settings(max_examples=draws(5), deadline=None)
def test_as_the_formula(
    device: Device, data: st.DataObject, name: str, dtype: type[np.generic], variant: str
) -> None:
    taken = CONVERSIONS[name]
    x = data.draw(colours(taken, dtype))
    if name == "hsv_to_rgb":
        # A hue counts in whole turns.
        x[..., 0] = 5 * x[..., 0] - 2
    if name == "lab_to_rgb":
        x[...] = lab(x.astype(np.float64))
    values = x.astype(np.float64) / (255 if x.dtype == np.uint8 else 1)
    levels = x.dtype == np.uint8 and taken.levels
    exact, error = taken.exact(values, 128 / 255 if levels else 0.5), taken.error
    if name == "rgb_to_grey":
        exact = exact[..., None] if x.ndim == 4 else exact
    with force_variant("pixels", variant):
        result = getattr(image, name)(upload(device, x)).read()
    if levels:
        exact, error = 255 * exact, 255 * error
    else:
        assert result.dtype == np.float32
    if name == "hsv_to_rgb":
        # Hues of up to 3, which are off by their own rounding.
        error *= 3
    check(device, name, result, exact, error)


@given(x=pictures((np.uint8,), (3,), (3,)), variant=st.sampled_from(VARIANTS))
@settings(max_examples=draws(15), deadline=None)
def test_levels_are_pillows(device: Device, x: Array, variant: str) -> None:
    """Grey is the same to the bit; Pillow's table of Cb and Cr is rounded."""
    with force_variant("pixels", variant):
        grey = image.rgb_to_grey(upload(device, x)).read()
        there = image.rgb_to_ycbcr(upload(device, x))
        back = image.ycbcr_to_rgb(there).read()
    if x.size:
        pillow = Image.fromarray(np.ascontiguousarray(x))
        np.testing.assert_array_equal(grey, np.asarray(pillow.convert("L")))
        near = np.asarray(pillow.convert("YCbCr"))
        assert np.abs(there.read().astype(int) - near).max() <= 1
        # Half a level of each of Y, Cb and Cr, and of the result: (1 + 1.772) / 2 + 1 / 2.
        assert np.abs(back.astype(int) - x).max() <= 1


@given(x=pictures((np.uint8,)), variant=st.sampled_from(VARIANTS))
@settings(max_examples=draws(15), deadline=None)
def test_levels_there_and_back(device: Device, x: Array, variant: str) -> None:
    with force_variant("pixels", variant):
        back = image.to_u8(image.to_float(upload(device, x))).read()
    np.testing.assert_array_equal(back, x)


def test_a_hue_just_below_a_turn_stays_below(device: Device) -> None:
    x = np.array([[[1, 0, 1e-9], [1, 0, 1e-7], [1, 0, 0]]], np.float32)
    hues = image.rgb_to_hsv(upload(device, x)).read()[0, :, 0]
    assert np.all(hues[:2] < 1)
    assert np.all(hues[:2] > 1 - 1e-6)
    assert hues[2] == 0


def test_ties_go_up_and_ends_hold(device: Device) -> None:
    x = np.array([[0.5, -3, 7, 1, 0]], np.float32)
    result = image.to_u8(upload(device, x)).read()
    np.testing.assert_array_equal(result, [[128, 0, 255, 255, 0]])


def test_refuses_what_does_not_fit(device: Device) -> None:
    with pytest.raises(ShapeError, match=r"rgb_to_lab: .*must hold 3 channels"):
        image.rgb_to_lab(device.buffer(f32, (4, 5)))
    with pytest.raises(DTypeError, match="hsv_to_rgb: an image must be f32"):
        image.hsv_to_rgb(device.buffer(u8, (4, 5, 3)))  # type: ignore[arg-type]
    with pytest.raises(DTypeError, match="to_float: an image must be u8"):
        image.to_float(device.buffer(f32, (4, 5)))  # type: ignore[arg-type]
