"""Grey morphology is SciPy's, to the bit."""

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
from tests.gpustd.image.image_cases import MODES, draw, per_axis, pictures, upload

Array = NDArray[Any]
CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]])
LOPSIDED = np.array([[1, 1, 0, 0], [0, 1, 0, 1], [0, 0, 0, 1]])
PLANS: dict[tuple[str, type[Any]], tuple[int, ...]] = {
    ("tile", np.uint8): (4, 2, 3, 2, 1),
    ("strip", np.uint8): (1, 2, 3, 2, 4),
    ("strip", np.float32): (1, 2, 3, 2, 1),
}
CASES = [
    ("tile", np.uint8, (6, 20, 3)),
    ("strip", np.uint8, (2, 9, 16, 3)),
    ("strip", np.float32, (6, 20, 3)),
]


SCIPYS = {
    "erode": "grey_erosion",
    "dilate": "grey_dilation",
    "opening": "grey_opening",
    "closing": "grey_closing",
    "morphological_gradient": "morphological_gradient",
    "white_tophat": "white_tophat",
    "black_tophat": "black_tophat",
}
WINDOWS = st.tuples(st.integers(1, 5), st.integers(1, 5))


@pytest.mark.parametrize("name", sorted(SCIPYS))
@given(
    x=pictures(),
    window=WINDOWS,
    share=st.none() | st.sampled_from((0.3, 0.7)),
    mode=st.sampled_from(MODES),
    cval=st.sampled_from((0, 3, 255)),
)
@settings(max_examples=draws(6), deadline=None)
def test_windows_of_any_form(
    device: Device,
    name: str,
    x: Array,
    window: tuple[int, int],
    share: float | None,
    mode: str,
    cval: int,
) -> None:
    """Windows are rectangles, or footprints of a ``share`` of one.

    SciPy computes levels with signs, so that differences below 0, where u8 stops, show.
    """
    kept = np.random.default_rng(2).random((2 * window[0], window[1]))[::-2] < (share or 1)
    kept[0, -1] = True
    footprint = None if share is None else kept
    whole = kept.reshape(per_axis(x.shape, *window, 1))
    wide = x.astype(np.int16) if x.dtype == np.uint8 else x
    form = {"size": whole.shape} if share is None else {"footprint": whole}
    function = getattr(scipy.ndimage, SCIPYS[name])
    expected = function(wide, **form, mode=mode, cval=cval) if x.size else wide
    if x.dtype == np.uint8:
        expected = np.clip(expected, 0, 255)
    result = getattr(image, name)(upload(device, x), window, footprint, mode, cval).read()
    assert result.dtype == x.dtype
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize(("variant", "dtype", "shape"), CASES, ids=str)
def test_rectangles(device: Device, variant: str, dtype: type[Any], shape: tuple[int, ...]) -> None:
    x = draw(shape, dtype)
    whole = tuple(per_axis(shape, 2, 3, 1))
    for mode in MODES:
        picture = upload(device, x)
        with force_variant("separable", variant, PLANS[variant, dtype]):
            least = image.erode(picture, (2, 3), mode=mode, cval=3).read()
            most = image.dilate(picture, (2, 3), mode=mode, cval=3).read()
        for result, function in (
            (least, scipy.ndimage.grey_erosion),
            (most, scipy.ndimage.grey_dilation),
        ):
            expected = function(x, size=whole, mode=mode, cval=3)
            np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("shape", [(11, 128), (2, 5, 16, 3)], ids=str)
def test_strips_of_one_step(device: Device, shape: tuple[int, ...]) -> None:
    """All rows of a strip are read at once; with one channel, neighbours share what they fold."""
    x = draw(shape, np.uint8)
    for size in ((3, 3), (2, 5)):
        with force_variant("separable", "strip", (1, 2, 3, 3 + size[0] - 1, 4)):
            result = image.erode(upload(device, x), size, mode="mirror").read()
        whole = tuple(per_axis(shape, *size, 1))
        np.testing.assert_array_equal(result, scipy.ndimage.grey_erosion(x, whole, mode="mirror"))


@pytest.mark.parametrize("footprint", [CROSS, LOPSIDED], ids=["cross", "lopsided"])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_footprints_by_stencils(device: Device, dtype: type[Any], footprint: Array) -> None:
    x = draw((2, 5, 8, 3), dtype)
    whole = footprint.reshape(1, *footprint.shape, 1)
    picture = upload(device, x)
    for mode in MODES:
        for name in ("erosion", "dilation"):
            with force_variant("stencil", "stencil", (8, 2, 1, 1)):
                result = (image.erode if name == "erosion" else image.dilate)(
                    picture, footprint=footprint, mode=mode, cval=3
                ).read()
            function = getattr(scipy.ndimage, f"grey_{name}")
            expected = function(x, footprint=whole, mode=mode, cval=3)
            np.testing.assert_array_equal(result, expected)


def test_infinities(device: Device) -> None:
    x = np.full((3, 5), np.inf, np.float32)
    picture = upload(device, x)
    np.testing.assert_array_equal(image.erode(picture).read(), x)
    np.testing.assert_array_equal(image.erode(picture, footprint=CROSS).read(), x)
    np.testing.assert_array_equal(image.dilate(upload(device, -x)).read(), -x)


def test_refuses_what_does_not_fit(device: Device) -> None:
    picture = device.buffer(u8, (4, 5))
    with pytest.raises(ArgumentError, match=r"erode: size must be .*got 0"):
        image.erode(picture, 0)
    with pytest.raises(ArgumentError, match=r"dilate: footprint must be"):
        image.dilate(picture, footprint=[[0, 0], [0, 0]])
