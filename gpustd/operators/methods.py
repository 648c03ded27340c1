"""The methods of buffers: gpustd's functions, with integers in f32 where NumPy takes floats."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from gpucore import Buffer, DType, DTypeError, ShapeError, f32
from gpucore.dtypes import dtype_of, is_marker
from gpustd.arrays.axes import Axes, axes_of, axis_of
from gpustd.arrays.creation import zeros
from gpustd.arrays.elementwise import arithmetic, complex_parts
from gpustd.arrays.elementwise.conversion import cast
from gpustd.arrays.folds import reductions, scans
from gpustd.arrays.indexing import nonzero
from gpustd.arrays.masks import Mask, as_mask
from gpustd.arrays.moving import rearranging
from gpustd.arrays.moving.transposing import transpose
from gpustd.arrays.sorting import radix
from gpustd.launch.checks import as_int
from gpustd.operators.arithmetic import matmul, round_decimals
from gpustd.operators.promotion import common_operands
from gpustd.operators.selecting import take_checked

__all__ = ["METHODS"]

Function = Callable[..., Any]


def _astype(x: Buffer[Any], dtype: Any, *, copy: bool = True) -> Buffer[Any]:
    """Convert; NumPy's bool gives truth values."""
    if not is_marker(dtype):
        try:
            given = np.dtype(dtype)
        except TypeError:
            raise DTypeError(f"astype: dtype must be gpucore's or NumPy's, got {dtype!r}") from None
        if given == np.bool_:
            return x.__copy__() if isinstance(x, Mask) and copy else as_mask(x != 0)
        dtype = dtype_of(given)
    if x.dtype is dtype and not isinstance(x, Mask):
        return x.__copy__() if copy else x
    if x.dtype is dtype:
        plain: Buffer[Any] = Buffer(x.device, x.dtype, x.shape, x.storage)
        return plain.__copy__() if copy else plain
    return cast(x, dtype)


def _as_float(x: Buffer[Any]) -> Buffer[Any]:
    """Return integers in f32, for means."""
    return cast(x, f32) if x.dtype.numpy.kind in "iu" else x


def _in(x: Buffer[Any], dtype: type[DType] | None) -> Buffer[Any]:
    return x if dtype is None else _astype(x, dtype, copy=False)


def _sum(
    x: Buffer[Any],
    axis: Axes = None,
    *,
    dtype: type[DType] | None = None,
    keepdims: bool = False,
) -> Buffer[Any]:
    return reductions.sum(_in(x, dtype), axis, keepdims=keepdims)


def _prod(
    x: Buffer[Any],
    axis: Axes = None,
    *,
    dtype: type[DType] | None = None,
    keepdims: bool = False,
) -> Buffer[Any]:
    return reductions.prod(_in(x, dtype), axis, keepdims=keepdims)


def _mean(x: Buffer[Any], axis: Axes = None, *, keepdims: bool = False) -> Buffer[Any]:
    return reductions.mean(_as_float(x), axis, keepdims=keepdims)


def _var(
    x: Buffer[Any], axis: Axes = None, *, ddof: float = 0, keepdims: bool = False
) -> Buffer[Any]:
    return reductions.var(_as_float(x), axis, ddof=ddof, keepdims=keepdims)


def _std(
    x: Buffer[Any], axis: Axes = None, *, ddof: float = 0, keepdims: bool = False
) -> Buffer[Any]:
    return reductions.std(_as_float(x), axis, ddof=ddof, keepdims=keepdims)


def _cumsum(
    x: Buffer[Any], axis: int | None = None, *, dtype: type[DType] | None = None
) -> Buffer[Any]:
    return scans.cumsum(_in(x, dtype), axis)


def _cumprod(
    x: Buffer[Any], axis: int | None = None, *, dtype: type[DType] | None = None
) -> Buffer[Any]:
    return scans.cumprod(_in(x, dtype), axis)


def _sort(x: Buffer[Any], axis: int = -1) -> None:
    """Sort in place; all of the axes at once would need another shape."""
    x.copy_from(radix.sort(x, as_int("sort", "axis", axis)))


def _clip(x: Buffer[Any], least: Any = None, most: Any = None) -> Buffer[Any]:
    """Limit in the common dtype of the buffer and the limits."""
    limits = [each for each in (least, most) if each is not None]
    values = iter(common_operands("clip", (x, *limits)).values)
    first = next(values)
    assert isinstance(first, Buffer)
    low = None if least is None else next(values)
    return arithmetic.clip(first, low, None if most is None else next(values))


def _conj(x: Buffer[Any]) -> Buffer[Any]:
    return complex_parts.conjugate(x) if x.dtype.numpy.kind == "c" else x.__copy__()


def _real(x: Buffer[Any]) -> Buffer[Any]:
    return complex_parts.real(x) if x.dtype.numpy.kind == "c" else x.__copy__()


def _imag(x: Buffer[Any]) -> Buffer[Any]:
    if x.dtype.numpy.kind == "c":
        return complex_parts.imag(x)
    return zeros(x.device, x.shape, x.dtype)


def _dot(x: Buffer[Any], other: Any) -> Buffer[Any]:
    """Multiply matrices; a number scales, as `numpy.dot` has it."""
    values = common_operands("dot", (x, other)).values
    if all(isinstance(each, Buffer) and each.shape for each in values):
        return matmul(*values)
    product: Buffer[Any] = arithmetic.multiply(*values)
    return product


def _reshape(x: Buffer[Any], *shape: Any) -> Buffer[Any]:
    """Return the same memory in a shape, given as numbers or as one sequence."""
    return x.view(shape[0] if len(shape) == 1 else shape)


def _squeeze(x: Buffer[Any], axis: Axes = None) -> Buffer[Any]:
    axes = axes_of("squeeze", axis, x)
    if axis is None:
        axes = tuple(a for a in axes if x.shape[a] == 1)
    if any(x.shape[a] != 1 for a in axes):
        raise ShapeError(f"squeeze: axes must have extent 1, got {axes} of {x.shape}")
    return x.view(tuple(n for a, n in enumerate(x.shape) if a not in axes))


def _transpose(x: Buffer[Any], *axes: Any) -> Buffer[Any]:
    """Permute the axes, given as numbers or as one sequence."""
    order: Any = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes
    return _as_mask_of(x, transpose(x, order or None))


def _swapaxes(x: Buffer[Any], axis1: int, axis2: int) -> Buffer[Any]:
    first, second = axis_of("swapaxes", axis1, x), axis_of("swapaxes", axis2, x)
    order = list(range(len(x.shape)))
    order[first], order[second] = second, first
    return _as_mask_of(x, transpose(x, order))


def _repeat(x: Buffer[Any], repeats: int, axis: int | None = None) -> Buffer[Any]:
    return _as_mask_of(x, rearranging.repeat(x, repeats, axis))


def _take(x: Buffer[Any], indices: Any, axis: int | None = None) -> Buffer[Any]:
    """Return the elements at indices on the host, which are checked, or on the device."""
    flat = x.view((x.size,)) if axis is None else x
    along = axis_of("take", 0 if axis is None else axis, flat)
    return _as_mask_of(x, take_checked(flat, indices, along))


def _as_mask_of(x: Buffer[Any], moved: Buffer[Any]) -> Buffer[Any]:
    """Return moved truth values as such."""
    return as_mask(moved) if isinstance(x, Mask) else moved


_FUNCTIONS: Mapping[str, Function] = {
    "all": reductions.all,
    "any": reductions.any,
    "argmax": reductions.argmax,
    "argmin": reductions.argmin,
    "argsort": radix.argsort,
    "astype": _astype,
    "clip": _clip,
    "conj": _conj,
    "copy": lambda x: x.__copy__(),
    "cumprod": _cumprod,
    "cumsum": _cumsum,
    "dot": _dot,
    "imag": _imag,
    "max": reductions.max,
    "mean": _mean,
    "min": reductions.min,
    "nonzero": nonzero,
    "prod": _prod,
    "real": _real,
    "repeat": _repeat,
    "reshape": _reshape,
    "round": round_decimals,
    "sort": _sort,
    "squeeze": _squeeze,
    "std": _std,
    "sum": _sum,
    "swapaxes": _swapaxes,
    "take": _take,
    "transpose": _transpose,
    "var": _var,
}

METHODS: Mapping[str, Function] = {f"method.{name}": each for name, each in _FUNCTIONS.items()}
"""The functions behind the methods, by the names of `gpucore.algebra.methods`."""
