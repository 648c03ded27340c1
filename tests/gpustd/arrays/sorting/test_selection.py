"""topk against NumPy's stable sort."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpucore import ArgumentError, Device, ShapeError, f32
from gpustd import arrays
from gpustd.launch.subgroups import row_lanes
from gpustd.launch.variants import force_variant
from tests.conftest import skip_without_f16
from tests.draws import draws
from tests.gpustd.arrays.operators import draw, held_by
from tests.gpustd.arrays.sorting.test_radix import falling, with_specials

SHAPE = st.lists(st.sampled_from([0, 1, 2, 3, 16, 37]), min_size=1, max_size=3).map(tuple)
REALS = st.sampled_from(["f32", "f16", "i32", "u32", "i8", "u8"])


@settings(max_examples=draws(15), deadline=None)
@given(SHAPE, REALS, st.booleans(), st.data())
def test_topk(
    device: Device, shape: tuple[int, ...], dtype: str, largest: bool, data: st.DataObject
) -> None:
    x = with_specials(draw(held_by(device, dtype), shape))
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    k = data.draw(st.integers(0, shape[axis]))
    order = falling(x, axis) if largest else np.argsort(x, axis=axis, kind="stable")
    places = np.take(order, np.arange(k), axis=axis)
    values, found = arrays.topk(device.buffer_from_array(x), k, axis, largest=largest)
    np.testing.assert_array_equal(found.read(), places)
    result = values.read()
    np.testing.assert_array_equal(result, np.take_along_axis(x, places, axis), strict=True)


@pytest.mark.parametrize("dtype", ["f32", "f16", "i32", "u32", "i8", "u8"])
@pytest.mark.parametrize(("n", "k"), [(1, 1), (8, 8), (36, 5), (101, 4), (3000, 7), (2501, 3)])
def test_topk_in_registers(device: Device, dtype: str, n: int, k: int) -> None:
    """With more NaN than others, 0 and -0, and numbers that come often; long rows in pieces."""
    skip_without_f16(device, dtype)
    if k > row_lanes(device):
        pytest.skip(f"{device!r} has no subgroups of known width, or narrower ones")
    x = with_specials(draw(dtype, (11, n)))
    if x.dtype.kind == "f":
        x[3:5, : n - 1] = np.nan
    for largest in (True, False):
        places = (falling(x) if largest else np.argsort(x, kind="stable"))[:, :k]
        with force_variant("topk", "subgroups"):
            values, found = arrays.topk(device.buffer_from_array(x), k, largest=largest)
        np.testing.assert_array_equal(found.read(), places)
        np.testing.assert_array_equal(values.read(), np.take_along_axis(x, places, -1))


@settings(max_examples=draws(15), deadline=None)
@given(SHAPE, REALS, st.integers(1, 99))
def test_unique(device: Device, shape: tuple[int, ...], dtype: str, different: int) -> None:
    """There are about as many distinct numbers; NaN counts once, 0 and -0 are equal."""
    x = draw(held_by(device, dtype), shape)
    x = with_specials(np.round(x) if x.dtype.kind == "f" else x % different)
    result = arrays.unique(device.buffer_from_array(x)).read()
    # NumPy 2.4's own sort of f16 may lose its way among NaN.
    wide = x.astype(np.float64) if x.dtype.kind == "f" else x
    np.testing.assert_array_equal(result, np.unique(wide).astype(x.dtype), strict=True)


def test_refuses(device: Device) -> None:
    with pytest.raises(ArgumentError, match=r"topk: k must be 0 to 3 for \(3,\), got 4"):
        arrays.topk(device.buffer(f32, 3), 4)
    with pytest.raises(ShapeError, match="must have an axis"):
        arrays.topk(device.buffer(f32, ()), 1)
