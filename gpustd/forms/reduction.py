"""`gpu_reduce`: folds over axes by an operator in Python.

One array is folded by the templates of `gpustd.sum`, with the operator in their place of ``+``.
Several arrays, and vectors, take those of `gpustd.ReductionKernel`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gpucore import Buffer
from gpucore.dtypes import DTYPES, f16, f32
from gpustd.arrays.axes import Axes, axes_of
from gpustd.arrays.expressions.reduction_kernels import ReductionKernel
from gpustd.arrays.folds.fold_passes import Fold
from gpustd.arrays.folds.reductions import fold_axes, result_shape
from gpustd.forms.operators import BoundForm, FormFunctions, Identity

__all__ = ["GpuReduction", "gpu_reduce"]


class GpuReduction:
    """A reduction made by `gpu_reduce`; call it with arrays, ``axis`` and ``keepdims``."""

    def __init__(self, functions: FormFunctions) -> None:
        self._functions = functions
        self._kernels: dict[BoundForm, ReductionKernel] = {}

    def __repr__(self) -> str:
        return f"GpuReduction({self._functions.name})"

    @property
    def functions(self) -> FormFunctions:
        """Its operator, ``map`` and ``finish``."""
        return self._functions

    def source(self, *kinds: str) -> str:
        """Return the functions in WGSL for operands of dtypes by name; of f32 for none."""
        return self._functions.source(*kinds)

    def __call__(self, *operands: Any, axis: Axes = None, keepdims: bool = False) -> Buffer[Any]:
        """Return the fold over an axis, several, or all for None.

        Raises `ArgumentError`, `DTypeError`, `ShapeError`, and `PythonKernelError` where a function
        does not fit the operands.
        """
        bound = self._functions.bind(operands)
        if bound.is_plain:
            return _fold(bound, operands[0], axis, keepdims)
        if bound not in self._kernels:
            known = self._functions.forms  # others are of functions that have changed
            self._kernels = {form: k for form, k in self._kernels.items() if form in known}
            self._kernels[bound] = _kernel_of(bound)
        return self._kernels[bound](*operands, axis=axis, keepdims=keepdims)


def _fold(bound: BoundForm, x: Buffer[Any], axis: Axes, keepdims: bool) -> Buffer[Any]:
    """Return one array folded as `gpustd.sum` folds it."""
    axes = axes_of(bound.operator.name, axis, x)
    half = bound.result is f16
    fold = Fold(
        "custom",
        DTYPES[bound.acc],
        f32 if half else bound.result,
        stored=f16 if half else None,
        operator=bound.operator,
    )
    return fold_axes(fold, x, axes).view(result_shape(x, axes, keepdims=keepdims))


def _kernel_of(bound: BoundForm) -> ReductionKernel:
    return ReductionKernel(
        bound.parameters,
        f"y: {bound.result.name}",
        reduce=f"{bound.operator.combine}(a, b)",
        name=bound.operator.name,
        **bound.texts,
    ).declare(bound.operator.code)


def gpu_reduce(
    *,
    identity: Identity,
    map: Callable[..., Any] | None = None,  # noqa: A002
    finish: Callable[..., Any] | None = None,
) -> Callable[[Callable[..., Any]], GpuReduction]:
    """Make a reduction of a function of two values, which Python never runs.

    The function must be associative and commutative but for rounding, and ``identity`` its neutral
    element: a tuple where it combines vectors. ``map`` makes a value of an element of each array,
    which broadcast as NumPy's; ``finish`` makes the result of the last value. f16 is computed as
    f32, i8 as i32, u8 as u32, c64 as ``vec2f``. The order follows from the sizes alone.

    >>> from gpucore import f32
    >>> @gpustd.forms.gpu_reduce(identity=1.0)
    ... def product(a: f32, b: f32) -> f32:
    ...     return a * b
    >>> x = device.buffer_from_array([[1, 2, 3], [4, 5, 6]], f32)
    >>> print(product(x, axis=1).read())
    [  6. 120.]
    """

    def decorate(function: Callable[..., Any]) -> GpuReduction:
        return GpuReduction(FormFunctions(function, identity, map, finish))

    return decorate
