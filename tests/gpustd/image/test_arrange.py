"""flip, crop and pad are NumPy's, to the bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpucore import ArgumentError, Device, DTypeError, ShapeError, f16, u8
from gpustd import image
from gpustd.rungs import forced_rung
from tests.gpustd.image.pictures import SHAPES, draw, per_axis, upload

DTYPES = (np.uint8, np.float32)
PADS = ("constant", "edge", "reflect", "symmetric", "wrap")

extents = st.sampled_from((1, 2, 3, 4, 7, 8, 16))
shapes = st.one_of(
    st.tuples(extents, extents),
    st.tuples(extents, extents, st.integers(1, 4)),
    st.tuples(st.integers(1, 3), extents, extents, st.integers(1, 4)),
)


@pytest.mark.parametrize("cells", [("whole", 1), ("whole", 4), ("flat", 1)], ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_flip(
    device: Device, shape: tuple[int, ...], dtype: type[Any], cells: tuple[str, int]
) -> None:
    x = draw(shape, dtype)
    picture = upload(device, x)
    first = 1 if len(shape) == 4 else 0
    with forced_rung("cells", *cells):
        for axis, axes in ((0, first), (1, first + 1), (None, (first, first + 1))):
            np.testing.assert_array_equal(image.flip(picture, axis).read(), np.flip(x, axes))


@pytest.mark.parametrize("rung", ["direct", "staged"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(2, 37, 32, 3), (5, 16), (3, 48, 2), (4, 8, 3)], ids=str)
def test_flip_of_whole_units(
    device: Device, shape: tuple[int, ...], dtype: type[Any], rung: str
) -> None:
    """Rows of whole words; more units than a workgroup takes."""
    x = draw(shape, dtype)
    picture = upload(device, x)
    first = 1 if len(shape) == 4 else 0
    with forced_rung("pixels", rung):
        for axis, axes in ((1, first + 1), (None, (first, first + 1))):
            np.testing.assert_array_equal(image.flip(picture, axis).read(), np.flip(x, axes))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(2, 5, 8, 4), (7, 6, 4), (5, 8), (3, 6, 2), (9, 136)], ids=str)
def test_flip_of_words(device: Device, shape: tuple[int, ...], dtype: type[Any]) -> None:
    """Pixels of 4, 8 and 16 bytes: up to four turn round in one item."""
    x = draw(shape, dtype)
    picture = upload(device, x)
    first = 1 if len(shape) == 4 else 0
    for axis, axes in ((0, first), (1, first + 1), (None, (first, first + 1))):
        np.testing.assert_array_equal(image.flip(picture, axis).read(), np.flip(x, axes))


@given(data=st.data(), shape=shapes, dtype=st.sampled_from(DTYPES))
@settings(max_examples=15, deadline=None)
def test_crop(
    device: Device, data: st.DataObject, shape: tuple[int, ...], dtype: type[Any]
) -> None:
    x = draw(shape, dtype)
    rows, columns = shape[1:3] if len(shape) == 4 else shape[:2]
    top, bottom = sorted(data.draw(st.tuples(*[st.integers(0, rows)] * 2)))
    left, right = sorted(data.draw(st.tuples(*[st.integers(0, columns)] * 2)))
    result = image.crop(upload(device, x), top, left, bottom - top, right - left).read()
    cut = per_axis(shape, slice(top, bottom), slice(left, right), slice(None))
    np.testing.assert_array_equal(result, x[tuple(cut)])


@pytest.mark.parametrize("mode", PADS)
@given(shape=shapes, dtype=st.sampled_from(DTYPES), widths=st.tuples(*[st.integers(0, 9)] * 4))
@settings(max_examples=8, deadline=None)
def test_pad(
    device: Device, mode: str, shape: tuple[int, ...], dtype: type[Any], widths: tuple[int, ...]
) -> None:
    x = draw(shape, dtype)
    down, across = widths[:2], widths[2:]
    result = image.pad(upload(device, x), (down, across), mode, 7 * (mode == "constant")).read()
    given_widths = per_axis(shape, down, across, (0, 0))
    extra: dict[str, Any] = {"constant_values": 7} if mode == "constant" else {}
    np.testing.assert_array_equal(result, np.pad(x, given_widths, mode, **extra))  # type: ignore[call-overload]


def test_empty_pictures(device: Device) -> None:
    empty = device.buffer(u8, (0, 5, 3))
    assert image.flip(empty).read().shape == (0, 5, 3)
    assert image.crop(empty, 0, 1, 0, 2).read().shape == (0, 2, 3)
    np.testing.assert_array_equal(image.pad(empty, 1).read(), np.zeros((2, 7, 3), np.uint8))


def test_nan_payloads_are_moved_as_they_are(device: Device) -> None:
    bits = np.array([[0x7FC00001, 0xFFC12345, 0x80000000]], np.uint32)
    result = image.flip(device.buffer_from_array(bits.view(np.float32)), 1).read()
    np.testing.assert_array_equal(result.view(np.uint32), bits[:, ::-1])


def test_refuses_what_does_not_fit(device: Device) -> None:
    picture = device.buffer(u8, (4, 5))
    with pytest.raises(ShapeError, match=r"wants \(H, W\)"):
        image.flip(device.buffer(u8, 4))
    with pytest.raises(ShapeError, match="5 channels"):
        image.flip(device.buffer(u8, (4, 4, 5)))
    with pytest.raises(DTypeError, match="wants an image of u8 or f32"):
        image.flip(device.buffer(f16, (4, 4)))
    with pytest.raises(ArgumentError, match="flip: axis 2"):
        image.flip(picture, 2)
    with pytest.raises(ShapeError, match="reaches beyond"):
        image.crop(picture, 1, 0, 4, 5)
    with pytest.raises(ArgumentError, match="pad_width"):
        image.pad(picture, -1)
    with pytest.raises(ArgumentError, match="mode 'mirror'"):
        image.pad(picture, 1, "mirror")
    with pytest.raises(ArgumentError, match="u8 holds 0 to 255"):
        image.pad(picture, 1, constant_values=300)
    with pytest.raises(ShapeError, match="only the mode constant"):
        image.pad(device.buffer(u8, (0, 4)), 1, "edge")


@pytest.mark.parametrize("mode", ["edge", "reflect", "symmetric", "wrap"])
def test_pads_what_is_not_empty_of_the_empty(device: Device, mode: str) -> None:
    """As NumPy: an axis without pixels has none to repeat, the other is no matter."""
    picture = device.buffer(u8, (0, 3))
    assert image.pad(picture, ((0, 0), (1, 2)), mode).read().shape == (0, 6)
    assert image.pad(picture, 0, mode).read().shape == (0, 3)
    with pytest.raises(ShapeError, match="only the mode constant"):
        image.pad(picture, ((1, 0), (0, 0)), mode)
