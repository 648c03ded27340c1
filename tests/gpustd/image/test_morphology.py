"""Grey morphology is SciPy's, to the bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.ndimage
from numpy.typing import NDArray

from gpucore import ArgumentError, Device, u8
from gpustd import image
from gpustd.rungs import forced_rung
from tests.gpustd.image.pictures import MODES, draw, per_axis, upload

Array = NDArray[Any]
CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]])
LOPSIDED = np.array([[1, 1, 0, 0], [0, 1, 0, 1], [0, 0, 0, 1]])
PLANS: dict[tuple[str, type[Any]], tuple[int, ...] | None] = {
    ("axes", np.uint8): None,
    ("axes", np.float32): None,
    ("tile", np.uint8): (4, 2, 3, 2, 1),
    ("strip", np.uint8): (1, 2, 3, 2, 4),
    ("strip", np.float32): (1, 2, 3, 2, 1),
}
CASES = [
    ("axes", np.uint8, (13, 17)),
    ("axes", np.float32, (6, 20, 3)),
    ("tile", np.uint8, (6, 20, 3)),
    ("strip", np.uint8, (2, 9, 16, 3)),
    ("strip", np.float32, (6, 20, 3)),
]


@pytest.mark.parametrize(("rung", "dtype", "shape"), CASES, ids=str)
def test_rectangles(device: Device, rung: str, dtype: type[Any], shape: tuple[int, ...]) -> None:
    x = draw(shape, dtype)
    for size in ((2, 3),) if rung != "axes" else ((3, 3), (2, 5)):
        whole = tuple(per_axis(shape, *size, 1))
        for mode in MODES if size[1] == 3 else ("reflect",):
            picture = upload(device, x)
            with forced_rung("separable", rung, PLANS[rung, dtype]):
                least = image.erode(picture, size, mode=mode, cval=3).read()
                most = image.dilate(picture, size, mode=mode, cval=3).read()
            for result, function in (
                (least, scipy.ndimage.grey_erosion),
                (most, scipy.ndimage.grey_dilation),
            ):
                expected = function(x, size=whole, mode=mode, cval=3)
                np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("shape", [(11, 128), (2, 5, 16, 3)], ids=str)
def test_strips_of_one_step(device: Device, shape: tuple[int, ...]) -> None:
    """All rows of a strip at once; where there is one channel, neighbours share what they fold."""
    x = draw(shape, np.uint8)
    for size in ((3, 3), (2, 5)):
        with forced_rung("separable", "strip", (1, 2, 3, 3 + size[0] - 1, 4)):
            result = image.erode(upload(device, x), size, mode="mirror").read()
        whole = tuple(per_axis(shape, *size, 1))
        np.testing.assert_array_equal(result, scipy.ndimage.grey_erosion(x, whole, mode="mirror"))


@pytest.mark.parametrize("footprint", [CROSS, LOPSIDED], ids=["cross", "lopsided"])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("rung", ["cells", "stencil"])
def test_footprints(device: Device, rung: str, dtype: type[Any], footprint: Array) -> None:
    x = draw((2, 5, 8, 3), dtype)
    whole = footprint.reshape(1, *footprint.shape, 1)
    picture = upload(device, x)
    for mode in MODES:
        for name in ("erosion", "dilation"):
            with forced_rung("stencil", rung, (8, 2, 1, 1)):
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


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_compounds(device: Device, dtype: type[Any]) -> None:
    """Whole numbers, so that differences are exact; SciPy has signs to hold them."""
    x = draw((9, 14), np.uint8)
    picture = upload(device, x if dtype is np.int16 else x.astype(np.float32))
    for size in (3, (1, 4)):
        pair = (size, size) if isinstance(size, int) else size
        for name, scipys in (
            ("opening", "grey_opening"),
            ("closing", "grey_closing"),
            ("morphological_gradient", "morphological_gradient"),
            ("white_tophat", "white_tophat"),
            ("black_tophat", "black_tophat"),
        ):
            expected = getattr(scipy.ndimage, scipys)(x.astype(dtype), size=pair)
            result = getattr(image, name)(picture, size).read()
            np.testing.assert_array_equal(result, np.clip(expected, 0, 255))


def test_nothing_and_refusals(device: Device) -> None:
    assert image.erode(device.buffer(u8, (3, 0))).read().shape == (3, 0)
    picture = device.buffer(u8, (4, 5))
    with pytest.raises(ArgumentError, match="erode: size 0"):
        image.erode(picture, 0)
    with pytest.raises(ArgumentError, match=r"dilate: footprint of shape \(2, 2\)"):
        image.dilate(picture, footprint=[[0, 0], [0, 0]])
