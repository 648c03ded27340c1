"""Running sums, products and extremes along an axis.

Three passes: what each run comes to, those scanned in turn, each run with what comes before it.
Floats are summed in f32 (f16 too), in an order that the axis's extent fixes: an element errs by
at most ``130 p 2^-24`` of the sum of sizes up to it, with p <= 1 + log128(n). Integers wrap in 32
bits.
``axis`` None takes the flattened array, as NumPy does. All raise `ShapeError` for an axis that is
not there, `DTypeError`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gpucore import Buffer, DType, T, c64, i8, u8
from gpustd.arrays.axes import axis_of, three_extents
from gpustd.arrays.folding import Fold, accumulator, takes_rows, widened
from gpustd.arrays.operands import ALL, REALS, common_dtype
from gpustd.cast import cast
from gpustd.grid import flat_grid
from gpustd.template import Value, kernel

__all__ = ["cummax", "cummin", "cumprod", "cumsum"]

_RUN = 128
_ROW_RUN = 4096
_SHORT_ROW = 256
_WORKGROUP = 64
_COMBINE = {"sum": "add", "prod": "mul", "max": "max", "min": "max"}


def cumsum(x: Buffer[T], axis: int | None = None, *, exclusive: bool = False) -> Buffer[Any]:
    """Sums of all up to each element; ``exclusive`` leaves the element itself out, so 0 is first.

    Of i8 in i32, of u8 in u32, else in the dtype of ``x``.

    >>> import numpy as np; from gpucore import Device; from gpustd import arrays
    >>> x = Device.auto().buffer_from_array(np.array([3, 1, 4, 1], np.int32))
    >>> arrays.cumsum(x).read(), arrays.cumsum(x, exclusive=True).read()
    (array([3, 4, 8, 9], dtype=int32), array([0, 3, 4, 8], dtype=int32))
    """
    return _scanned("sum", x, axis, exclusive, ALL)


def cumprod(x: Buffer[T], axis: int | None = None, *, exclusive: bool = False) -> Buffer[Any]:
    """Products of all up to each element; ``exclusive`` leaves it out, so 1 is first.

    Of i8 in i32, of u8 in u32, else in the dtype of ``x``.

    >>> from gpucore import Device, i32; from gpustd import arrays
    >>> x = Device.auto().buffer_from_array([1, 2, 3, 4], i32)
    >>> print(arrays.cumprod(x).read())
    [ 1  2  6 24]
    """
    return _scanned("prod", x, axis, exclusive, REALS)


def cummax(x: Buffer[T], axis: int | None = None) -> Buffer[T]:
    """The largest so far, as ``numpy.maximum.accumulate``; NaN from a first one on.

    >>> from gpucore import Device, i32; from gpustd import arrays
    >>> x = Device.auto().buffer_from_array([1, 3, 2, 5], i32)
    >>> print(arrays.cummax(x).read())
    [1 3 3 5]
    """
    return _scanned("max", x, axis, False, REALS)


def cummin(x: Buffer[T], axis: int | None = None) -> Buffer[T]:
    """The least so far, as ``numpy.minimum.accumulate``; NaN from a first one on.

    >>> from gpucore import Device, i32; from gpustd import arrays
    >>> x = Device.auto().buffer_from_array([4, 3, 5, 1], i32)
    >>> print(arrays.cummin(x).read())
    [4 3 3 1]
    """
    return _scanned("min", x, axis, False, REALS)


def _scanned(
    op: str, x: Buffer[Any], axis: int | None, exclusive: bool, takes: tuple[str, ...]
) -> Buffer[Any]:
    name = f"cum{op}"
    common_dtype(name, [x], takes)
    flat = x.view((x.size,)) if axis is None else x
    along = 0 if axis is None else axis_of(name, axis, x)
    extents = three_extents(flat.shape, along, along)
    wide = op in ("sum", "prod") and x.dtype in (i8, u8)
    target = widened(x.dtype) if x.dtype in (i8, u8) else x.dtype
    scan = _Scan(op, accumulator(op, x.dtype), target, exclusive)
    y = scan.over(flat, extents, first=True).view(flat.shape)
    return y if wide or target is x.dtype else cast(y, x.dtype)


@dataclass(frozen=True)
class _Scan:
    """One scan: ``op``, the dtype it sums in, and that of the result."""

    op: str
    acc: type[DType]
    target: type[DType]
    exclusive: bool

    def over(self, x: Buffer[Any], extents: tuple[int, int, int], *, first: bool) -> Buffer[Any]:
        """``x`` seen as ``extents``, scanned along the middle axis."""
        outer, n, inner = extents
        paired = x.dtype is c64
        rows = inner == 1 and n > _SHORT_ROW and takes_rows(x.device) and not paired
        run = _ROW_RUN if rows else _RUN
        chunks = max(1, -(-n // run))
        y: Buffer[Any] = x.device.buffer(c64 if paired else self.target, (outer, n, inner))
        operands: list[Any] = [x, y]
        if chunks > 1:
            operands.insert(1, self._before(x, extents, run, first=first))
        inner *= 2 if paired else 1
        spec: dict[str, Value] = {
            "op": self.op,
            "combine": _COMBINE[self.op],
            "kind": "parts" if paired else x.dtype.name,
            "acc": self.acc.name,
            "target": self.target.name,
            "first": first,
            "many": chunks > 1,
            "exclusive": self.exclusive,
        }
        sizes = {"n": n, "inner": inner, "chunk": run, "chunks": chunks}
        if rows:
            spec["aligned"] = n % 4 == 0 or outer == 1
            sizes["count"] = outer * chunks
            launch = kernel(x.device, "arrays/scan_rows.wgsl", **spec)
            launch(*operands, sizes, grid=flat_grid(sizes["count"], 1))
            return y
        spec["width"] = width = 4 if inner % 4 == 0 else 1
        sizes["count"] = outer * chunks * inner // width
        launch = kernel(x.device, "arrays/scan_runs.wgsl", **spec)
        launch(*operands, sizes, grid=flat_grid(sizes["count"], _WORKGROUP))
        return y

    def _before(
        self, x: Buffer[Any], extents: tuple[int, int, int], run: int, *, first: bool
    ) -> Buffer[Any]:
        """What all runs before each come to, (outer, chunks, inner), in the accumulator's dtype."""
        outer, _, inner = extents
        fold = Fold(self.op, self.acc, self.acc)
        totals = fold.runs(x, extents, run, first=first, last=False)
        within = _Scan(self.op, self.acc, self.acc, True)
        return within.over(totals, (outer, totals.shape[1], inner), first=False)
