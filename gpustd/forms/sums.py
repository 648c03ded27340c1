"""The gradients of reductions that add up: of ``map``, ``a + b`` and ``finish``.

The derivative of a sum by an element is that of ``map`` there, times that of ``finish`` at the sum.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import gpustd
from gpucore import (
    ArgumentError,
    Array,
    Buffer,
    DTypeError,
    GpuKernel,
    ShapeError,
    gpu_function,
)
from gpucore.compiler.source import FunctionSource
from gpucore.dtypes import f32, i32, u32
from gpustd.forms.operators import FormFunctions, source_of
from gpustd.forms.reduction import GpuReduction

__all__ = ["SumGradient", "summed_to"]

_KINDS = {each.name: each for each in (f32, i32, u32)}


class SumGradient:
    """The gradients of a reduction by its operands, made by `grad`."""

    def __init__(self, functions: FormFunctions) -> None:
        if not functions.adds:
            raise ArgumentError(
                f"{functions.name} has no gradient: grad takes reductions whose operator is "
                "return a + b"
            )
        self._functions = functions
        self._total = GpuReduction(functions.without_finish)
        self._maps: dict[tuple[str, ...], _Elements] = {}
        self._finish = None if functions.finish is None else _Elements(functions.finish, ("f32",))

    def __repr__(self) -> str:
        return f"SumGradient({self._functions.name})"

    def __call__(
        self,
        *operands: Any,
        axis: int | Sequence[int] | None = None,
        keepdims: bool = False,
        cotangent: Buffer[Any] | None = None,
    ) -> dict[str, Buffer[Any]]:
        """Return the gradient by each float operand, by the names of the parameters of ``map``.

        It is of the sum of the results, or with a ``cotangent`` of their shape of the sum of both's
        product. Raises `ArgumentError`, `DTypeError` for operands that are not f32, i32 or u32,
        `ShapeError`, `PythonKernelError`.
        """
        total = self._total(*operands, axis=axis, keepdims=True)  # which checks the operands
        kinds = tuple(_kind(self._functions.name, each) for each in operands)
        if total.dtype is not f32:
            raise DTypeError(f"{self._functions.name} has no gradient: it adds no f32 numbers")
        shape = np.broadcast_shapes(*(x.shape for x in operands if isinstance(x, Buffer)))
        weight = self._weight(total, shape, axis, keepdims, cotangent)
        if kinds not in self._maps:
            self._maps[kinds] = _Elements(self._functions.map, kinds)
        kernel = self._maps[kinds]
        names = kernel.bound_arguments(operands, {})
        return {
            name: summed_to(kernel.derivative(name, weight, operands, {}), value, shape)
            for name, value in names.items()
            if name in kernel.floats
        }

    def _weight(
        self,
        total: Buffer[Any],
        shape: tuple[int, ...],
        axis: int | Sequence[int] | None,
        keepdims: bool,
        cotangent: Buffer[Any] | None,
    ) -> Buffer[Any] | None:
        """Return the derivative of the results by their sums, in the shape of ``keepdims``."""
        if cotangent is not None:
            chosen = range(len(shape)) if axis is None else axis
            axes = {a % len(shape) for a in (chosen if not isinstance(chosen, int) else (chosen,))}
            left = tuple(n for i, n in enumerate(shape) if i not in axes)
            wanted = total.shape if keepdims else left
            if cotangent.shape != wanted:
                raise ShapeError(
                    f"{self._functions.name}: cotangent must have the shape {wanted} of the "
                    f"result, got {cotangent.shape}"
                )
            cotangent = cotangent.view(total.shape)
        if self._finish is None:
            return cotangent
        weight: Buffer[Any] = self._finish.derivative(
            self._finish.floats[0], cotangent, (total,), {}
        )
        return weight


def _kind(op: str, value: Any) -> str:
    """Return what an operand is for a kernel. Raises `DTypeError`."""
    if not isinstance(value, Buffer):
        return "number"
    if value.dtype.name not in _KINDS:
        raise DTypeError(f"{op}: gradients take f32, i32 and u32, got {value!r}; convert it")
    return str(value.dtype.name)


class _Elements(GpuKernel[Any, Any]):
    """An elementwise kernel that calls a function of a form; for None it gives its operand."""

    def __init__(self, function: Callable[..., Any] | None, kinds: tuple[str, ...]) -> None:
        super().__init__(function or _same)
        self._called = gpu_function(function or _same)
        self._kinds = kinds

    def _function_source(self) -> FunctionSource:
        source = source_of(self.__wrapped__)
        names = [each.arg for each in source.tree.args.args]
        kinds = ("f32" if kind == "number" else f"Array[{kind}]" for kind in self._kinds)
        parameters = ", ".join(f"{n}: {kind}" for n, kind in zip(names, kinds, strict=True))
        text = (
            f"def {source.name}({parameters}) -> Array[f32]:\n"
            f"    return called_by_form({', '.join(names)})\n"
        )
        called = self._called if not hasattr(self.__wrapped__, "gpu_source") else self.__wrapped__
        variables = {**_KINDS, "Array": Array, "called_by_form": called}
        return FunctionSource(text, source.file, source.first_line, variables)


def _same(x: f32) -> f32:
    return x


def summed_to(gradient: Buffer[Any], value: Any, shape: tuple[int, ...]) -> Buffer[Any]:
    """Return a gradient of a ``shape`` as one of an argument that was broadcast to it."""
    given = value.shape if isinstance(value, Buffer) else ()
    missing = len(shape) - len(given)
    axes = [*range(missing)]
    axes += [missing + i for i, size in enumerate(given) if size != shape[missing + i]]
    if axes:
        gradient = gpustd.sum(gradient, axis=tuple(axes))
    if isinstance(value, Buffer) and gradient.dtype is not value.dtype:
        gradient = gradient.astype(value.dtype)
    return gradient.view(given)
