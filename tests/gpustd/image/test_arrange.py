"""flip, crop and pad are NumPy's, to the bit."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gpucore import ArgumentError, Device, DTypeError, ShapeError, f16, u8
from gpustd import image
from gpustd.launch.variants import force_variant
from tests.draws import draws
from tests.gpustd.image.image_cases import DTYPES, draw, first_axis, per_axis, pictures, upload

Array = NDArray[Any]
PADS = ("constant", "edge", "reflect", "symmetric", "wrap")


@given(x=pictures(), cells=st.sampled_from((None, ("whole", 1), ("whole", 4), ("flat", 1))))
@settings(max_examples=draws(25), deadline=None)
def test_flip(device: Device, x: Array, cells: tuple[str, int] | None) -> None:
    picture = upload(device, x)
    first = first_axis(x)
    with force_variant("cells", *cells) if cells else nullcontext():
        for axis, axes in ((0, first), (1, first + 1), (None, (first, first + 1))):
            np.testing.assert_array_equal(image.flip(picture, axis).read(), np.flip(x, axes))


@pytest.mark.parametrize("variant", ["direct", "staged"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(2, 37, 32, 3), (5, 16), (3, 48, 2), (4, 8, 3)], ids=str)
def test_flip_of_whole_units(
    device: Device, shape: tuple[int, ...], dtype: type[Any], variant: str
) -> None:
    """Rows are whole words, and there are more units than a workgroup takes."""
    x = draw(shape, dtype)
    picture = upload(device, x)
    first = 1 if len(shape) == 4 else 0
    with force_variant("pixels", variant):
        for axis, axes in ((1, first + 1), (None, (first, first + 1))):
            np.testing.assert_array_equal(image.flip(picture, axis).read(), np.flip(x, axes))


@given(data=st.data(), x=pictures())
@settings(max_examples=draws(15), deadline=None)
def test_crop(device: Device, data: st.DataObject, x: Array) -> None:
    rows, columns = x.shape[first_axis(x) :][:2]
    top, bottom = sorted(data.draw(st.tuples(*[st.integers(0, rows)] * 2)))
    left, right = sorted(data.draw(st.tuples(*[st.integers(0, columns)] * 2)))
    result = image.crop(upload(device, x), top, left, bottom - top, right - left).read()
    cut = per_axis(x.shape, slice(top, bottom), slice(left, right), slice(None))
    np.testing.assert_array_equal(result, x[tuple(cut)])


@pytest.mark.parametrize("mode", PADS)
@given(x=pictures(), widths=st.tuples(*[st.integers(0, 9)] * 4))
@settings(max_examples=draws(8), deadline=None)
def test_pad(device: Device, mode: str, x: Array, widths: tuple[int, ...]) -> None:
    """NumPy refuses to repeat pixels of an axis that has none; so does pad."""
    down, across = widths[:2], widths[2:]
    given_widths = per_axis(x.shape, down, across, (0, 0))
    extra: dict[str, Any] = {"constant_values": 7} if mode == "constant" else {}
    picture, value = upload(device, x), 7 * (mode == "constant")
    try:
        expected = np.pad(x, given_widths, mode, **extra)  # type: ignore[call-overload]
    except ValueError:
        with pytest.raises(ShapeError, match="mode must be 'constant'"):
            image.pad(picture, (down, across), mode, value)
        return
    np.testing.assert_array_equal(image.pad(picture, (down, across), mode, value).read(), expected)


def test_nan_payloads_are_moved_as_they_are(device: Device) -> None:
    bits = np.array([[0x7FC00001, 0xFFC12345, 0x80000000]], np.uint32)
    result = image.flip(device.buffer_from_array(bits.view(np.float32)), 1).read()
    np.testing.assert_array_equal(result.view(np.uint32), bits[:, ::-1])


def test_refuses_what_does_not_fit(device: Device) -> None:
    picture = device.buffer(u8, (4, 5))
    with pytest.raises(ShapeError, match=r"must be \(H, W\)"):
        image.flip(device.buffer(u8, 4))
    with pytest.raises(ShapeError, match="1 to 4 channels, got 5"):
        image.flip(device.buffer(u8, (4, 4, 5)))
    with pytest.raises(DTypeError, match="must be u8 or f32"):
        image.flip(device.buffer(f16, (4, 4)))
    with pytest.raises(ArgumentError, match=r"flip: axis .*2"):
        image.flip(picture, 2)
    with pytest.raises(ShapeError, match="must lie inside"):
        image.crop(picture, 1, 0, 4, 5)
    with pytest.raises(ArgumentError, match="pad_width"):
        image.pad(picture, -1)
    with pytest.raises(ArgumentError, match=r"mode .*'mirror'"):
        image.pad(picture, 1, "mirror")
    with pytest.raises(ArgumentError, match="from 0 to 255 for u8"):
        image.pad(picture, 1, constant_values=300)
