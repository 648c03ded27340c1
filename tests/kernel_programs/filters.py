"""Filters and regions of pictures, in NumPy and SciPy."""

from __future__ import annotations

import colorsys
from collections.abc import Iterator

import numpy as np
from scipy import ndimage

from examples.kernels import images, regions
from gpucore import Device
from tests.kernel_programs.comparing import Comparison, given, poisoned, random

SHAPE = (37, 53)


def picture() -> np.ndarray:
    return random().random(SHAPE).astype(np.float32)


def sobel(device: Device) -> Iterator[Comparison]:
    x, edges = picture(), poisoned(device, SHAPE)
    images.sobel(given(device, x), edges)
    down, across = (ndimage.sobel(x.astype(float), axis, mode="nearest") for axis in (0, 1))
    yield Comparison(edges.read(), np.hypot(down, across))


def bilateral(device: Device) -> Iterator[Comparison]:
    x, smooth = picture(), poisoned(device, SHAPE)
    images.bilateral(given(device, x), smooth, 3, 2.0, 0.25)
    padded = np.pad(x.astype(float), 3, "edge")
    total, weights = np.zeros(SHAPE), np.zeros(SHAPE)
    for dy in range(-3, 4):
        for dx in range(-3, 4):
            value = padded[3 + dy :][: SHAPE[0], 3 + dx :][:, : SHAPE[1]]
            weight = np.exp(-(dy * dy + dx * dx) / 8 - (value - x) ** 2 / 0.125)
            total += weight * value
            weights += weight
    yield Comparison(smooth.read(), total / weights, 1e-4, 1e-5)


def median(device: Device) -> Iterator[Comparison]:
    x, middle = picture(), poisoned(device, SHAPE)
    images.median(given(device, x), middle)
    yield Comparison(middle.read(), ndimage.median_filter(x, 3, mode="nearest"), 0, 0)


def gaussian_blur(device: Device) -> Iterator[Comparison]:
    x = picture()
    made = images.gaussian_blur(given(device, x), 1.5, 4)
    expected = ndimage.gaussian_filter(x.astype(float), 1.5, radius=4, mode="nearest")
    yield Comparison(made.read(), expected)


def integral_image(device: Device) -> Iterator[Comparison]:
    x = picture()
    made = images.integral_image(given(device, x))
    yield Comparison(made.read(), x.astype(float).cumsum(0).cumsum(1))


def rgb_to_hsv(device: Device) -> Iterator[Comparison]:
    rgb = random().random((333, 4)).astype(np.float32)
    rgb[0, :3] = 0.5
    rgb[1, :3] = 0
    hsv = poisoned(device, (333, 4))
    images.rgb_to_hsv(given(device, rgb), hsv)
    expected = [(*colorsys.rgb_to_hsv(*each[:3]), each[3]) for each in rgb.astype(float)]
    yield Comparison(hsv.read(), expected, 1e-4, 1e-5)


def bayer(side: int) -> np.ndarray:
    if side == 1:
        return np.zeros((1, 1), int)
    half = 4 * bayer(side // 2)
    return np.block([[half, half + 2], [half + 3, half + 1]])


def dither(device: Device) -> Iterator[Comparison]:
    x, y = picture(), poisoned(device, SHAPE, np.uint32)
    images.dither(given(device, x), y)
    threshold = np.tile(bayer(8), (5, 7))[: SHAPE[0], : SHAPE[1]]
    yield Comparison(y.read(), x * 64 > threshold + 0.5, 0, 0)


def dilate(device: Device) -> Iterator[Comparison]:
    x, y = picture(), poisoned(device, SHAPE)
    images.dilate(given(device, x), y, 2)
    yield Comparison(y.read(), ndimage.maximum_filter(x, 5, mode="nearest"), 0, 0)


def erode(device: Device) -> Iterator[Comparison]:
    x, y = picture(), poisoned(device, SHAPE)
    images.erode(given(device, x), y, 3)
    yield Comparison(y.read(), ndimage.minimum_filter(x, 7, mode="nearest"), 0, 0)


def connected_components(device: Device) -> Iterator[Comparison]:
    cells = (random().random(SHAPE) < 0.55).astype(np.uint32)
    made = regions.connected_components(given(device, cells, np.uint32)).read()
    labels, count = ndimage.label(cells)
    numbers = np.arange(cells.size).reshape(SHAPE)
    first = ndimage.minimum(numbers, labels, np.arange(count + 1))
    yield Comparison(made, np.where(cells > 0, first[labels], regions.NONE), 0, 0)


def flood_fill(device: Device) -> Iterator[Comparison]:
    colours = (random().random(SHAPE) < 0.35).astype(np.uint32)
    colours[18:22, 20:30] = 0
    filled = np.zeros(SHAPE, np.uint32)
    filled[20, 25] = 1
    made = given(device, filled, np.uint32)
    regions.flood_fill(given(device, colours, np.uint32), made, 0)
    labels, _ = ndimage.label(colours == 0)
    yield Comparison(made.read(), labels == labels[20, 25], 0, 0)


def distance_transform(device: Device) -> Iterator[Comparison]:
    cells = (random().random(SHAPE) < 0.01).astype(np.uint32)
    made = regions.distance_transform(given(device, cells, np.uint32))
    yield Comparison(made.read(), ndimage.distance_transform_edt(cells == 0), differing=0.005)


CASES = (
    sobel,
    bilateral,
    median,
    gaussian_blur,
    integral_image,
    rgb_to_hsv,
    dither,
    dilate,
    erode,
    connected_components,
    flood_fill,
    distance_transform,
)
