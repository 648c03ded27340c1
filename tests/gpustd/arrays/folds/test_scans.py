"""Scans against NumPy: float64, or exact integers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gpucore import Device, DTypeError, ShapeError, c64, f32, sanitize
from gpustd import arrays
from gpustd.arrays.axes import three_extents
from gpustd.arrays.elementwise.operands import ALL
from gpustd.arrays.folds.scans import Scan, Tiles
from gpustd.arrays.folds.scratch_words import zeroed_words
from gpustd.launch.subgroups import row_lanes
from gpustd.launch.template import render
from gpustd.launch.variants import force_variant, forced_variant
from tests.conftest import skip_without_f16
from tests.draws import draws
from tests.gpustd.arrays.operators import draw, held_by, mixture, on_device
from tests.gpustd.compare import compare
from tests.gpustd.null_validator import assert_accepted

# Cases are sizes, dtypes, tiles and variants.
pytestmark = pytest.mark.sampled

Array = NDArray[Any]
EXACT = {"cummax": np.maximum, "cummin": np.minimum}
# Most roundings on the way to a sum in tiles. Subgroups of 4: 3 in a word, 15 between rows of
# words, 2 between lanes, 62 between subgroups, then either 19 in the own tile or, for a few groups
# of tiles, 3 in the group and 8 behind; others less.
ROUNDINGS = {"tiles": 172, "subgroups": 101}


def before(x: Array, along: int, first: int) -> Array:
    """``x`` one place on, behind ``first``."""
    head = np.full_like(x.take(range(min(1, x.shape[along])), along), first)
    return np.concatenate([head, x.take(range(x.shape[along] - 1), along)], along)


def check(
    device: Device, op: str, x: Array, axis: int | None = None, exclusive: bool = False
) -> None:
    more = {"exclusive": True} if exclusive else {}
    result = on_device(device, lambda b: getattr(arrays, op)(b, axis, **more), x)
    flat = x.ravel() if axis is None else x
    along = 0 if axis is None else axis
    if exclusive:
        flat = before(flat, along, int(op == "cumprod"))
    if op in EXACT:
        np.testing.assert_array_equal(result, EXACT[op].accumulate(flat, axis=along))
    elif x.dtype.kind in "iu":
        bits = np.int32 if x.dtype.kind == "i" else np.uint32
        assert result.dtype == bits
        np.testing.assert_array_equal(result, getattr(np, op)(flat, axis=along, dtype=bits))
    else:
        wide = flat.astype(np.complex128 if x.dtype.kind == "c" else np.float64)
        expected = getattr(np, op)(wide, axis=along)
        if op == "cumprod":
            allowed: Any = np.abs(expected) * 2.0**-23 * flat.shape[along]
        else:
            passes = 1 + math.log(max(x.size, 2), 128)
            roundings = ROUNDINGS.get(forced_variant("scan") or "", 130 * passes)
            allowed = roundings * 2.0**-24 * np.cumsum(np.abs(wide), axis=along)
        if x.dtype == np.float16:
            allowed = allowed + 2.0**-10 * np.abs(expected) + 6e-8
        compare(device, f"arrays.{op}", result, expected, allowed)


def test_long_rows(device: Device) -> None:
    check(device, "cumsum", draw("i32", (40000,)))
    check(device, "cumsum", draw("f32", (20011,)))


@settings(max_examples=draws(20), deadline=None)
@given(
    st.lists(st.sampled_from([0, 1, 2, 5, 129, 260]), max_size=3).map(tuple),
    st.sampled_from(ALL),
    st.booleans(),
    st.data(),
)
def test_shapes(
    device: Device, shape: tuple[int, ...], dtype: str, exclusive: bool, data: st.DataObject
) -> None:
    """Every scan of a dtype along a drawn axis; NaN and infinities where order counts."""
    if np.prod(shape) > 40000:
        shape = shape[:2]
    dtype, rank = held_by(device, dtype), len(shape)
    axis = data.draw(st.none() | st.integers(-rank, rank - 1)) if rank else None
    for op in ("cumsum",) if dtype == "c64" else ("cumsum", "cumprod", "cummax", "cummin"):
        x = np.asarray((mixture if op in EXACT else draw)(dtype, shape, 0))
        if op == "cumprod" and x.dtype.kind == "f":
            x = np.asarray(1 + x / 100, x.dtype)
        check(device, op, x, axis, exclusive and op not in EXACT)


# Rows of whole words and not, in one tile and in many; columns of words of four and of one.
TILED = [
    ("f32", (2, 1000)),
    ("f32", (3, 4099)),
    ("i8", (1, 140001)),
    ("c64", (700,)),
    ("u8", (2600, 8)),
]


@contextmanager
def forced(device: Device, variant: str, tile: str = "") -> Iterator[None]:
    """Tiles, or tiles that subgroups look up; every subgroup of a known width will do."""
    if variant == "subgroups" and not row_lanes(device):
        pytest.skip(f"{device!r} has no subgroups of known width")
    with force_variant("scan", variant, tile):
        yield


@pytest.mark.parametrize(("dtype", "shape"), TILED, ids=str)
def test_tiles(device: Device, dtype: str, shape: tuple[int, ...]) -> None:
    axis = 0 if dtype in ("c64", "u8") else 1
    with forced(device, "tiles"):
        check(device, "cumsum", draw(dtype, shape), axis)


# Tiles of 4, 8 and 16 quads a lane; rows that begin with words and not; several groups of tiles.
ROWS = [("f32", (3, 1000)), ("f32", (2, 4099)), ("i8", (2, 1001)), ("i32", (1, 1150000))]


@pytest.mark.parametrize(("dtype", "shape"), ROWS, ids=str)
def test_rows_in_subgroups(device: Device, dtype: str, shape: tuple[int, ...]) -> None:
    with forced(device, "subgroups"):
        check(device, "cumsum", draw(dtype, shape), 1)


@settings(max_examples=draws(10), deadline=None)
@given(st.integers(1, 3), st.integers(257, 4096))
def test_rows_of_any_length_in_subgroups(device: Device, rows: int, n: int) -> None:
    with forced(device, "subgroups"):
        check(device, "cumsum", draw("i32", (rows, n)), 1)


# One step and several, full and not; strips that are not full; words of four, of two numbers.
STRIPS = [
    ("f32", (2, 5, 24)),
    ("f32", (1025, 8)),
    ("f16", (2, 600, 20)),
    ("i8", (3000, 4)),
    ("c64", (9, 70, 6)),
]


@pytest.mark.parametrize(("dtype", "shape"), STRIPS, ids=str)
def test_strips_of_columns(device: Device, dtype: str, shape: tuple[int, ...]) -> None:
    skip_without_f16(device, dtype)
    with forced(device, "subgroups", "strips"):
        check(device, "cumsum", draw(dtype, shape), -2)
        if dtype != "c64":
            check(device, "cummax", draw(dtype, shape), -2)
        x = draw("i32", shape)
        result = on_device(device, lambda b: arrays.cumsum(b, -2, exclusive=True), x)
        np.testing.assert_array_equal(result, np.cumsum(x, axis=-2, dtype=np.int32) - x)


def test_other_scans_in_tiles(device: Device) -> None:
    with forced(device, "tiles"):
        check(device, "cummin", draw("u8", (1, 5000)), 1)
        check(device, "cumprod", 1 + draw("f32", (65, 3)) / 100, 0)
        x = draw("i32", (2, 600))
        result = on_device(device, lambda b: arrays.cumsum(b, 1, exclusive=True), x)
        np.testing.assert_array_equal(result, np.cumsum(x, axis=1, dtype=np.int32) - x)


def test_other_scans_in_subgroups(device: Device) -> None:
    with forced(device, "subgroups"):
        check(device, "cummin", draw("u8", (1, 17000)), 1)
        check(device, "cumprod", 1 + draw("f32", (3, 600)) / 100, 1)
        x = draw("i32", (2, 600))
        result = on_device(device, lambda b: arrays.cumsum(b, 1, exclusive=True), x)
        np.testing.assert_array_equal(result, np.cumsum(x, axis=1, dtype=np.int32) - x)


@pytest.mark.parametrize("variant", ["tiles", "subgroups"])
def test_bytes_end_within_the_result(device: Device, variant: str) -> None:
    """A word of 16 bytes makes four of u32, of which the last may lie behind the result."""
    with forced(device, variant), sanitize():
        check(device, "cummin", draw("u8", (1000,)), 0)


def test_not_a_number_stays_in_subgroups(device: Device) -> None:
    x = draw("f32", (2, 17000))
    x[0, 150], x[1, 16999] = np.nan, np.nan
    with forced(device, "subgroups"):
        check(device, "cummax", x, 1)
        result = on_device(device, lambda b: arrays.cumsum(b, 1), x)
    np.testing.assert_array_equal(np.isnan(result), np.isnan(np.cumsum(x, 1)))


@pytest.mark.parametrize(("variant", "shape"), [("tiles", (2, 1000)), ("subgroups", (1, 17001))])
def test_tiles_of_f16(device: Device, variant: str, shape: tuple[int, ...]) -> None:
    skip_without_f16(device, "f16")
    with forced(device, variant):
        check(device, "cumsum", draw("f16", shape), 1)


@pytest.mark.parametrize("variant", ["tiles", "subgroups"])
def test_rows_of_a_batch_are_as_alone(device: Device, variant: str) -> None:
    x = draw("f32", (3, 40000))
    with forced(device, variant):
        whole = arrays.cumsum(device.buffer_from_array(x), 1).read()
        alone = arrays.cumsum(device.buffer_from_array(x[1:2]), 1).read()
    np.testing.assert_array_equal(whole[1:2], alone)


@pytest.mark.parametrize(("dtype", "n"), [("f32", 900_000), ("i32", 2_700_001)])
def test_many_groups_of_tiles(device: Device, dtype: str, n: int) -> None:
    """Older groups are looked up, too, with subgroups of 8 more than one of these can at once."""
    with forced(device, "subgroups"):
        check(device, "cumsum", draw(dtype, (n,)), 0)
    assert not zeroed_words(device, 1).read().any()


LOST = [
    ("tiles", (3, 140000), 1),
    ("tiles", (20000, 40), 0),
    ("subgroups", (3, 400000), 1),
    ("subgroups", (900000,), 0),
]


@pytest.mark.parametrize(("variant", "shape", "axis"), LOST, ids=str)
def test_tiles_that_never_come_are_made(
    device: Device, variant: str, shape: tuple[int, ...], axis: int
) -> None:
    """The first tiles are gone: whoever waits for them makes them, with the same bits."""
    x = device.buffer_from_array(draw("f32", shape))
    extents = three_extents(shape, axis, axis)
    with forced(device, variant):
        whole = arrays.cumsum(x, axis).read()
        tiles = Tiles.of(Scan("sum", f32, f32, False).spec(x), x, extents)
    count = tiles.sizes["count"]
    source = render(tiles.name, tiles.spec)
    sizes = tiles.sizes
    if variant == "subgroups":  # which take no tickets
        source = source.replace("    count: u32,\n", "    count: u32,\n    gone: u32,\n")
        source = source.replace("= group.x + ", "= params.gone + group.x + ")
    launch = device.compile_kernel(source)
    for gone in (1, count // 2, count - 2):
        y = device.buffer_from_array(np.full(shape, np.nan, np.float32))
        words = np.zeros(tiles.words, np.uint32)
        if variant == "tiles":
            words[0] = gone
        else:
            sizes = tiles.sizes | {"gone": gone}
        launch(x, y, device.buffer_from_array(words), sizes, grid=count - gone)
        result = y.read()
        made = ~np.isnan(result)
        assert abs(made.mean() - (1 - gone / count)) < 1 / count
        np.testing.assert_array_equal(result[made], whole[made])


BLIND = [
    ("subgroups", "f32", (1, 620_000), 1),
    ("subgroups", "i32", (2, 60_001), 1),
    ("tiles", "f32", (2, 140_000), 1),
    ("tiles", "i32", (20_000, 40), 0),
]


@pytest.mark.parametrize(("variant", "dtype", "shape", "axis"), BLIND, ids=str)
def test_loads_that_see_nothing_end(
    device: Device, variant: str, dtype: str, shape: tuple[int, ...], axis: int
) -> None:
    """A cache may answer loads: a scan ends without them, with the same bits and clean words."""
    x = device.buffer_from_array(draw(dtype, shape))
    with forced(device, variant):
        whole = arrays.cumsum(x, axis).read()
        spec = Scan("sum", x.dtype, x.dtype, False).spec(x)
        tiles = Tiles.of(spec, x, three_extents(shape, axis, axis))
    source = render(tiles.name, tiles.spec)
    blind = source.replace("atomicLoad(&nodes[at])", "0u")
    assert blind != source
    assert "atomicLoad(&nodes" not in blind
    words = device.buffer_from_array(np.zeros(tiles.words, np.uint32))
    y = device.buffer_from_array(np.zeros_like(whole))
    device.compile_kernel(blind)(x, y, words, tiles.sizes, grid=tiles.sizes["count"])
    np.testing.assert_array_equal(y.read(), whole)
    assert not tiles.cleans or not words.read().any()


def test_dawn_accepts_subgroups_of_32() -> None:
    """Every dtype, in one tile and many: what cards render, and software renderers do not run."""
    pytest.importorskip("wgpudawn")
    assert_accepted(
        """
from gpustd.launch.template import render
kinds = (("f32", 4), ("f16", 2), ("i32", 4), ("u32", 4), ("i8", 1), ("u8", 1))
for k, (kind, words) in enumerate(kinds):
    wide = kind.replace("8", "32")
    for op, combine in (("sum", "add"), ("prod", "mul"), ("max", "max"), ("min", "max")):
        acc = "u32" if combine == "max" else wide.replace("f16", "f32")
        for many in (False, True):
            spec = dict(op=op, combine=combine, kind=kind, acc=acc, target=wide, first=True)
            spec |= dict(exclusive=many, words=words, aligned=k % 2 == many, many=many)
            spec |= dict(lanes=32, quads=(18 if words > 1 else 16) if many else 4)
            spec |= dict(groups=8 - many, windows=2, per_lane=8)
            sources.append(render("arrays/scan_subgroups.wgsl", spec))
            spec |= dict(across=16, rows=8, workgroup=(64, 128, 256, 512)[k % 4])
            sources.append(render("arrays/scan_strips.wgsl", spec))
"""
    )


def test_refuses(device: Device) -> None:
    with pytest.raises(ShapeError, match="cumsum: axis 1"):
        arrays.cumsum(device.buffer(f32, 3), 1)
    with pytest.raises(DTypeError, match="cummax: the dtype must be"):
        arrays.cummax(device.buffer(c64, 3))
