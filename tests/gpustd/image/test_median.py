"""The median is SciPy's, to the bit."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import scipy.ndimage
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gpucore import ArgumentError, Device, u8
from gpustd import image
from gpustd.launch.variants import force_variant
from tests.draws import draws
from tests.gpustd.image.image_cases import MODES, VALUES, draw, per_axis, pictures, upload

Array = NDArray[Any]


@given(
    x=pictures(),
    size=st.sampled_from((1, 3, 5, 7, 9)),
    variant=st.sampled_from((None, "bisect")),
    mode=st.sampled_from(MODES),
    cval=VALUES,
)
@settings(max_examples=draws(30), deadline=None)
def test_median_of_any_picture(
    device: Device, x: Array, size: int, variant: str | None, mode: str, cval: float
) -> None:
    """As in SciPy, u8 is surrounded by a level."""
    if x.dtype == np.uint8:
        cval = abs(int(cval)) % 256
    whole = tuple(per_axis(x.shape, size, size, 1))
    expected = scipy.ndimage.median_filter(x, whole, mode=mode, cval=cval) if x.size else x
    with force_variant("median", variant) if variant else nullcontext():
        result = image.median(upload(device, x), size, mode, cval).read()
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("shape", [(2, 9, 32, 3), (6, 20, 3), (1, 2, 16, 1), (5, 4, 4)], ids=str)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_median_of_three_by_stencils(
    device: Device, dtype: type[Any], shape: tuple[int, ...]
) -> None:
    x = draw(shape, dtype)
    cells = 2 if dtype is np.uint8 and shape[-1] == 1 else 1
    plan = (8, 2, 2 if shape[-2] == 32 else 1, cells)
    for mode in MODES:
        expected = scipy.ndimage.median_filter(
            x, tuple(per_axis(shape, 3, 3, 1)), mode=mode, cval=3
        )
        with force_variant("stencil", "stencil", plan):
            result = image.median(upload(device, x), 3, mode, 3).read()
        np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize(
    ("dtype", "shape", "cells", "mode"),
    [
        (np.uint8, (7, 24, 1), 2, "mirror"),
        (np.float32, (2, 9, 4, 3), 1, "constant"),
        (np.float32, (3, 8, 2), 1, "reflect"),
        (np.uint8, (5, 4, 4), 1, "wrap"),
    ],
    ids=str,
)
def test_median_of_five_by_stencils(
    device: Device, dtype: type[Any], shape: tuple[int, ...], cells: int, mode: str
) -> None:
    x = draw(shape, dtype)
    expected = scipy.ndimage.median_filter(x, tuple(per_axis(shape, 5, 5, 1)), mode=mode, cval=3)
    with force_variant("stencil", "stencil", (8, 2, 2, cells)):
        result = image.median(upload(device, x), 5, mode, 3).read()
    np.testing.assert_array_equal(result, expected)


@pytest.mark.slow
def test_large_networks(device: Device) -> None:
    """GPUs take these networks for seven and nine; software renderers compile them for seconds."""
    x = draw((5, 8), np.float32)
    with force_variant("median", "select"):
        result = image.median(upload(device, x), 7).read()
    np.testing.assert_array_equal(result, scipy.ndimage.median_filter(x, 7))


def test_refuses_even_sizes(device: Device) -> None:
    for size in (0, 2, 11):
        with pytest.raises(ArgumentError, match="one of 1, 3, 5, 7, 9"):
            image.median(device.buffer(u8, (4, 4)), size)
