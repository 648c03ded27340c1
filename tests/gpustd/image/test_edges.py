"""Derivatives against `scipy.ndimage` in float64.

A sum of six products with small whole weights, summed in f32, is off by at most 6 2^-24 sum |w x|;
the length sqrt(a^2 + b^2) by the errors of a and b and (WGSL's sqrt) 4 more roundings of itself.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.ndimage
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gpucore import ArgumentError, Device, f32, u8
from gpustd import image
from gpustd.launch.variants import force_variant
from tests.draws import draws
from tests.gpustd.image.image_cases import (
    EPS,
    MODES,
    VALUES,
    check,
    draw,
    first_axis,
    largest,
    pictures,
    upload,
)

CASES = [
    ("sobel", np.uint8, (2, 5, 16, 1)),
    ("sobel", np.float32, (6, 20, 3)),
    ("scharr", np.uint8, (6, 20, 3)),
]


def exact_gradient(x: NDArray[Any], side: int, middle: int, mode: str) -> list[NDArray[Any]]:
    first = first_axis(x)
    parts = []
    for along, beside in ((first, first + 1), (first + 1, first)):
        change = scipy.ndimage.correlate1d(x, [-1, 0, 1], along, mode=mode)
        parts.append(scipy.ndimage.correlate1d(change, [side, middle, side], beside, mode=mode))
    return parts


@given(
    name=st.sampled_from(("sobel", "scharr")),
    x=pictures(),
    mode=st.sampled_from(MODES),
    cval=VALUES,
)
@settings(max_examples=draws(20), deadline=None)
def test_gradient_of_any_picture(
    device: Device, name: str, x: NDArray[Any], mode: str, cval: float
) -> None:
    check_gradient(device, name, x, mode, cval)


@pytest.mark.parametrize(("name", "dtype", "shape"), CASES, ids=str)
def test_gradient_by_stencils(
    device: Device, name: str, dtype: type[Any], shape: tuple[int, ...]
) -> None:
    x = draw(shape, dtype)
    for mode in MODES[:4]:
        with force_variant("stencil", "stencil", (8, 2, 2, 1)):
            check_gradient(device, name, x, mode, 2)


def check_gradient(device: Device, name: str, x: NDArray[Any], mode: str, cval: float) -> None:
    """Compare with float64. The constant surrounds the image, and the derivative follows."""
    side, middle = (1, 2) if name == "sobel" else (3, 10)
    wide = x.astype(np.float64)
    if mode == "constant":
        first = first_axis(x)
        widths = [(1, 1) if axis in (first, first + 1) else (0, 0) for axis in range(x.ndim)]
        inside = tuple(slice(a, -a or None) for a, _ in widths)
        around = np.pad(wide, widths, constant_values=cval)
        down, across = (part[inside] for part in exact_gradient(around, side, middle, "nearest"))
    else:
        down, across = exact_gradient(wide, side, middle, mode)
        if name == "sobel" and x.ndim == 2 and x.size:
            own = scipy.ndimage.sobel(wide, 0, mode=mode)
            np.testing.assert_allclose(down, own, atol=1e-9)
    most = 2 * (2 * side + middle) * largest(x, cval)
    picture = upload(device, x)
    for axis, exact in ((0, down), (1, across), (None, np.hypot(down, across))):
        result = getattr(image, name)(picture, axis, mode, cval).read()
        assert result.dtype == np.float32
        check(device, name, result, exact, (16 if axis is None else 6) * EPS * most)


@given(x=pictures(), mode=st.sampled_from(MODES), cval=VALUES)
@settings(max_examples=draws(15), deadline=None)
def test_laplacian_of_any_picture(device: Device, x: NDArray[Any], mode: str, cval: float) -> None:
    check_laplacian(device, x, mode, cval)


@pytest.mark.parametrize(("dtype", "shape"), [case[1:] for case in CASES[:2]], ids=str)
def test_laplacian_by_stencils(device: Device, dtype: type[Any], shape: tuple[int, ...]) -> None:
    for mode in MODES:
        with force_variant("stencil", "stencil", (8, 2, 2, 1)):
            check_laplacian(device, draw(shape, dtype), mode, 2)


def check_laplacian(device: Device, x: NDArray[Any], mode: str, cval: float) -> None:
    exact = sum(
        scipy.ndimage.correlate1d(x.astype(np.float64), [1, -2, 1], axis, mode=mode, cval=cval)
        for axis in (first_axis(x), first_axis(x) + 1)
    )
    result = image.laplacian(upload(device, x), mode, cval).read()
    check(device, "laplacian", result, np.asarray(exact), 7 * EPS * 8 * largest(x, cval))


def test_refuses_what_does_not_fit(device: Device) -> None:
    with pytest.raises(ArgumentError, match=r"sobel: axis .*2"):
        image.sobel(device.buffer(u8, (4, 5)), 2)
    with pytest.raises(ArgumentError, match=r"scharr: mode .*'zero'"):
        image.scharr(device.buffer(u8, (4, 5)), 0, "zero")
    assert image.sobel(device.buffer(f32, (0, 5))).read().shape == (0, 5)
