"""Sums, products, means and extremes over axes.

``axis`` is an int, a tuple of ints, or None for all; with ``keepdims`` they stay, of extent 1.
Floats are summed in f32 (f16 too), in an order that follows from the sizes. A sum of n numbers errs
by at most ``40 p 2^-24`` of the sum of their sizes, with p = 1 + log128(n), and by its rounding to
the dtype. Integers wrap in 32 bits. All raise `ShapeError` for axes that are not there,
`DTypeError` for dtypes that are not supported.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from gpucore import Buffer, DType, ShapeError, T, f16, i8, i32, u8, u32
from gpustd.arrays.axes import Axes, axes_of, axis_of, three_extents
from gpustd.arrays.elementwise.arithmetic import subtract
from gpustd.arrays.elementwise.conversion import cast
from gpustd.arrays.elementwise.exponentials import sqrt
from gpustd.arrays.elementwise.operands import ALL, FLOATS, NUMBERS, REALS, common_dtype
from gpustd.arrays.folds.fold_passes import Fold, accumulator, wide_dtype
from gpustd.arrays.masks import as_mask
from gpustd.launch.checks import as_float

__all__ = [
    "all",
    "any",
    "argmax",
    "argmin",
    "count_nonzero",
    "fold_axes",
    "max",
    "mean",
    "min",
    "prod",
    "result_shape",
    "std",
    "sum",
    "var",
]


def sum(x: Buffer[T], axis: Axes = None, *, keepdims: bool = False) -> Buffer[Any]:  # noqa: A001
    """Return the sum over axes; of i8 in i32, of u8 in u32, else in the dtype of ``x``.

    >>> x = device.buffer_from_array(np.arange(6, dtype=np.int32).reshape(2, 3))
    >>> arrays.sum(x, axis=0).read()
    array([3, 5, 7], dtype=int32)
    """
    return _reduce("sum", x, axis, keepdims, ALL)


def prod(x: Buffer[T], axis: Axes = None, *, keepdims: bool = False) -> Buffer[Any]:
    """Return the product over axes; of i8 in i32, of u8 in u32, else in the dtype of ``x``.

    >>> x = device.buffer_from_array([[1, 2, 3], [4, 5, 6]], i32)
    >>> print(arrays.prod(x, 1).read())
    [  6 120]
    """
    return _reduce("prod", x, axis, keepdims, REALS)


def mean(x: Buffer[T], axis: Axes = None, *, keepdims: bool = False) -> Buffer[T]:
    """Return the mean over axes, of floats or complex numbers; NaN for no numbers.

    >>> x = device.buffer_from_array([[1, 2, 3], [4, 5, 6]], f32)
    >>> print(arrays.mean(x, axis=0).read().round(3))
    [2.5 3.5 4.5]
    """
    common_dtype("mean", [x], NUMBERS)
    return _reduce("mean", x, axis, keepdims, NUMBERS, _scale(x, axis, 0))


def var(x: Buffer[T], axis: Axes = None, *, ddof: float = 0, keepdims: bool = False) -> Buffer[T]:
    """Return the mean square of the distance from the mean over axes, of floats.

    The mean is computed first. The sum of squares is divided by their number less ``ddof``.

    >>> x = device.buffer_from_array([1, 2, 3, 4], f32)
    >>> print(arrays.var(x).read().round(3))
    1.25
    """
    common_dtype("var", [x], FLOATS)
    axes = axes_of("var", axis, x)
    centre = Fold("mean", accumulator("mean", x.dtype), wide_dtype(x.dtype), _scale(x, axes, 0))
    middle = fold_axes(centre, x, axes)
    shape = result_shape(x, axes, keepdims=True)
    scale = _scale(x, axes, as_float("var", "ddof", ddof))
    acc = accumulator("squares", x.dtype)
    fold = Fold("squares", acc, wide_dtype(x.dtype), scale, stored=_stored_dtype(x.dtype))
    runs = _axis_runs(x.shape, axes)
    if len(runs) == 1:
        found = fold_axes(replace(fold, second=middle), x, axes)
    else:
        wide: Buffer[Any] = cast(x, wide_dtype(x.dtype))
        apart = subtract(wide, middle.view(shape))
        found = fold_axes(fold, apart, axes)
    return cast(found, x.dtype).view(result_shape(x, axes, keepdims=keepdims))


def std(x: Buffer[T], axis: Axes = None, *, ddof: float = 0, keepdims: bool = False) -> Buffer[T]:
    """Return the square root of `var`.

    >>> x = device.buffer_from_array([1, 2, 3, 4], f32)
    >>> print(arrays.std(x).read().round(3))
    1.118
    """
    common_dtype("std", [x], FLOATS)
    axes = axes_of("std", axis, x)
    return sqrt(var(x, axes, ddof=as_float("std", "ddof", ddof), keepdims=keepdims))


def max(x: Buffer[T], axis: Axes = None, *, keepdims: bool = False) -> Buffer[T]:  # noqa: A001
    """Return the largest number over axes; NaN where one is NaN.

    Raises `ShapeError` for no numbers.

    >>> x = device.buffer_from_array([[1, 2, 3], [4, 5, 6]], i32)
    >>> print(arrays.max(x, axis=1).read())
    [3 6]
    """
    return _reduce("max", x, axis, keepdims, REALS)


def min(x: Buffer[T], axis: Axes = None, *, keepdims: bool = False) -> Buffer[T]:  # noqa: A001
    """Return the least number over axes; NaN where one is NaN.

    Raises `ShapeError` for no numbers.

    >>> x = device.buffer_from_array([[1, 2, 3], [4, 5, 6]], i32)
    >>> print(arrays.min(x, axis=0).read())
    [1 2 3]
    """
    return _reduce("min", x, axis, keepdims, REALS)


def argmax(x: Buffer[Any], axis: int | None = None, *, keepdims: bool = False) -> Buffer[i32]:
    """Return the place of the first largest number (or NaN) along an axis.

    For None, in the flattened array.

    >>> x = device.buffer_from_array([3, 9, 9], i32)
    >>> print(arrays.argmax(x).read())
    1
    """
    return _extreme_place("max", x, axis, keepdims)


def argmin(x: Buffer[Any], axis: int | None = None, *, keepdims: bool = False) -> Buffer[i32]:
    """Return the place of the first least number (or NaN) along an axis.

    For None, in the flattened array.

    >>> x = device.buffer_from_array([3, 1, 9], i32)
    >>> print(arrays.argmin(x).read())
    1
    """
    return _extreme_place("min", x, axis, keepdims)


def any(x: Buffer[Any], axis: Axes = None, *, keepdims: bool = False) -> Buffer[u8]:  # noqa: A001
    """Return 1 where some number over axes is other than 0, else 0.

    >>> x = device.buffer_from_array([[0, 0], [0, 7]], i32)
    >>> print(arrays.any(x, axis=1).read())
    [0 1]
    """
    return as_mask(_reduce("any", x, axis, keepdims, REALS))


def all(x: Buffer[Any], axis: Axes = None, *, keepdims: bool = False) -> Buffer[u8]:  # noqa: A001
    """Return 1 where no number over axes is 0, else 0.

    >>> x = device.buffer_from_array([[1, 0], [2, 7]], i32)
    >>> print(arrays.all(x, axis=1).read())
    [0 1]
    """
    return as_mask(_reduce("all", x, axis, keepdims, REALS))


def count_nonzero(x: Buffer[Any], axis: Axes = None, *, keepdims: bool = False) -> Buffer[i32]:
    """Count the numbers over axes that are other than 0.

    >>> x = device.buffer_from_array([[1, 0], [2, 7]], i32)
    >>> print(arrays.count_nonzero(x, axis=1).read())
    [1 2]
    """
    return _reduce("count", x, axis, keepdims, REALS)


def _reduce(
    op: str,
    x: Buffer[Any],
    axis: Axes,
    keepdims: bool,
    takes: tuple[str, ...],
    scale: float = 1.0,
) -> Buffer[Any]:
    """Return the fold ``op`` over axes, in the dtype that NumPy's users expect."""
    name = "count_nonzero" if op == "count" else op
    common_dtype(name, [x], takes)
    axes = axes_of(name, axis, x)
    if op in ("max", "min"):
        _require_elements(op, x, axes)
    stored = _stored_dtype(_result_dtype(op, x.dtype))
    fold = Fold(op, accumulator(op, x.dtype), _fold_dtype(op, x.dtype), scale, stored=stored)
    found = fold_axes(fold, x, axes)
    return cast(found, _result_dtype(op, x.dtype)).view(result_shape(x, axes, keepdims=keepdims))


def _extreme_place(op: str, x: Buffer[Any], axis: int | None, keepdims: bool) -> Buffer[i32]:
    """Return the places of extremes: find the extreme's key, then the first place that has it.

    In a long row, only runs with the same extreme are read again.
    """
    name = f"arg{op}"
    common_dtype(name, [x], REALS)
    axes = axes_of(name, axis, x) if axis is None else (axis_of(name, axis, x),)
    _require_elements(name, x, axes)
    flat = x.view((x.size,)) if axis is None else x
    along = (0,) if axis is None else axes
    extents = three_extents(flat.shape, along[0], along[-1])
    keys, of_runs = Fold(op, u32, wide_dtype(x.dtype)).keys(flat, extents)
    places = Fold(f"where_{op}", u32, i32, second=keys, of_runs=of_runs).apply(flat, extents)
    return places.view(result_shape(x, axes, keepdims=keepdims))


def fold_axes(
    fold: Fold, x: Buffer[Any], axes: tuple[int, ...], *, last: bool = True
) -> Buffer[Any]:
    """Return ``x`` folded over ``axes``, neighbouring axes at once, from the last to the first."""
    shape = list(x.shape)
    runs = _axis_runs(x.shape, axes)
    for k, (begin, end) in enumerate(reversed(runs)):
        extents = three_extents(shape, begin, end)
        ends = last and k == len(runs) - 1
        x = fold.apply(x, extents, first=k == 0, last=ends)
        shape[begin : end + 1] = [1] * (end + 1 - begin)
    return x


def _axis_runs(shape: Sequence[int], axes: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return runs of neighbouring axes as (first, last); for no axes, one that folds nothing."""
    runs: list[tuple[int, int]] = []
    for axis in axes:
        if runs and math.prod(shape[runs[-1][1] + 1 : axis]) == 1:
            runs[-1] = (runs[-1][0], axis)
        else:
            runs.append((axis, axis))
    return runs or [(len(shape), len(shape))]


def result_shape(x: Buffer[Any], axes: tuple[int, ...], *, keepdims: bool) -> tuple[int, ...]:
    """Return the shape of a result: without ``axes``, or with extents of 1."""
    kept = (1 if i in axes else n for i, n in enumerate(x.shape) if keepdims or i not in axes)
    return tuple(kept)


def _scale(x: Buffer[Any], axis: Axes, ddof: float) -> float:
    """Return 1 over the count of numbers less ``ddof``; NaN or infinity where that is not > 0."""
    count = math.prod(x.shape[a] for a in axes_of("mean", axis, x))
    if count <= ddof:
        return math.nan if count <= 1 else math.inf
    return 1 / (count - ddof)


def _fold_dtype(op: str, dtype: type[DType]) -> type[DType]:
    """Return the 32-bit dtype in which a fold ends."""
    if op in ("any", "all"):
        return u32
    return i32 if op == "count" else wide_dtype(dtype)


def _stored_dtype(dtype: type[DType]) -> type[DType] | None:
    """Return f16 where a fold writes its result as f16 by itself."""
    return f16 if dtype is f16 else None


def _result_dtype(op: str, dtype: type[DType]) -> type[DType]:
    """Return the dtype of a result."""
    if op in ("any", "all"):
        return u8
    if op == "count" or (op in ("sum", "prod") and dtype is i8):
        return i32
    return u32 if op in ("sum", "prod") and dtype is u8 else dtype


def _require_elements(op: str, x: Buffer[Any], axes: tuple[int, ...]) -> None:
    """Raise `ShapeError` where there are no numbers to compare."""
    if math.prod(x.shape[a] for a in axes) == 0:
        raise ShapeError(f"{op}: there must be numbers over axes {axes}, got {x.shape}")
