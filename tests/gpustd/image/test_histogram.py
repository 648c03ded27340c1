"""Histograms are NumPy's of float64, equalised levels Pillow's: to the last count."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageOps

from gpucore import ArgumentError, Device, DTypeError, f32, u8
from gpustd import image
from gpustd.rungs import forced_rung
from tests.gpustd.image.pictures import draw, upload

Array = NDArray[Any]
SHAPES = ((13, 17), (6, 20, 3), (3, 5, 7, 3), (2, 3, 9, 1), (150, 130, 2))


def expected(x: Array, bins: int, span: tuple[float, float]) -> Array:
    """Counts by image and channel."""
    full = x.reshape((1,) * (x.ndim < 4) + x.shape + (1,) * (x.ndim == 2)).astype(np.float64)
    counts = [
        [np.histogram(channel, bins, span)[0] for channel in np.moveaxis(one, -1, 0)]
        for one in full
    ]
    shapes = {2: (bins,), 3: (full.shape[-1], bins)}
    return np.array(counts).reshape(shapes.get(x.ndim, (len(full), full.shape[-1], bins)))


@pytest.mark.parametrize("rung", ["plain", "copies"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_u8(device: Device, shape: tuple[int, ...], rung: str) -> None:
    x = draw(shape, np.uint8)
    for bins in (256, 32):
        with forced_rung("histogram", rung):
            result = image.histogram(upload(device, x), bins).read()
        assert result.dtype == np.uint32
        np.testing.assert_array_equal(result, expected(x, bins, (0, 256)))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(("bins", "rung"), [(10, "plain"), (10, "copies"), (5000, "copies")])
def test_f32(device: Device, shape: tuple[int, ...], bins: int, rung: str) -> None:
    x = draw(shape, np.float32)
    x.reshape(-1)[:5] = [0.1, 3, -1.5, 0.3, np.inf]
    with forced_rung("histogram", rung):
        result = image.histogram(upload(device, x), bins, (-1.5, 3)).read()
    np.testing.assert_array_equal(result, expected(x, bins, (-1.5, 3)))


@given(first=st.floats(-1e3, 1e3), width=st.floats(1e-3, 1e3), seed=st.integers(0, 99))
@example(first=8.49578637462562e-228, width=1.0, seed=0)
@settings(max_examples=15, deadline=None)
def test_values_on_the_edges(device: Device, first: float, width: float, seed: int) -> None:
    """A value that rounding moved beyond an edge is counted where float64 counts it."""
    span = (first, first + width)
    edges = np.linspace(*span, 11).astype(np.float32)
    x = np.concatenate([edges, np.nextafter(edges, np.float32(9e9))])[None]
    x = np.random.default_rng(seed).permuted(x, axis=1)
    result = image.histogram(upload(device, x), 10, span).read()
    np.testing.assert_array_equal(result, expected(x, 10, span))


@pytest.mark.parametrize("span", [(2e-44, 9e-44), (-9e-44, 0.0), (0.0, 1e-43)])
def test_subnormal_values(device: Device, span: tuple[float, float]) -> None:
    """A GPU may take them for 0 in arithmetic; -0 is 0."""
    x = np.arange(-70, 70, dtype=np.float32)[None] * np.float32(2.0**-149)
    x[0, :2] = -0.0, 0.0
    result = image.histogram(upload(device, x), 7, span).read()
    np.testing.assert_array_equal(result, expected(x, 7, span))


def test_nans_are_in_no_bin(device: Device) -> None:
    x = np.array([[np.nan, 0.5, -np.nan, np.inf, -np.inf]], np.float32)
    assert image.histogram(upload(device, x), 2, (0, 1)).read().tolist() == [0, 1]


@pytest.mark.parametrize(
    ("shape", "rung"),
    [(s, "cells") for s in SHAPES]
    + [(s, "tabled") for s in ((13, 16), (2, 100, 104, 3), (3, 4, 8, 2), (2, 5, 4, 4))],
    ids=str,
)
@pytest.mark.parametrize("spread", [256, 40, 1])
def test_equalise_is_pillows(
    device: Device, shape: tuple[int, ...], spread: int, rung: str
) -> None:
    x = (draw(shape, np.uint8).astype(int) * spread // 256 + 3 * (spread < 256)).astype(np.uint8)
    full = x.reshape((1,) * (x.ndim < 4) + x.shape + (1,) * (x.ndim == 2))
    made = np.empty_like(full)
    for n, one in enumerate(full):
        for c in range(one.shape[-1]):
            made[n, ..., c] = ImageOps.equalize(Image.fromarray(one[..., c].copy()))
    with forced_rung("equalise", rung):
        result = image.equalise(upload(device, x)).read()
    np.testing.assert_array_equal(result, made.reshape(shape))


def test_nothing_and_refusals(device: Device) -> None:
    assert image.histogram(device.buffer(u8, (0, 5, 3))).read().tolist() == [[0] * 256] * 3
    assert image.equalise(device.buffer(u8, (0, 5))).read().shape == (0, 5)
    with pytest.raises(ArgumentError, match="divides 256"):
        image.histogram(device.buffer(u8, (4, 5)), 10)
    with pytest.raises(ArgumentError, match=r"wants \(first, last\)"):
        image.histogram(device.buffer(f32, (4, 5)), 10)
    with pytest.raises(ArgumentError, match=r"range \(1, 1\)"):
        image.histogram(device.buffer(f32, (4, 5)), 10, (1, 1))
    with pytest.raises(ArgumentError, match="0 bins"):
        image.histogram(device.buffer(f32, (4, 5)), 0, (0, 1))
    with pytest.raises(DTypeError, match="equalise: wants u8"):
        image.equalise(device.buffer(f32, (4, 5)))  # type: ignore[arg-type]


def test_more_images_than_workgroups_of_a_dimension(device: Device) -> None:
    x = np.arange(66000 * 2, dtype=np.uint32).astype(np.uint8).reshape(66000, 1, 2, 1)
    counts = image.histogram(upload(device, x), 2).read()
    np.testing.assert_array_equal(counts[:, 0, 1], (x >= 128).sum((1, 2, 3)))
    np.testing.assert_array_equal(counts.sum(-1), 2)
