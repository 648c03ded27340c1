"""Sums, products, means and extremes over axes.

``axis`` is an int, a tuple of ints, or None for all; with ``keepdims`` they stay, of extent 1.
Floats are summed in f32 (f16 too) in an order that the sizes fix, never by chance: a sum errs by at
most ``40 p 2^-24`` of the sum of sizes, with p = 1 + log128(n) for n numbers, then by its rounding
to the dtype. Integers wrap in 32 bits. All raise `ShapeError` for axes that are not there,
`DTypeError` for dtypes that they do not take.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from gpucore import Buffer, DType, ShapeError, T, f16, i8, i32, u8, u32
from gpustd.arrays.arithmetic import subtract
from gpustd.arrays.axes import Axes, axes_of, axis_of, three_extents
from gpustd.arrays.casting import cast
from gpustd.arrays.folding import Fold, accumulator, widened
from gpustd.arrays.functions import sqrt
from gpustd.arrays.operands import ALL, FLOATS, NUMBERS, REALS, common_dtype
from gpustd.launch.checks import as_float

__all__ = [
    "all",
    "any",
    "argmax",
    "argmin",
    "count_nonzero",
    "max",
    "mean",
    "min",
    "prod",
    "std",
    "sum",
    "var",
]


def sum(x: Buffer[T], axis: Axes = None, *, keepdims: bool = False) -> Buffer[Any]:  # noqa: A001
    """Sum over axes; of i8 in i32, of u8 in u32, else in the dtype of ``x``.

    >>> import numpy as np; from gpucore import Device; from gpustd import arrays
    >>> x = Device.auto().buffer_from_array(np.arange(6, dtype=np.int32).reshape(2, 3))
    >>> arrays.sum(x, axis=0).read()
    array([3, 5, 7], dtype=int32)
    """
    return _reduced("sum", x, axis, keepdims, ALL)


def prod(x: Buffer[T], axis: Axes = None, *, keepdims: bool = False) -> Buffer[Any]:
    """Product over axes; of i8 in i32, of u8 in u32, else in the dtype of ``x``.

    >>> from gpucore import Device, i32; from gpustd import arrays
    >>> x = Device.auto().buffer_from_array([[1, 2, 3], [4, 5, 6]], i32)
    >>> print(arrays.prod(x, 1).read())
    [  6 120]
    """
    return _reduced("prod", x, axis, keepdims, REALS)


def mean(x: Buffer[T], axis: Axes = None, *, keepdims: bool = False) -> Buffer[T]:
    """Mean over axes, of floats or complex numbers; NaN of nothing.

    >>> from gpucore import Device, f32; from gpustd import arrays
    >>> x = Device.auto().buffer_from_array([[1, 2, 3], [4, 5, 6]], f32)
    >>> print(arrays.mean(x, axis=0).read().round(3))
    [2.5 3.5 4.5]
    """
    common_dtype("mean", [x], NUMBERS)
    return _reduced("mean", x, axis, keepdims, NUMBERS, _scale(x, axis, 0))


def var(x: Buffer[T], axis: Axes = None, *, ddof: float = 0, keepdims: bool = False) -> Buffer[T]:
    """Mean square of the distance from the mean over axes, of floats.

    The mean comes first, then the squares; they are divided by their number less ``ddof``.

    >>> from gpucore import Device, f32; from gpustd import arrays
    >>> x = Device.auto().buffer_from_array([1, 2, 3, 4], f32)
    >>> print(arrays.var(x).read().round(3))
    1.25
    """
    common_dtype("var", [x], FLOATS)
    axes = axes_of("var", axis, x)
    centre = Fold("mean", accumulator("mean", x.dtype), widened(x.dtype), _scale(x, axes, 0))
    middle = _folded(centre, x, axes)
    shape = _shape(x, axes, keepdims=True)
    scale = _scale(x, axes, as_float("var", "ddof", ddof))
    acc = accumulator("squares", x.dtype)
    fold = Fold("squares", acc, widened(x.dtype), scale, stored=_stored(x.dtype))
    runs = _runs(x.shape, axes)
    if len(runs) == 1:
        found = _folded(replace(fold, second=middle), x, axes)
    else:
        wide: Buffer[Any] = cast(x, widened(x.dtype))
        apart = subtract(wide, middle.view(shape))
        found = _folded(fold, apart, axes)
    return cast(found, x.dtype).view(_shape(x, axes, keepdims=keepdims))


def std(x: Buffer[T], axis: Axes = None, *, ddof: float = 0, keepdims: bool = False) -> Buffer[T]:
    """Square root of `var`.

    >>> from gpucore import Device, f32; from gpustd import arrays
    >>> x = Device.auto().buffer_from_array([1, 2, 3, 4], f32)
    >>> print(arrays.std(x).read().round(3))
    1.118
    """
    common_dtype("std", [x], FLOATS)
    axes = axes_of("std", axis, x)
    return sqrt(var(x, axes, ddof=as_float("std", "ddof", ddof), keepdims=keepdims))


def max(x: Buffer[T], axis: Axes = None, *, keepdims: bool = False) -> Buffer[T]:  # noqa: A001
    """Largest number over axes; NaN where one is. Raises `ShapeError` for no numbers.

    >>> from gpucore import Device, i32; from gpustd import arrays
    >>> x = Device.auto().buffer_from_array([[1, 2, 3], [4, 5, 6]], i32)
    >>> print(arrays.max(x, axis=1).read())
    [3 6]
    """
    return _reduced("max", x, axis, keepdims, REALS)


def min(x: Buffer[T], axis: Axes = None, *, keepdims: bool = False) -> Buffer[T]:  # noqa: A001
    """Least number over axes; NaN where one is. Raises `ShapeError` for no numbers.

    >>> from gpucore import Device, i32; from gpustd import arrays
    >>> x = Device.auto().buffer_from_array([[1, 2, 3], [4, 5, 6]], i32)
    >>> print(arrays.min(x, axis=0).read())
    [1 2 3]
    """
    return _reduced("min", x, axis, keepdims, REALS)


def argmax(x: Buffer[Any], axis: int | None = None, *, keepdims: bool = False) -> Buffer[i32]:
    """Place of the first largest number (or NaN) along an axis, or in the flattened array.

    >>> from gpucore import Device, i32; from gpustd import arrays
    >>> x = Device.auto().buffer_from_array([3, 9, 9], i32)
    >>> print(arrays.argmax(x).read())
    1
    """
    return _place("max", x, axis, keepdims)


def argmin(x: Buffer[Any], axis: int | None = None, *, keepdims: bool = False) -> Buffer[i32]:
    """Place of the first least number (or NaN) along an axis, or in the flattened array.

    >>> from gpucore import Device, i32; from gpustd import arrays
    >>> x = Device.auto().buffer_from_array([3, 1, 9], i32)
    >>> print(arrays.argmin(x).read())
    1
    """
    return _place("min", x, axis, keepdims)


def any(x: Buffer[Any], axis: Axes = None, *, keepdims: bool = False) -> Buffer[u8]:  # noqa: A001
    """1 where some number over axes is other than 0, else 0.

    >>> from gpucore import Device, i32; from gpustd import arrays
    >>> x = Device.auto().buffer_from_array([[0, 0], [0, 7]], i32)
    >>> print(arrays.any(x, axis=1).read())
    [0 1]
    """
    return _reduced("any", x, axis, keepdims, REALS)


def all(x: Buffer[Any], axis: Axes = None, *, keepdims: bool = False) -> Buffer[u8]:  # noqa: A001
    """1 where no number over axes is 0, else 0.

    >>> from gpucore import Device, i32; from gpustd import arrays
    >>> x = Device.auto().buffer_from_array([[1, 0], [2, 7]], i32)
    >>> print(arrays.all(x, axis=1).read())
    [0 1]
    """
    return _reduced("all", x, axis, keepdims, REALS)


def count_nonzero(x: Buffer[Any], axis: Axes = None, *, keepdims: bool = False) -> Buffer[i32]:
    """How many numbers over axes are other than 0.

    >>> from gpucore import Device, i32; from gpustd import arrays
    >>> x = Device.auto().buffer_from_array([[1, 0], [2, 7]], i32)
    >>> print(arrays.count_nonzero(x, axis=1).read())
    [1 2]
    """
    return _reduced("count", x, axis, keepdims, REALS)


def _reduced(
    op: str,
    x: Buffer[Any],
    axis: Axes,
    keepdims: bool,
    takes: tuple[str, ...],
    scale: float = 1.0,
) -> Buffer[Any]:
    name = "count_nonzero" if op == "count" else op
    common_dtype(name, [x], takes)
    axes = axes_of(name, axis, x)
    if op in ("max", "min"):
        _refuse_nothing(op, x, axes)
    stored = _stored(_result(op, x.dtype))
    fold = Fold(op, accumulator(op, x.dtype), _target(op, x.dtype), scale, stored=stored)
    found = _folded(fold, x, axes)
    return cast(found, _result(op, x.dtype)).view(_shape(x, axes, keepdims=keepdims))


def _place(op: str, x: Buffer[Any], axis: int | None, keepdims: bool) -> Buffer[i32]:
    """Places of extremes: the extreme's key first, then the first place that has it.

    Of a long row only the runs are read again whose own extreme it is.
    """
    name = f"arg{op}"
    common_dtype(name, [x], REALS)
    axes = axes_of(name, axis, x) if axis is None else (axis_of(name, axis, x),)
    _refuse_nothing(name, x, axes)
    flat = x.view((x.size,)) if axis is None else x
    along = (0,) if axis is None else axes
    extents = three_extents(flat.shape, along[0], along[-1])
    keys, of_runs = Fold(op, u32, widened(x.dtype)).keys(flat, extents)
    places = Fold(f"where_{op}", u32, i32, second=keys, of_runs=of_runs).over(flat, extents)
    return places.view(_shape(x, axes, keepdims=keepdims))


def _folded(fold: Fold, x: Buffer[Any], axes: tuple[int, ...], *, last: bool = True) -> Buffer[Any]:
    """``x`` folded over ``axes``, neighbours at once, from the last to the first."""
    shape = list(x.shape)
    runs = _runs(x.shape, axes)
    for k, (begin, end) in enumerate(reversed(runs)):
        extents = three_extents(shape, begin, end)
        ends = last and k == len(runs) - 1
        x = fold.over(x, extents, first=k == 0, last=ends)
        shape[begin : end + 1] = [1] * (end + 1 - begin)
    return x


def _runs(shape: Sequence[int], axes: tuple[int, ...]) -> list[tuple[int, int]]:
    """Neighbouring axes as (first, last); none at all as the one that folds nothing."""
    runs: list[tuple[int, int]] = []
    for axis in axes:
        if runs and math.prod(shape[runs[-1][1] + 1 : axis]) == 1:
            runs[-1] = (runs[-1][0], axis)
        else:
            runs.append((axis, axis))
    return runs or [(len(shape), len(shape))]


def _shape(x: Buffer[Any], axes: tuple[int, ...], *, keepdims: bool) -> tuple[int, ...]:
    kept = (1 if i in axes else n for i, n in enumerate(x.shape) if keepdims or i not in axes)
    return tuple(kept)


def _scale(x: Buffer[Any], axis: Axes, ddof: float) -> float:
    """One over the numbers that a mean is taken of, less ``ddof``; NaN or infinite for none."""
    count = math.prod(x.shape[a] for a in axes_of("mean", axis, x))
    if count <= ddof:
        return math.nan if count <= 1 else math.inf
    return 1 / (count - ddof)


def _target(op: str, dtype: type[DType]) -> type[DType]:
    """The 32-bit dtype in which a fold ends."""
    if op in ("any", "all"):
        return u32
    return i32 if op == "count" else widened(dtype)


def _stored(dtype: type[DType]) -> type[DType] | None:
    """f16, as which a fold writes its result itself."""
    return f16 if dtype is f16 else None


def _result(op: str, dtype: type[DType]) -> type[DType]:
    if op in ("any", "all"):
        return u8
    if op == "count" or (op in ("sum", "prod") and dtype is i8):
        return i32
    return u32 if op in ("sum", "prod") and dtype is u8 else dtype


def _refuse_nothing(op: str, x: Buffer[Any], axes: tuple[int, ...]) -> None:
    if math.prod(x.shape[a] for a in axes) == 0:
        raise ShapeError(f"{op}: nothing to compare in {x.shape} over axes {axes}")
