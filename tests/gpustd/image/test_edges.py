"""Derivatives against `scipy.ndimage` in float64.

A sum of six products with small whole weights, summed in f32, is off by at most 6 2^-24 sum |w x|;
the length sqrt(a^2 + b^2) by the errors of a and b and (WGSL's sqrt) 4 more roundings of itself.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.ndimage
from numpy.typing import NDArray

from gpucore import ArgumentError, Device, f32, u8
from gpustd import image
from gpustd.rungs import forced_rung
from tests.gpustd.image.pictures import EPS, MODES, check, draw, upload

CASES = [
    ("cells", "sobel", np.uint8, (13, 17)),
    ("cells", "sobel", np.float32, (6, 20, 3)),
    ("cells", "sobel", np.uint8, (2, 5, 7, 4)),
    ("cells", "scharr", np.uint8, (6, 20, 3)),
    ("cells", "scharr", np.float32, (2, 3, 9, 1)),
    ("stencil", "sobel", np.uint8, (2, 5, 16, 1)),
    ("stencil", "sobel", np.float32, (6, 20, 3)),
    ("stencil", "scharr", np.uint8, (6, 20, 3)),
]


def exact_gradient(x: NDArray[Any], side: int, middle: int, mode: str) -> list[NDArray[Any]]:
    first = 1 if x.ndim == 4 else 0
    parts = []
    for along, beside in ((first, first + 1), (first + 1, first)):
        change = scipy.ndimage.correlate1d(x, [-1, 0, 1], along, mode=mode)
        parts.append(scipy.ndimage.correlate1d(change, [side, middle, side], beside, mode=mode))
    return parts


@pytest.mark.parametrize(("rung", "name", "dtype", "shape"), CASES, ids=str)
def test_gradient(
    device: Device, rung: str, name: str, dtype: type[Any], shape: tuple[int, ...]
) -> None:
    x = draw(shape, dtype)
    side, middle = (1, 2) if name == "sobel" else (3, 10)
    function = getattr(image, name)
    largest = 2 * (2 * side + middle) * float(np.abs(x).max())
    for mode in MODES[:4]:
        down, across = exact_gradient(x.astype(np.float64), side, middle, mode)
        if name == "sobel" and x.ndim == 2:
            own = scipy.ndimage.sobel(x.astype(np.float64), 0, mode=mode)
            np.testing.assert_allclose(down, own, atol=1e-9)
        picture = upload(device, x)
        for axis, exact in ((0, down), (1, across), (None, np.hypot(down, across))):
            with forced_rung("stencil", rung, (8, 2, 2, 1)):
                result = function(picture, axis, mode).read()
            assert result.dtype == np.float32
            check(device, name, result, exact, (16 if axis is None else 6) * EPS * largest)


def test_constant_border(device: Device) -> None:
    x = draw((5, 6), np.float32)
    around = np.pad(x.astype(np.float64), 1, constant_values=2)
    exact = scipy.ndimage.sobel(around, 1)[1:-1, 1:-1]
    result = image.sobel(upload(device, x), 1, "constant", 2).read()
    check(device, "sobel", result, exact, 6 * EPS * 8 * np.abs(x).max())


@pytest.mark.parametrize(("dtype", "shape"), [case[2:] for case in CASES], ids=str)
def test_laplacian(device: Device, dtype: type[Any], shape: tuple[int, ...]) -> None:
    x = draw(shape, dtype)
    wide = x.astype(np.float64)
    first = 1 if x.ndim == 4 else 0
    for mode in MODES:
        exact = sum(
            scipy.ndimage.correlate1d(wide, [1, -2, 1], axis, mode=mode, cval=2)
            for axis in (first, first + 1)
        )
        with forced_rung("stencil", "stencil", (8, 2, 2, 1)):
            result = image.laplacian(upload(device, x), mode, 2).read()
        check(device, "laplacian", result, np.asarray(exact), 7 * EPS * 8 * np.abs(x).max())


def test_refuses_what_does_not_fit(device: Device) -> None:
    with pytest.raises(ArgumentError, match="sobel: axis 2"):
        image.sobel(device.buffer(u8, (4, 5)), 2)
    with pytest.raises(ArgumentError, match="scharr: mode 'zero'"):
        image.scharr(device.buffer(u8, (4, 5)), 0, "zero")
    assert image.sobel(device.buffer(f32, (0, 5))).read().shape == (0, 5)
