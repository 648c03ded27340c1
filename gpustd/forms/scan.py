"""`gpu_scan`: running folds along an axis by an operator in Python.

An operator that commutes is put into the templates of `gpustd.cumsum`, which read each element
once. Others, several arrays, and vectors take those of `gpustd.ScanKernel`, which keep the order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gpucore import Buffer
from gpucore.dtypes import DTYPES
from gpustd.arrays.axes import axis_of, three_extents
from gpustd.arrays.expressions.scan_kernels import ScanKernel
from gpustd.arrays.folds.scans import Scan
from gpustd.forms.operators import BoundForm, FormFunctions, Identity

__all__ = ["GpuScan", "gpu_scan"]


class GpuScan:
    """A scan made by `gpu_scan`; call it with arrays, ``axis`` and ``exclusive``."""

    def __init__(self, functions: FormFunctions, commutative: bool | None) -> None:
        self._functions = functions
        self._commutative = commutative
        self._kernels: dict[BoundForm, ScanKernel] = {}

    def __repr__(self) -> str:
        return f"GpuScan({self._functions.name})"

    def source(self, *kinds: str) -> str:
        """Return the functions in WGSL for operands of dtypes by name; of f32 for none."""
        return self._functions.source(*kinds)

    def __call__(
        self, *operands: Any, axis: int | None = None, exclusive: bool = False
    ) -> Buffer[Any]:
        """Return the running fold along an axis, of the flattened array for None.

        ``exclusive`` leaves the element itself out. Raises `ArgumentError`, `DTypeError`,
        `ShapeError`, and `PythonKernelError` where a function does not fit the operands.
        """
        bound = self._functions.bind(operands)
        if self._is_quick(bound):
            return _scan(bound, operands[0], axis, exclusive)
        if bound not in self._kernels:
            known = self._functions.forms  # others are of functions that have changed
            self._kernels = {form: k for form, k in self._kernels.items() if form in known}
            self._kernels[bound] = _kernel_of(bound)
        return self._kernels[bound](*operands, axis=axis, exclusive=exclusive)

    def _is_quick(self, bound: BoundForm) -> bool:
        """Tell whether the templates of sums may take it: they do not keep the order."""
        commutes = self._commutative
        if commutes is None:
            commutes = self._functions.commutes
        same = not bound.operator.finished and bound.acc == bound.element
        return commutes and bound.is_plain and same


def _scan(bound: BoundForm, x: Buffer[Any], axis: int | None, exclusive: bool) -> Buffer[Any]:
    """Return one array scanned as `gpustd.cumsum` scans it."""
    flat = x.view((x.size,)) if axis is None else x
    along = 0 if axis is None else axis_of(bound.operator.name, axis, x)
    extents = three_extents(flat.shape, along, along)
    scan = Scan("custom", DTYPES[bound.acc], bound.result, exclusive, bound.operator)
    return scan.apply(flat, extents, first=True).view(flat.shape)


def _kernel_of(bound: BoundForm) -> ScanKernel:
    return ScanKernel(
        bound.parameters,
        f"y: {bound.result.name}",
        combine=f"{bound.operator.combine}(a, b)",
        name=bound.operator.name,
        **bound.texts,
    ).declare(bound.operator.code)


def gpu_scan(
    *,
    identity: Identity,
    map: Callable[..., Any] | None = None,  # noqa: A002
    finish: Callable[..., Any] | None = None,
    commutative: bool | None = None,
) -> Callable[[Callable[..., Any]], GpuScan]:
    """Make a scan of a function of two values: what comes before, and what comes next.

    The function must be associative but for rounding, and ``identity`` its neutral element. Where
    it is ``commutative``, too, the elements are read once; None finds this out for one operator, as
    ``a + b``, and else keeps the order. ``map``, ``finish`` and dtypes are as in `gpu_reduce`.

    >>> from gpucore import i32
    >>> @gpustd.forms.gpu_scan(identity=0)
    ... def last_nonzero(a: i32, b: i32) -> i32:
    ...     return b if b != 0 else a
    >>> print(last_nonzero(device.buffer_from_array([3, 0, 0, 5, 0], i32)).read())
    [3 3 3 5 5]
    """

    def decorate(function: Callable[..., Any]) -> GpuScan:
        return GpuScan(FormFunctions(function, identity, map, finish), commutative)

    return decorate
