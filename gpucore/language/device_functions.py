"""`gpu_function`: functions that kernels call."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from typing import Generic, ParamSpec, TypeVar

from gpucore.compiler.source import FunctionSource, read_function
from gpucore.language.outside import outside_error

__all__ = ["GpuFunction", "gpu_function"]

P = ParamSpec("P")
R = TypeVar("R")


class GpuFunction(Generic[P, R]):
    """A function that kernels call, made by `gpu_function`.

    >>> from gpucore import GpuFunction, f32, gpu_function
    >>> @gpu_function
    ... def twice(x: f32) -> f32:
    ...     return 2 * x
    >>> isinstance(twice, GpuFunction)
    True
    """

    def __init__(self, function: Callable[P, R]) -> None:
        update_wrapper(self, function)
        self._function = function
        self._source: FunctionSource | None = None

    def gpu_source(self) -> FunctionSource:
        """Return its source. Raises `PythonKernelError` where there is none."""
        if self._source is None:
            self._source = read_function(self._function)
        return self._source

    def __call__(self, *arguments: P.args, **named: P.kwargs) -> R:
        """Raise `GpuError`: only kernels call it."""
        raise outside_error(f"{self._function.__name__}(...)")


def gpu_function(function: Callable[P, R]) -> GpuFunction[P, R]:
    """Make a function that kernels call; it may take arrays, known numbers and functions.

    Parameters without a type take that of the argument. A call by a kernel raises
    `PythonKernelError` where types do not fit.

    >>> from gpucore import Array, f32, gpu_function, gpu_kernel
    >>> @gpu_function
    ... def relu(x: f32) -> f32:
    ...     return max(x, 0.0)
    >>> @gpu_kernel
    ... def activate(x: Array[f32]) -> Array[f32]:
    ...     return relu(x)
    >>> "fn relu(" in activate.source()
    True
    """
    return GpuFunction(function)
