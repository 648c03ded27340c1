"""Colours against the formulas in float64, and against Pillow where it has the same.

WGSL's pow(x, p) is exp2(p log2(x)): log2 may be off by 3 ulp outside of 0.5 .. 2 and by 2^-21
inside, exp2 by 3 + 2 |x| ulp. Over 0.04 .. 1.1 that is at most 2^-20 of log2 (3 ulp of 4.7 are
2^-20.4), so that pow is off by at most ln 2 p 2^-20 + (3 + 2 x 4.7 p) 2^-23 of itself: for p = 2.4
by 5 x 10^-6, for p = 1 / 2.4 and 1 / 3 (over 0.003 .. 1.1) by 2.1 x 10^-6.
"""

from __future__ import annotations

import colorsys
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from gpucore import Device, DTypeError, ShapeError, f32, u8
from gpustd import image
from gpustd.rungs import forced_rung
from tests.gpustd.image.pictures import EPS, check, draw, upload

Array = NDArray[Any]
# Pixels in all: 1, fewer than four in the last word, more than a workgroup's, a batch.
SHAPES = ((1, 1, 3), (7, 11, 3), (13, 47, 3), (2, 5, 3, 3))
RUNGS = ("direct", "staged")
POWER, ROOT = 5e-6, 2.1e-6
LUMA = np.array([0.299, 0.587, 0.114])
XYZ = np.array(
    [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
)
WHITE = np.array([0.95047, 1.0, 1.08883])


def unit(shape: tuple[int, ...]) -> Array:
    """f32 in 0 .. 1."""
    return np.random.default_rng(2).random(shape, np.float32)


def levels(shape: tuple[int, ...]) -> Array:
    x = draw(shape, np.uint8)
    x.reshape(-1, shape[-1])[0] = 0
    return x


def linear(v: Array) -> Array:
    return np.where(v <= 0.04045, v / 12.92, (np.maximum(v + 0.055, 0) / 1.055) ** 2.4)


def encoded(v: Array) -> Array:
    return np.where(v <= 0.0031308, v * 12.92, 1.055 * np.maximum(v, 0) ** (1 / 2.4) - 0.055)


def lab(v: Array) -> Array:
    t = linear(v) @ XYZ.T / WHITE
    d = 6 / 29
    f = np.where(t > d**3, np.cbrt(t), t / (3 * d * d) + 4 / 29)
    return np.stack(
        [116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], -1
    )


def ycbcr(v: Array, middle: float) -> Array:
    y = v @ LUMA
    return np.stack(
        [y, (v[..., 2] - y) / 1.772 + middle, (v[..., 0] - y) / 1.402 + middle], axis=-1
    )


@pytest.mark.parametrize("rung", RUNGS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_grey(device: Device, shape: tuple[int, ...], rung: str) -> None:
    x, values = levels(shape), unit(shape)
    with forced_rung("pixels", rung):
        grey = image.rgb_to_grey(upload(device, x)).read()
        result = image.rgb_to_grey(upload(device, values)).read()
    pillow = np.asarray(Image.fromarray(x.reshape(-1, shape[-2], 3)).convert("L"))
    made = shape[:2] if len(shape) == 3 else (*shape[:3], 1)
    np.testing.assert_array_equal(grey, pillow.reshape(made))
    check(device, "rgb_to_grey", result, (values @ LUMA).reshape(made), 6 * EPS)


@pytest.mark.parametrize("rung", RUNGS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_ycbcr(device: Device, shape: tuple[int, ...], rung: str) -> None:
    x, values = levels(shape), unit(shape)
    with forced_rung("pixels", rung):
        there = image.rgb_to_ycbcr(upload(device, x))
        floats = image.rgb_to_ycbcr(upload(device, values))
        back, floats_back = image.ycbcr_to_rgb(there), image.ycbcr_to_rgb(floats)
    check(device, "rgb_to_ycbcr", there.read(), ycbcr(x.astype(np.float64), 128), 255 * 12 * EPS)
    check(device, "rgb_to_ycbcr", floats.read(), ycbcr(values.astype(np.float64), 0.5), 12 * EPS)
    # Half a level of each of Y, Cb and Cr, and of the result: (1 + 1.772) / 2 + 1 / 2.
    assert np.abs(back.read().astype(int) - x).max() <= 1
    check(device, "ycbcr_to_rgb", floats_back.read(), values, 50 * EPS)
    pillow = np.asarray(Image.fromarray(x.reshape(-1, shape[-2], 3)).convert("YCbCr"))
    assert np.abs(there.read().reshape(pillow.shape).astype(int) - pillow).max() <= 1


@pytest.mark.parametrize("rung", RUNGS)
def test_hsv(device: Device, rung: str) -> None:
    x, values = levels((7, 11, 3)), unit((7, 11, 3))
    values[0, :4] = [[1, 0, 0], [0, 1, 0], [0.5, 0.5, 0.5], [1, 0, 1]]
    with forced_rung("pixels", rung):
        results = [image.rgb_to_hsv(upload(device, v)) for v in (x, values)]
        back = image.hsv_to_rgb(results[1]).read()
    for v, result in zip((x / 255, values.astype(np.float64)), results, strict=True):
        exact = np.array([colorsys.rgb_to_hsv(*p) for p in v.reshape(-1, 3)]).reshape(v.shape)
        # A hue is a difference of values over their span; 8 roundings of numbers up to 5 / 6.
        check(device, "rgb_to_hsv", result.read(), exact, 16 * EPS)
    # The hue's error counts six times.
    check(device, "hsv_to_rgb", back, values, 6 * 32 * EPS)


def test_a_hue_just_below_a_turn_stays_below(device: Device) -> None:
    x = np.array([[[1, 0, 1e-9], [1, 0, 1e-7], [1, 0, 0]]], np.float32)
    hues = image.rgb_to_hsv(upload(device, x)).read()[0, :, 0]
    assert np.all(hues[:2] < 1)
    assert np.all(hues[:2] > 1 - 1e-6)
    assert hues[2] == 0


def test_hues_count_in_turns(device: Device) -> None:
    hues = np.array([[[-0.75, 1, 1], [2.5, 0.5, 1], [1, 1, 1]]], np.float32)
    exact = [[colorsys.hsv_to_rgb(h % 1, s, v) for h, s, v in hues[0].tolist()]]
    result = image.hsv_to_rgb(upload(device, hues)).read()
    check(device, "hsv_to_rgb", result, np.array(exact), 32 * EPS)


@pytest.mark.parametrize("rung", RUNGS)
def test_lab(device: Device, rung: str) -> None:
    x, values = levels((7, 11, 3)), unit((7, 11, 3))
    values[0, 0] = [0.01, 0.02, 0.03]
    with forced_rung("pixels", rung):
        from_levels = image.rgb_to_lab(upload(device, x)).read()
        there = image.rgb_to_lab(upload(device, values))
        back = image.lab_to_rgb(there).read()
    # f of t: an error of POWER in t is a third of it in f where f is a root, and f's slope is 7.8
    # where t < 0.0089; ROOT of f at most 1. Then 500 times the difference of two.
    error = 2 * 500 * (POWER * (1 / 3 + 7.8 * 0.0089) + ROOT + 8 * EPS)
    check(device, "rgb_to_lab", from_levels, lab(x / 255), error)
    check(device, "rgb_to_lab", there.read(), lab(values.astype(np.float64)), error)
    # Back: f is off by error / 200 each, t by 3 of it, the inverse matrix sums up to 5.3 of these;
    # the encoding's slope is 12.92 near black, where t's own slope is as small as 1 / 7.8.
    check(device, "lab_to_rgb", back, values, error / 200 * 3 * 5.3 * 2)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_transfer(device: Device, channels: int) -> None:
    x, values = levels((5, 7, channels)), unit((5, 7, channels))
    exact = [linear(x / 255), linear(values.astype(np.float64)), encoded(values.astype(np.float64))]
    if channels == 4:
        for full, v in zip(exact, (x / 255, values, values), strict=True):
            full[..., 3] = v[..., 3]
    check(device, "srgb_to_linear", image.srgb_to_linear(upload(device, x)).read(), exact[0], POWER)
    result = image.srgb_to_linear(upload(device, values))
    check(device, "srgb_to_linear", result.read(), exact[1], POWER)
    result = image.linear_to_srgb(upload(device, values))
    check(device, "linear_to_srgb", result.read(), exact[2], 1.1 * ROOT + 4 * EPS)


@pytest.mark.parametrize("rung", RUNGS)
@pytest.mark.parametrize("shape", [(3, 7), (5, 9, 2), (2, 3, 5, 4)], ids=str)
def test_scales(device: Device, shape: tuple[int, ...], rung: str) -> None:
    x = draw(shape, np.uint8)
    with forced_rung("pixels", rung):
        floats = image.to_float(upload(device, x))
        back = image.to_u8(floats).read()
    check(device, "to_float", floats.read(), x / 255, 3 * EPS)
    np.testing.assert_array_equal(back, x)


def test_ties_go_up_and_ends_hold(device: Device) -> None:
    x = np.array([[0.5, -3, 7, 1, 0]], np.float32)
    result = image.to_u8(upload(device, x)).read()
    np.testing.assert_array_equal(result, [[128, 0, 255, 255, 0]])


def test_nothing_and_refusals(device: Device) -> None:
    assert image.rgb_to_grey(device.buffer(u8, (0, 5, 3))).read().shape == (0, 5)
    with pytest.raises(ShapeError, match=r"rgb_to_lab: .*wants 3 channels"):
        image.rgb_to_lab(device.buffer(f32, (4, 5)))
    with pytest.raises(DTypeError, match="hsv_to_rgb: wants f32"):
        image.hsv_to_rgb(device.buffer(u8, (4, 5, 3)))  # type: ignore[arg-type]
    with pytest.raises(DTypeError, match="to_float: wants u8"):
        image.to_float(device.buffer(f32, (4, 5)))  # type: ignore[arg-type]
