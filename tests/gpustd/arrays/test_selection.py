"""topk against NumPy's stable sort."""

from __future__ import annotations

import numpy as np
import pytest

from gpucore import ArgumentError, Device, ShapeError, f32
from gpustd import arrays
from gpustd.lanes import row_lanes
from gpustd.rungs import forced_rung
from tests.gpustd.arrays.operators import draw, skip_without_f16
from tests.gpustd.arrays.test_sorting import falling, with_specials


@pytest.mark.parametrize("largest", [True, False])
@pytest.mark.parametrize("dtype", ["f32", "i32", "u8"])
def test_topk(device: Device, dtype: str, largest: bool) -> None:
    x = draw(dtype, (4, 37, 3))
    for axis, k in ((1, 5), (-1, 3), (0, 1), (1, 0)):
        order = np.argsort(-x.astype(np.float64) if largest else x, axis=axis, kind="stable")
        places = np.take(order, np.arange(k), axis=axis)
        values, found = arrays.topk(device.buffer_from_array(x), k, axis, largest=largest)
        np.testing.assert_array_equal(found.read(), places)
        np.testing.assert_array_equal(values.read(), np.take_along_axis(x, places, axis))


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
        with forced_rung("topk", "subgroups"):
            values, found = arrays.topk(device.buffer_from_array(x), k, largest=largest)
        np.testing.assert_array_equal(found.read(), places)
        np.testing.assert_array_equal(values.read(), np.take_along_axis(x, places, -1))


@pytest.mark.parametrize("dtype", ["f32", "i32", "u8", "i8"])
@pytest.mark.parametrize("shape", [(0,), (1,), (7,), (5, 60)], ids=str)
def test_unique(device: Device, dtype: str, shape: tuple[int, ...]) -> None:
    x = draw(dtype, shape)
    if x.dtype.kind == "f":
        x = np.round(x)
        x.reshape(-1)[::5] = np.nan
    result = arrays.unique(device.buffer_from_array(x)).read()
    np.testing.assert_array_equal(result, np.unique(x), strict=True)


def test_refuses(device: Device) -> None:
    with pytest.raises(ArgumentError, match="topk: 4 of axis 0"):
        arrays.topk(device.buffer(f32, 3), 4)
    with pytest.raises(ShapeError, match="without axes"):
        arrays.topk(device.buffer(f32, ()), 1)
