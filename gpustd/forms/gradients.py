"""`grad`: the gradients of elementwise kernels by their arguments.

An element of the result depends on few numbers. So its derivative by each of them is computed
beside its value, which needs no record of branches and loops. The gradient of an array is this
derivative times the cotangent, added up over the axes that were broadcast.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

import numpy as np

from gpucore import ArgumentError, Buffer, GpuKernel, GpuStencil
from gpucore.dtypes import f16, f32
from gpustd.forms.reduction import GpuReduction
from gpustd.forms.sums import SumGradient, summed_to

__all__ = ["Gradient", "grad"]

_FLOATS = (f32, f16)


class Gradient:
    """The gradients of a kernel, made by `grad`; call it with the kernel's arguments."""

    def __init__(self, kernel: GpuKernel[Any, Any], wrt: Sequence[str] | None) -> None:
        self._kernel = kernel
        self._wrt = None if wrt is None else tuple(wrt)

    def __repr__(self) -> str:
        return f"Gradient({self._kernel.__name__})"

    def __call__(
        self, *arguments: Any, cotangent: Buffer[Any] | None = None, **named: Any
    ) -> dict[str, Buffer[Any]]:
        """Return the gradient by each argument, by name, of the result's sum.

        With a ``cotangent``, of the result's shape, it is that of the sum of both's product. A
        gradient has the shape and dtype of its argument; that of a number has the shape (). Raises
        `PythonKernelError` where the kernel has no derivative, `ArgumentError`, `DTypeError`,
        `ShapeError`.
        """
        kernel = self._kernel
        call = kernel.bound_arguments(arguments, named)
        names = self._wrt or [name for name in kernel.floats if _has_floats(call[name])]
        found = {name: kernel.derivative(name, cotangent, (), call) for name in names}
        shape = np.broadcast_shapes(*(a.shape for a in call.values() if isinstance(a, Buffer)))
        return {name: summed_to(each, call[name], shape) for name, each in found.items()}


def _has_floats(value: Any) -> bool:
    return not isinstance(value, Buffer) or value.dtype in _FLOATS


@overload
def grad(kernel: GpuReduction) -> SumGradient: ...
@overload
def grad(kernel: GpuKernel[Any, Any], wrt: Sequence[str] | None = None) -> Gradient: ...
def grad(
    kernel: GpuKernel[Any, Any] | GpuReduction, wrt: Sequence[str] | None = None
) -> Gradient | SumGradient:
    """Return the gradients of an elementwise kernel by the arguments ``wrt``; None for all floats.

    Of a reduction of `gpu_reduce` whose operator is ``a + b``, return those by its operands.

    Math functions, branches, loops, vectors and functions of the user's are derived; print is left
    out. Arrays of an invocation, subgroups, and functions that store raise `PythonKernelError` at
    the call. What is converted to integers counts as constant. At a corner the derivative is that
    of one side. Each gradient is a launch of its own. Raises `ArgumentError`.

    >>> from gpucore import Array, f32, gpu_kernel
    >>> @gpu_kernel
    ... def leaky(x: Array[f32], slope: f32) -> Array[f32]:
    ...     return x if x > 0 else slope * x
    >>> x = device.buffer_from_array([[-2, 3], [4, -5]], f32)
    >>> found = gpustd.forms.grad(leaky)(x, 0.5)
    >>> print(found["x"].read())
    [[0.5 1. ]
     [1.  0.5]]
    >>> print(found["slope"].read())
    -7.0
    """
    if isinstance(kernel, GpuReduction):
        return SumGradient(kernel.functions)
    given: object = kernel
    if not isinstance(given, GpuKernel) or isinstance(kernel, GpuStencil):
        raise ArgumentError(
            "grad takes an elementwise kernel of gpu_kernel, or a sum of gpu_reduce, got "
            f"{kernel!r}"
        )
    if unknown := set(wrt or ()) - set(kernel.floats):
        raise ArgumentError(
            f"wrt must name floats or arrays of {kernel.__name__}, got "
            f"{', '.join(sorted(unknown))}; there are: {', '.join(kernel.floats)}"
        )
    return Gradient(kernel, wrt)
