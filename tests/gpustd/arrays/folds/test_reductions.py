"""Reductions against NumPy: float64, or exact integers."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gpucore import Device, DTypeError, ShapeError, c64, f32, i32
from gpustd import arrays
from gpustd.arrays.elementwise.operands import ALL, FLOATS, NUMBERS, REALS
from gpustd.arrays.folds import scratch_words
from gpustd.launch.variants import force_variant
from tests.conftest import skip_without_f16
from tests.draws import draws
from tests.gpustd.arrays.operators import draw, held_by, mixture, on_device
from tests.gpustd.compare import compare
from tests.gpustd.null_validator import assert_accepted

# Cases are sizes, dtypes, tiles and variants.
pytestmark = pytest.mark.sampled

Array = NDArray[Any]
DTYPE_OF = {"argmin": "i4", "argmax": "i4", "any": "u1", "all": "u1", "count_nonzero": "i4"}
ORDER = ("min", "max", "argmin", "argmax", "any", "all", "count_nonzero")


def summed(x: Array, axis: Any, keepdims: bool = False) -> Array:
    """Return the allowed error of a sum: 40 (1 + log128(n)) roundings, then one to f16."""
    sizes = np.abs(x.astype(np.complex128)).sum(axis=axis, keepdims=keepdims).real
    passes = 1 + math.log(max(x.size, 2), 128)
    return np.asarray(40 * passes * 2.0**-24 * sizes)


def rounding(x: Array, expected: Array) -> Any:
    return 2.0**-10 * np.abs(expected) + 6e-8 if x.dtype == np.float16 else 0


def check(
    device: Device, op: str, x: Array, axis: Any, keepdims: bool = False, **ddof: int
) -> None:
    result = on_device(device, lambda b: getattr(arrays, op)(b, axis, keepdims=keepdims, **ddof), x)
    name = f"arrays.{op}"
    if op in ORDER:
        expected = np.asarray(getattr(np, op)(x, axis=axis, keepdims=keepdims))
        np.testing.assert_array_equal(result, expected, name)
        assert result.dtype == (x.dtype if op in ("min", "max") else DTYPE_OF[op])
        return
    if x.dtype.kind in "iu":
        bits = np.int32 if x.dtype.kind == "i" else np.uint32
        np.testing.assert_array_equal(
            result, getattr(np, op)(x.astype(bits), axis=axis, keepdims=keepdims, dtype=bits)
        )
        assert result.dtype == bits
        return
    exact = x.astype(np.complex128 if x.dtype.kind == "c" else np.float64)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        expected = np.asarray(getattr(np, op)(exact, axis=axis, keepdims=keepdims, **ddof))
    assert result.dtype == x.dtype
    allowed: Any = summed(x, axis, keepdims)
    if op == "prod":
        allowed = np.abs(expected) * 2.0**-23 * max(x.size, 1)
    elif op in ("mean", "var", "std"):
        count = max(x.size // max(expected.size, 1), 1)
        centre = exact.mean(axis=axis, keepdims=True) if x.size else 0
        spread = np.abs(exact - centre) if op != "mean" else exact
        # A mean that is wrong by m moves each square by 2 m times the distance, and by m squared.
        allowed = summed(spread ** (1 if op == "mean" else 2), axis, keepdims) / count
        off = summed(exact, axis, keepdims) / count + 2.0**-24 * np.abs(exact).max(initial=0)
        if op != "mean":
            apart = spread.sum(axis=axis, keepdims=keepdims) / count
            allowed = 2 * allowed + 2 * off * apart + off**2
            allowed = allowed * count / max(count - sum(ddof.values()), 1)
        if op == "std":
            allowed = allowed / np.maximum(expected, 1e-9) + 3 * 2.0**-23 * expected
        allowed = np.nan_to_num(allowed)
        allowed = allowed + 2.0**-23 * np.abs(np.where(np.isfinite(expected), expected, 0))
    compare(
        device,
        name,
        result,
        expected,
        allowed + rounding(x, np.where(np.isfinite(expected), expected, 0)),
    )


TAKES = {"sum": ALL, "prod": REALS, "mean": NUMBERS, "var": FLOATS, "std": FLOATS}


@settings(max_examples=draws(20), deadline=None)
@given(
    st.lists(st.sampled_from([0, 1, 2, 3, 5, 16, 33]), max_size=4).map(tuple),
    st.sampled_from(ALL),
    st.integers(0, 10**6),
    st.data(),
)
def test_shapes(
    device: Device, shape: tuple[int, ...], dtype: str, seed: int, data: st.DataObject
) -> None:
    """Every reduction of a dtype over drawn axes; NaN, infinities and zeros where order counts."""
    dtype = held_by(device, dtype)
    rank = len(shape)
    one = st.integers(-rank, rank - 1) if rank else st.none()
    axis = data.draw(st.none() | one)
    axes = data.draw(st.sets(st.integers(0, max(rank - 1, 0)), max_size=rank).map(tuple))
    kept = data.draw(st.booleans())
    for op in (*TAKES, *ORDER):
        if dtype not in TAKES.get(op, REALS):
            continue
        over = axis if op.startswith("arg") else data.draw(st.sampled_from([axis, axes]))
        x = (mixture if op in ORDER else draw)(dtype, shape, seed)
        if op == "prod" and x.dtype.kind == "f":
            x = np.asarray(1 + x / 100, x.dtype)
        folded = np.asarray(x)
        if op in ("min", "max", "argmin", "argmax") and not empty_is_fine(folded, over):
            with pytest.raises(ShapeError, match=f"^{op}: there must be numbers"):
                getattr(arrays, op)(device.buffer_from_array(folded), over)
            continue
        more = {"ddof": data.draw(st.integers(0, 3))} if op in ("var", "std") else {}
        check(device, op, folded, over, kept, **more)


def empty_is_fine(x: Array, axis: Any) -> bool:
    """Tell whether there is a number in each group that is compared."""
    axes = range(x.ndim) if axis is None else [axis] if isinstance(axis, int) else axis
    return all(x.shape[a] for a in axes)


@pytest.mark.parametrize(
    "shape", [(1,), (4097,), (3, 1025), (1025, 3), (40000,), (2, 5000, 4)], ids=str
)
def test_sizes(device: Device, shape: tuple[int, ...]) -> None:
    x = draw("f32", shape)
    for op in ("sum", "max", "argmin"):
        check(device, op, x, None)
        check(device, op, x, -1)
        check(device, op, x, 0)


def test_large_sums_keep_their_digits(device: Device) -> None:
    """One after the other, a million of 0.1 would be 958 too much."""
    x = np.full(10**6, 0.1, np.float32)
    check(device, "sum", x, None)
    check(device, "mean", x + np.float32(1000), None)
    check(device, "var", draw("f32", (10**5,)) + np.float32(1000), None)


def test_no_neighbour_changes_a_sum(device: Device) -> None:
    x = draw("f32", (5, 3000))
    whole = on_device(device, lambda b: arrays.sum(b, 1), x)
    for row in range(5):
        alone = on_device(device, lambda b: arrays.sum(b, 1), x[row : row + 1])
        np.testing.assert_array_equal(whole[row], alone[0])


# 32 to 256 lanes a row, words at once and those left, rows that begin with words and not.
ROWS = [(3, 40), (9, 1100), (1, 20003), (5, 513), (3, 16388)]


@pytest.mark.parametrize(
    ("variant", "shape"),
    [*(("subgroups", shape) for shape in ROWS), ("rows", (3, 2300)), ("rows", (1, 20003))],
    ids=str,
)
def test_workgroups_that_take_rows(device: Device, variant: str, shape: tuple[int, ...]) -> None:
    with force_variant("fold", variant):
        x = draw("f32", shape)
        for op in ("sum", "var", "min", "argmax"):
            check(device, op, x, 1)
        check(device, "sum", draw("u8", shape), 1)
        check(device, "all", draw("i32", shape), None)


@pytest.mark.parametrize("variant", ["rows", "subgroups"])
def test_runs_that_meet(device: Device, variant: str) -> None:
    """Rows of several runs, whose last workgroup folds them: alone, in a batch, in a capture."""
    x = draw("f32", (3, 70000))
    with force_variant("fold", variant):
        for op in ("sum", "mean", "max", "any"):
            check(device, op, x, 1)
        given = device.buffer_from_array(x)
        whole = arrays.sum(given, 1).read()
        np.testing.assert_array_equal(arrays.sum(device.buffer_from_array(x[1])).read(), whole[1])
        scratch_words._kept.forget(device)
        with device.capture() as graph:
            y = arrays.sum(given, 1)
        for _ in range(2):
            graph.replay()
            np.testing.assert_array_equal(y.read(), whole)
        np.testing.assert_array_equal(arrays.sum(given, 1).read(), whole)
    assert not scratch_words.zeroed_words(device, 1).read().any()


@pytest.mark.parametrize("variant", ["rows", "subgroups"])
@pytest.mark.parametrize("dtype", ["f32", "f16"])
@pytest.mark.parametrize("n", [1001, 5004, 70001])
def test_rows_of_a_batch_are_as_alone(device: Device, variant: str, dtype: str, n: int) -> None:
    """Rows that begin between words, whose elements are folded in the order of words."""
    skip_without_f16(device, dtype)
    x = draw(dtype, (3, n))
    with force_variant("fold", variant):
        for op in (arrays.sum, arrays.var):
            whole = op(device.buffer_from_array(x), 1).read()
            for row in range(3):
                alone = op(device.buffer_from_array(x[row : row + 1]), 1).read()
                np.testing.assert_array_equal(whole[row : row + 1], alone)
        check(device, "sum", x, 1)


@pytest.mark.parametrize("variant", ["rows", "subgroups"])
def test_places_in_long_rows(device: Device, variant: str) -> None:
    """Extremes in several runs of a row, and in the last one only; NaN in one."""
    x = draw("i32", (3, 50000)) % 1000
    x[2, 49999], x[2, 49998] = 5000, -5000
    wide = x.astype(np.float32)
    wide[1, 40000], wide[1, 49999] = np.nan, np.nan
    with force_variant("fold", variant):
        for op in ("argmin", "argmax"):
            check(device, op, x, 1)
            check(device, op, x, None)
            check(device, op, wide, 1)


@pytest.mark.parametrize("variant", ["rows", "subgroups"])
@pytest.mark.parametrize(
    ("dtype", "n"), [("f16", 1000), ("f16", 4104), ("f16", 1004), ("i8", 1040)]
)
def test_rows_of_narrow_numbers(device: Device, dtype: str, n: int, variant: str) -> None:
    """Words of 16 bytes, and of four elements where the rows are not whole ones."""
    skip_without_f16(device, dtype)
    with force_variant("fold", variant):
        check(device, "sum", draw(dtype, (3, n)), 1)
        check(device, "max", draw(dtype, (1, n + 1)), 1)
        check(device, "sum", draw(dtype, (5, n)), 0)


@pytest.mark.parametrize("shape", [(512, 3), (2, 1280, 2)], ids=str)
def test_long_axes_before_short_ones(device: Device, shape: tuple[int, ...]) -> None:
    with force_variant("fold", "rows"):
        for op in ("sum", "mean", "max", "argmax", "var"):
            check(device, op, draw("f32", shape), -2)
        check(device, "sum", draw("c64", shape), -2)
        check(device, "sum", draw("c64", shape), None)


@pytest.mark.parametrize("variant", ["rows", "subgroups"])
def test_rows_hold_not_a_number(device: Device, variant: str) -> None:
    x = draw("f32", (4, 1100))
    x[1, 1050], x[1, 5], x[2, 1099] = np.nan, -np.nan, -np.inf
    x[3] = -0.0
    with force_variant("fold", variant):
        for op in ("min", "max", "argmin", "argmax", "any"):
            check(device, op, x, 1)


@pytest.mark.parametrize(
    ("dtype", "shape"), [("f32", (131, 8)), ("f16", (45, 16)), ("i8", (300, 16))]
)
def test_columns_read_ahead(device: Device, dtype: str, shape: tuple[int, ...]) -> None:
    """Words at once, then those that are left of a block."""
    skip_without_f16(device, dtype)
    with force_variant("fold", "rows"):
        for op in ("sum", "min", "argmax", *(["var"] if dtype == "f32" else [])):
            check(device, op, draw(dtype, shape), 0)


# Columns in words of 16 bytes and of four elements; rows at once, rows that are left, past 8192.
STRIPS = [("f32", (700, 40)), ("f16", (300, 72)), ("f16", (70, 12)), ("i8", (2, 600, 16))]


@pytest.mark.parametrize(("dtype", "shape"), [*STRIPS, ("c64", (90, 6)), ("f32", (3, 17000, 4))])
def test_strips_of_columns(device: Device, dtype: str, shape: tuple[int, ...]) -> None:
    skip_without_f16(device, dtype)
    with force_variant("fold", "columns"):
        for op in ("sum",) if dtype == "c64" else ("sum", "min", "argmax"):
            check(device, op, draw(dtype, shape), -2)
        if dtype == "f32":
            check(device, "var", draw(dtype, shape), -2)


def test_rows_of_large_subgroups_are_valid() -> None:
    assert_accepted(
        """
from gpustd.arrays.folds.fold_passes import _COMBINE, accumulator
from gpustd.arrays.folds.reductions import _fold_dtype
from gpustd.launch.template import render
from gpucore import f16, f32, i8, u8, i32, u32
for dtype in (f16, f32, i8, u8, i32, u32):
    for op in _COMBINE:
        k, target = len(sources), i32 if op.startswith("where") else _fold_dtype(op, dtype)
        if op in ("mean", "squares") and dtype not in (f16, f32):
            continue
        spec = dict(op=op, combine=_COMBINE[op], kind=dtype.name, first=True, last=True)
        spec |= dict(acc=accumulator(op, dtype).name, target=target.name)
        spec |= dict(family={"f": "float", "i": "signed", "u": "unsigned"}[target.name[0]])
        spec |= dict(second=op == "squares" or op.startswith("where"), ahead=4)
        spec |= dict(of_runs=op == "where_max", meets=k % 4 == 3)
        spec |= dict(stored="f16" if target.name == "f32" and k % 2 else target.name)
        spec |= dict(lanes=(32, 64, 128, 256)[k % 4], quads=(0, 1, 4 // dtype.itemsize)[k % 3])
        spec |= dict(subgroup=(32, 64)[k // 4 % 2])
        spec |= dict(ragged=spec["acc"] == "f32" and spec["quads"] > 0 and k % 2 == 1)
        sources.append(render("arrays/fold_rows.wgsl", spec))
"""
    )


def test_refuses(device: Device) -> None:
    x = device.buffer(f32, (2, 3))
    with pytest.raises(ShapeError, match=r"sum: axis 2 of \(2, 3\)"):
        arrays.sum(x, 2)
    with pytest.raises(ShapeError, match="axes must differ"):
        arrays.sum(x, (0, -2))
    with pytest.raises(DTypeError, match="mean: the dtype must be one of c64, f16, f32"):
        arrays.mean(device.buffer(i32, 3))
    with pytest.raises(ShapeError, match="argmax: there must be numbers"):
        arrays.argmax(device.buffer(f32, (0, 2)), 0)


def test_errors_name_the_function(device: Device) -> None:
    """Also where it is made of others."""
    whole, paired = device.buffer(i32, 4), device.buffer(c64, 4)
    with pytest.raises(DTypeError, match=r"^std: "):
        arrays.std(whole)
    with pytest.raises(DTypeError, match=r"^count_nonzero: "):
        arrays.count_nonzero(paired)
    with pytest.raises(DTypeError, match=r"^mean: "):
        arrays.mean(whole)
    for name in ("topk", "unique", "clip"):
        with pytest.raises(DTypeError, match=f"^{name}: "):
            getattr(arrays, name)(paired, *([2] if name == "topk" else []))
