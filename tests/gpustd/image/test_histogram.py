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
from gpustd.launch.variants import force_variant
from tests.draws import draws
from tests.gpustd.image.image_cases import draw, pictures, upload

Array = NDArray[Any]
# More than a workgroup counts; a batch.
SHAPES = ((3, 5, 7, 3), (150, 130, 2))
VARIANTS = st.sampled_from(("plain", "copies"))


def expected(x: Array, bins: int, span: tuple[float, float]) -> Array:
    """Count by image and channel."""
    full = x.reshape((1,) * (x.ndim < 4) + x.shape + (1,) * (x.ndim == 2)).astype(np.float64)
    counts = [
        [
            np.histogram(channel[~np.isnan(channel)], bins, span)[0]
            for channel in np.moveaxis(one, -1, 0)
        ]
        for one in full
    ]
    shapes = {2: (bins,), 3: (full.shape[-1], bins)}
    return np.array(counts).reshape(shapes.get(x.ndim, (len(full), full.shape[-1], bins)))


@given(x=pictures((np.uint8,)), bins=st.sampled_from((1, 32, 256)), variant=VARIANTS)
@settings(max_examples=draws(20), deadline=None)
def test_u8(device: Device, x: Array, bins: int, variant: str) -> None:
    with force_variant("histogram", variant):
        result = image.histogram(upload(device, x), bins).read()
    assert result.dtype == np.uint32
    np.testing.assert_array_equal(result, expected(x, bins, (0, 256)))


@given(
    x=pictures((np.float32,)),
    bins=st.sampled_from((1, 7, 10)),
    span=st.sampled_from(((-1.5, 3.0), (0.0, 1.0), (-1e30, 1e30), (5.0, 6.0))),
    spoilt=st.lists(st.sampled_from((np.nan, np.inf, -np.inf, -0.0, 0.1, 3.0)), max_size=4),
    variant=VARIANTS,
)
@settings(max_examples=draws(20), deadline=None)
def test_f32_of_any_picture(
    device: Device,
    x: Array,
    bins: int,
    span: tuple[float, float],
    spoilt: list[float],
    variant: str,
) -> None:
    """NaN and values outside are in no bin."""
    x.flat[: min(len(spoilt), x.size)] = spoilt[: x.size]
    with force_variant("histogram", variant):
        result = image.histogram(upload(device, x), bins, span).read()
    np.testing.assert_array_equal(result, expected(x, bins, span))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(("bins", "variant"), [(10, "plain"), (5000, "copies")])
def test_f32(device: Device, shape: tuple[int, ...], bins: int, variant: str) -> None:
    x = draw(shape, np.float32)
    x.reshape(-1)[:5] = [0.1, 3, -1.5, 0.3, np.inf]
    with force_variant("histogram", variant):
        result = image.histogram(upload(device, x), bins, (-1.5, 3)).read()
    np.testing.assert_array_equal(result, expected(x, bins, (-1.5, 3)))


@given(first=st.floats(-1e3, 1e3), width=st.floats(1e-3, 1e3), seed=st.integers(0, 99))
@example(first=8.49578637462562e-228, width=1.0, seed=0)
@settings(max_examples=draws(15), deadline=None)
def test_values_on_the_edges(device: Device, first: float, width: float, seed: int) -> None:
    """A value that rounding moves beyond an edge is counted where float64 counts it."""
    span = (first, first + width)
    edges = np.linspace(*span, 11).astype(np.float32)
    x = np.concatenate([edges, np.nextafter(edges, np.float32(9e9))])[None]
    x = np.random.default_rng(seed).permuted(x, axis=1)
    result = image.histogram(upload(device, x), 10, span).read()
    np.testing.assert_array_equal(result, expected(x, 10, span))


@pytest.mark.parametrize("span", [(2e-44, 9e-44), (-9e-44, 0.0), (0.0, 1e-43)])
def test_subnormal_values(device: Device, span: tuple[float, float]) -> None:
    """A GPU may take subnormal numbers for 0 in arithmetic; -0 is 0."""
    x = np.arange(-70, 70, dtype=np.float32)[None] * np.float32(2.0**-149)
    x[0, :2] = -0.0, 0.0
    result = image.histogram(upload(device, x), 7, span).read()
    np.testing.assert_array_equal(result, expected(x, 7, span))


@given(x=pictures((np.uint8,)), spread=st.sampled_from((256, 40, 2, 1)))
@settings(max_examples=draws(20), deadline=None)
def test_equalise_of_any_picture(device: Device, x: Array, spread: int) -> None:
    check_equalise(device, x, spread, "cells")


@pytest.mark.parametrize(
    ("shape", "variant"),
    [((150, 130, 2), "cells")]
    + [(s, "tabled") for s in ((13, 16), (2, 100, 104, 3), (3, 4, 8, 2), (2, 5, 4, 4))],
    ids=str,
)
def test_equalise(device: Device, shape: tuple[int, ...], variant: str) -> None:
    for spread in (256, 40, 1):
        check_equalise(device, draw(shape, np.uint8), spread, variant)


def check_equalise(device: Device, x: Array, spread: int, variant: str) -> None:
    """Compare with Pillow's levels, for a picture of ``spread`` levels."""
    x = (x.astype(int) * spread // 256 + 3 * (spread < 256)).astype(np.uint8)
    full = x.reshape((1,) * (x.ndim < 4) + x.shape + (1,) * (x.ndim == 2))
    expected_levels = np.empty_like(full)
    for n, one in enumerate(full if x.size else ()):
        for c in range(one.shape[-1]):
            expected_levels[n, ..., c] = ImageOps.equalize(Image.fromarray(one[..., c].copy()))
    with force_variant("equalise", variant):
        result = image.equalise(upload(device, x)).read()
    np.testing.assert_array_equal(result, expected_levels.reshape(x.shape))


def test_refuses_what_does_not_fit(device: Device) -> None:
    with pytest.raises(ArgumentError, match="must divide 256"):
        image.histogram(device.buffer(u8, (4, 5)), 10)
    with pytest.raises(ArgumentError, match=r"must be \(first, last\)"):
        image.histogram(device.buffer(f32, (4, 5)), 10)
    with pytest.raises(ArgumentError, match=r"range must .*got \(1\.0, 1\.0\)"):
        image.histogram(device.buffer(f32, (4, 5)), 10, (1, 1))
    with pytest.raises(ArgumentError, match=r"bins must .*got 0"):
        image.histogram(device.buffer(f32, (4, 5)), 0, (0, 1))
    with pytest.raises(DTypeError, match="equalise: an image must be u8"):
        image.equalise(device.buffer(f32, (4, 5)))  # type: ignore[arg-type]


def test_more_images_than_workgroups_of_a_dimension(device: Device) -> None:
    x = np.arange(66000 * 2, dtype=np.uint32).astype(np.uint8).reshape(66000, 1, 2, 1)
    counts = image.histogram(upload(device, x), 2).read()
    np.testing.assert_array_equal(counts[:, 0, 1], (x >= 128).sum((1, 2, 3)))
    np.testing.assert_array_equal(counts.sum(-1), 2)
