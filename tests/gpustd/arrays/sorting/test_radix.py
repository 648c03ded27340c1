"""Sorting against NumPy's stable sort."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gpucore import ArgumentError, Device, DTypeError, ShapeError, c64, f32
from gpustd import arrays
from gpustd.launch.subgroups import row_lanes
from gpustd.launch.variants import force_variant
from tests.conftest import skip_without_f16
from tests.draws import draws
from tests.gpustd.arrays.operators import draw, held_by, on_device
from tests.gpustd.null_validator import assert_accepted

# Cases are sizes, dtypes, tiles and variants.
pytestmark = pytest.mark.sampled

Array = NDArray[Any]


def with_specials(x: Array) -> Array:
    """Every seventh number each NaN, 0 and -0; of integers, much the same number often."""
    flat = x.reshape(-1)
    if x.dtype.kind == "f":
        flat[::7], flat[1::7], flat[2::7], flat[3::21] = np.nan, 0.0, -0.0, -np.nan
    else:
        flat[::3] = 1
    return x


def falling(x: Array, axis: int = -1) -> Array:
    """Stable places in falling order, NaN last."""
    if x.dtype.kind == "f":
        return np.argsort(-x, axis=axis, kind="stable")
    return np.argsort(-x.astype(np.int64), axis=axis, kind="stable")


def check(device: Device, x: Array, axis: int = -1) -> None:
    places = np.argsort(x, axis=axis, kind="stable")
    np.testing.assert_array_equal(on_device(device, lambda b: arrays.argsort(b, axis), x), places)
    result = on_device(device, lambda b: arrays.sort(b, axis), x)
    np.testing.assert_array_equal(result, np.take_along_axis(x, places, axis))
    if x.dtype.kind == "f":
        signs = np.lexsort((~np.signbit(x), np.where(x == 0, x.dtype.type(0), x)), axis=axis)
        expected = np.signbit(np.take_along_axis(x, signs, axis))
        there = ~np.isnan(result)
        np.testing.assert_array_equal(np.signbit(result)[there], expected[there], "-0 before 0")
    places = falling(x, axis)
    result = on_device(device, lambda b: arrays.argsort(b, axis, descending=True), x)
    np.testing.assert_array_equal(result, places)
    result = on_device(device, lambda b: arrays.sort(b, axis, descending=True), x)
    np.testing.assert_array_equal(result, np.take_along_axis(x, places, axis))


@contextmanager
def variant_of(device: Device, variant: str) -> Iterator[None]:
    """Force a variant; with subgroups, digits of four bits, whose counts fit any memory.

    Rows have four numbers a lane, so that many lanes take part.
    """
    if variant == "subgroups" and not row_lanes(device):
        pytest.skip(f"{device!r} has no subgroups of known width")
    tiles = {"subgroups": (4, 256), "rows": 4}
    with force_variant("sort", variant, tiles.get(variant)):
        yield


# In this order each variant keeps one of the sampled cases.
@pytest.mark.parametrize("dtype", ["f32", "f16", "i32", "u32", "i8", "u8"])
@pytest.mark.parametrize("variant", ["plain", "rows", "subgroups"])
def test_dtypes(device: Device, dtype: str, variant: str) -> None:
    skip_without_f16(device, dtype)
    with variant_of(device, variant):
        check(device, with_specials(draw(dtype, (3, 300))))


@pytest.mark.parametrize("variant", ["plain", "subgroups"])
@pytest.mark.parametrize("shape", [(1,), (2,), (5000,), (2, 1024), (2, 1025)], ids=str)
def test_sizes(device: Device, shape: tuple[int, ...], variant: str) -> None:
    with variant_of(device, variant):
        check(device, with_specials(draw("f32", shape)))


@pytest.mark.parametrize("n", [1, 2, 16, 63, 64, 65, 256, 1000])
def test_short_rows(device: Device, n: int) -> None:
    with variant_of(device, "rows"):
        check(device, with_specials(draw("i32", (5, n))))


@pytest.mark.parametrize("dtype", ["f16", "i8", "u8"])
def test_narrow_rows_of_odd_length(device: Device, dtype: str) -> None:
    """By keys: a row does not begin with a word."""
    skip_without_f16(device, dtype)
    with variant_of(device, "rows"):
        check(device, with_specials(draw(dtype, (3, 101))))


def test_rows_of_many_numbers_a_lane(device: Device) -> None:
    """As on GPUs: a few lanes a row, many rows a workgroup."""
    x = with_specials(draw("f32", (70, 33)))
    with force_variant("sort", "rows"):
        places = on_device(device, arrays.argsort, x)
        result = on_device(device, arrays.sort, x)
    np.testing.assert_array_equal(places, np.argsort(x, kind="stable"))
    np.testing.assert_array_equal(result, np.take_along_axis(x, places, -1))


def test_dawn_accepts_subgroups_of_32() -> None:
    """As on cards: rows of one subgroup and of several, in all modes, and the first of rows."""
    assert_accepted(
        """
from gpustd.launch.template import render
for k, kind in enumerate(("f32", "f16", "i32", "u32", "i8", "u8")):
    for places in (False, True):
        for side in (128, 512, 8192):
            each = 16 if side == 128 else 32
            aligned = side > 128 or kind in ("f16", "i8", "u8")
            mode = "keys" if not places else "packed" if kind in ("f16", "i8", "u8") else "pairs"
            spec = dict(kind=kind, mode=mode, descending=k % 2 == places, aligned=aligned)
            spec |= dict(side=side, each=each, workgroup=max(128, side // each), lanes=32)
            sources.append(render("arrays/sort_rows.wgsl", spec))
        spec = dict(kind=kind, descending=places, aligned=k % 2 == 0, words=8, workgroup=128)
        sources.append(render("arrays/top_rows.wgsl", spec | dict(lanes=32)))
"""
    )


@settings(max_examples=draws(12), deadline=None)
@given(
    st.lists(st.sampled_from([0, 1, 2, 7, 40]), min_size=1, max_size=3).map(tuple),
    st.sampled_from(["f32", "f16", "i32", "u32", "i8", "u8"]),
    st.data(),
)
def test_axes(device: Device, shape: tuple[int, ...], dtype: str, data: st.DataObject) -> None:
    """Also the flattened array, which has one axis."""
    x = with_specials(draw(held_by(device, dtype), shape))
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    check(device, x, axis)
    for op in (arrays.sort, arrays.argsort):
        result = on_device(device, lambda b, op=op: op(b, None), x)
        expected = np.argsort(x.ravel(), kind="stable")
        np.testing.assert_array_equal(
            result, x.ravel()[expected] if op is arrays.sort else expected
        )


@settings(max_examples=draws(15), deadline=None)
@given(
    st.sampled_from(["f32", "i32", "u32"]),
    st.sampled_from([0, 1, 2, 63, 100]),
    st.sampled_from([(), (0,), (1,), (153,), (3, 7)]),
    st.sampled_from(["left", "right"]),
    st.booleans(),
)
def test_searchsorted(
    device: Device, dtype: str, n: int, shape: tuple[int, ...], side: str, same: bool
) -> None:
    """Search for numbers that are there and not, NaN and infinities among them, and all equal."""
    a = np.sort(with_specials(draw(dtype, (n,))))
    v = np.asarray(draw(dtype, shape, 1))
    if v.ndim:
        v = with_specials(v)
    there = np.random.default_rng(n).random(shape) < 0.5
    if n:
        v = np.where(there, a[np.arange(v.size).reshape(shape) % n], v).astype(a.dtype)
        a = np.full_like(a, a[0]) if same else a
    result = arrays.searchsorted(*map(device.buffer_from_array, (a, v)), side).read()
    np.testing.assert_array_equal(result, np.searchsorted(a, v, side))


def test_refuses(device: Device) -> None:
    with pytest.raises(ShapeError, match="sort: axis 1"):
        arrays.sort(device.buffer(f32, 3), 1)
    with pytest.raises(DTypeError, match="argsort: the dtype must be"):
        arrays.argsort(device.buffer(c64, 3))
    with pytest.raises(ArgumentError, match="side must be 'left' or 'right', got 'middle'"):
        arrays.searchsorted(device.buffer(f32, 3), device.buffer(f32, 3), "middle")
