"""The median is SciPy's, to the bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.ndimage

from gpucore import ArgumentError, Device, u8
from gpustd import image
from gpustd.rungs import forced_rung
from tests.gpustd.image.pictures import MODES, draw, per_axis, upload

CASES = [
    ("select", 3, np.uint8, (13, 17)),
    ("select", 3, np.float32, (2, 5, 7, 3)),
    ("select", 5, np.float32, (6, 20, 3)),
    ("select", 5, np.uint8, (9, 12)),
    ("bisect", 3, np.float32, (6, 7)),
    ("bisect", 7, np.uint8, (6, 20, 3)),
    ("bisect", 7, np.float32, (9, 5)),
    ("bisect", 9, np.float32, (2, 3, 12, 2)),
]


@pytest.mark.parametrize(("rung", "size", "dtype", "shape"), CASES, ids=str)
def test_median(
    device: Device, rung: str, size: int, dtype: type[Any], shape: tuple[int, ...]
) -> None:
    x = draw(shape, dtype)
    for mode in MODES:
        expected = scipy.ndimage.median_filter(
            x, tuple(per_axis(shape, size, size, 1)), mode=mode, cval=3
        )
        with forced_rung("median", rung):
            result = image.median(upload(device, x), size, mode, 3).read()
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
        with forced_rung("stencil", "stencil", plan):
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
    with forced_rung("stencil", "stencil", (8, 2, 2, cells)):
        result = image.median(upload(device, x), 5, mode, 3).read()
    np.testing.assert_array_equal(result, expected)


@pytest.mark.slow
def test_large_networks(device: Device) -> None:
    """What GPUs take for seven and nine; a software renderer compiles it for seconds."""
    x = draw((5, 8), np.float32)
    with forced_rung("median", "select"):
        result = image.median(upload(device, x), 7).read()
    np.testing.assert_array_equal(result, scipy.ndimage.median_filter(x, 7))


def test_small_and_empty(device: Device) -> None:
    x = draw((1, 1), np.uint8)
    np.testing.assert_array_equal(image.median(upload(device, x), 5).read(), x)
    np.testing.assert_array_equal(image.median(upload(device, x), 1).read(), x)
    assert image.median(device.buffer(u8, (0, 3)), 3).read().shape == (0, 3)


def test_refuses_even_sizes(device: Device) -> None:
    for size in (0, 2, 11):
        with pytest.raises(ArgumentError, match="it is one of 1, 3, 5, 7, 9"):
            image.median(device.buffer(u8, (4, 4)), size)
