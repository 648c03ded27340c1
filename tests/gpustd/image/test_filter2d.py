"""Correlation against `scipy.ndimage` in float64: (K + 2) 2^-24 sum |w x| for K taps in f32."""

from __future__ import annotations

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
from tests.gpustd.image.image_cases import (
    EPS,
    MODES,
    VALUES,
    check,
    draw,
    per_axis,
    pictures,
    upload,
)

Array = NDArray[Any]


@given(
    size=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    zeros=st.sampled_from((0.0, 0.3, 1.0)),
    x=pictures(),
    mode=st.sampled_from(MODES),
    cval=VALUES,
)
@settings(max_examples=draws(25), deadline=None)
def test_correlates(
    device: Device, size: tuple[int, int], zeros: float, x: Array, mode: str, cval: float
) -> None:
    """Taps may be a view, or all zero."""
    rng = np.random.default_rng(3)
    taps = rng.normal(0, 0.3, (size[1], 2 * size[0]))[:, ::-2].T
    taps = taps * (rng.random(size) >= zeros)
    full = taps.reshape(per_axis(x.shape, *size, 1))
    exact, magnitude = (
        scipy.ndimage.correlate(values, weights, mode=mode, cval=value) if x.size else values
        for values, weights, value in (
            (x.astype(np.float64), full, cval),
            (np.abs(x.astype(np.float64)), np.abs(full), abs(cval)),
        )
    )
    result = image.filter2d(upload(device, x), taps, mode, cval).read()
    check(device, "filter2d", result, exact, (taps.size + 2) * EPS * magnitude)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("size", [(3, 2), (4, 5)], ids=str)
def test_stencils(device: Device, size: tuple[int, int], dtype: type[Any]) -> None:
    """GPUs run windows of up to five so; the one of four reaches further up than down."""
    x = draw((2, 5, 12, 3), dtype)
    taps = np.random.default_rng(3).normal(0, 0.3, size)
    taps[0, 1] = 0
    full = taps.reshape(1, *size, 1)
    for mode in MODES:
        exact = scipy.ndimage.correlate(x.astype(np.float64), full, mode=mode, cval=2)
        largest = scipy.ndimage.correlate(abs(x.astype(np.float64)), abs(full), mode=mode, cval=2)
        with force_variant("stencil", "stencil", (8, 2, 1, 1)):
            result = image.filter2d(upload(device, x), taps, mode, 2).read()
        check(device, "filter2d", result, exact, (taps.size + 2) * EPS * largest)


def test_refuses_what_does_not_fit(device: Device) -> None:
    picture = device.buffer(u8, (4, 5))
    with pytest.raises(ArgumentError, match=r"kernel must be .*got \(3,\)"):
        image.filter2d(picture, [1, 2, 3])
    with pytest.raises(ArgumentError, match=r"mode .*'zero'"):
        image.filter2d(picture, [[1]], "zero")
