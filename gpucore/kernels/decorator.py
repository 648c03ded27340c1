"""`gpu_kernel`: the decorator that makes a kernel of a Python function."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, overload

from gpucore.arguments.grids import Grid
from gpucore.buffer import Buffer
from gpucore.dtypes import T
from gpucore.kernels.call_types import P1, P2, P3, P4, P5, P6, P7, P8
from gpucore.kernels.python_kernel import GpuKernel
from gpucore.language import Array

__all__ = ["KernelDecorator", "gpu_kernel"]


class KernelDecorator(Protocol):
    """What ``gpu_kernel`` is for checkers."""

    @overload
    def __call__(self, function: Callable[[P1], None], /) -> GpuKernel[tuple[P1], None]: ...
    @overload
    def __call__(
        self, function: Callable[[P1], Array[T]], /
    ) -> GpuKernel[tuple[P1], Buffer[T]]: ...
    @overload
    def __call__(self, function: Callable[[P1, P2], None], /) -> GpuKernel[tuple[P1, P2], None]: ...
    @overload
    def __call__(
        self, function: Callable[[P1, P2], Array[T]], /
    ) -> GpuKernel[tuple[P1, P2], Buffer[T]]: ...
    @overload
    def __call__(
        self, function: Callable[[P1, P2, P3], None], /
    ) -> GpuKernel[tuple[P1, P2, P3], None]: ...
    @overload
    def __call__(
        self, function: Callable[[P1, P2, P3], Array[T]], /
    ) -> GpuKernel[tuple[P1, P2, P3], Buffer[T]]: ...
    @overload
    def __call__(
        self, function: Callable[[P1, P2, P3, P4], None], /
    ) -> GpuKernel[tuple[P1, P2, P3, P4], None]: ...
    @overload
    def __call__(
        self, function: Callable[[P1, P2, P3, P4], Array[T]], /
    ) -> GpuKernel[tuple[P1, P2, P3, P4], Buffer[T]]: ...
    @overload
    def __call__(
        self, function: Callable[[P1, P2, P3, P4, P5], None], /
    ) -> GpuKernel[tuple[P1, P2, P3, P4, P5], None]: ...
    @overload
    def __call__(
        self, function: Callable[[P1, P2, P3, P4, P5], Array[T]], /
    ) -> GpuKernel[tuple[P1, P2, P3, P4, P5], Buffer[T]]: ...
    @overload
    def __call__(
        self, function: Callable[[P1, P2, P3, P4, P5, P6], None], /
    ) -> GpuKernel[tuple[P1, P2, P3, P4, P5, P6], None]: ...
    @overload
    def __call__(
        self, function: Callable[[P1, P2, P3, P4, P5, P6], Array[T]], /
    ) -> GpuKernel[tuple[P1, P2, P3, P4, P5, P6], Buffer[T]]: ...
    @overload
    def __call__(
        self, function: Callable[[P1, P2, P3, P4, P5, P6, P7], None], /
    ) -> GpuKernel[tuple[P1, P2, P3, P4, P5, P6, P7], None]: ...
    @overload
    def __call__(
        self, function: Callable[[P1, P2, P3, P4, P5, P6, P7], Array[T]], /
    ) -> GpuKernel[tuple[P1, P2, P3, P4, P5, P6, P7], Buffer[T]]: ...
    @overload
    def __call__(
        self, function: Callable[[P1, P2, P3, P4, P5, P6, P7, P8], None], /
    ) -> GpuKernel[tuple[P1, P2, P3, P4, P5, P6, P7, P8], None]: ...
    @overload
    def __call__(
        self, function: Callable[[P1, P2, P3, P4, P5, P6, P7, P8], Array[T]], /
    ) -> GpuKernel[tuple[P1, P2, P3, P4, P5, P6, P7, P8], Buffer[T]]: ...
    @overload
    def __call__(self, function: Callable[..., Any], /) -> GpuKernel[Any, Any]: ...
    @overload
    def __call__(self, *, workgroup_size: Grid | None = None) -> KernelDecorator: ...
    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Make a kernel of a function."""


if TYPE_CHECKING:
    gpu_kernel: KernelDecorator
else:

    def gpu_kernel(
        function: Callable[..., object] | None = None, /, *, workgroup_size: Grid | None = None
    ) -> Any:
        """Make a kernel of a Python function: it is compiled for the GPU, and Python never runs it.

        ``workgroup_size`` is the number of invocations of a workgroup as x, (x, y) or (x, y, z);
        256 in all where it is None. docs/python-kernels.md describes the language. Raises
        `ArgumentError`; the first call raises `PythonKernelError`.

        >>> from gpucore import Array, Device, f32, gpu_kernel
        >>> @gpu_kernel
        ... def vector_add(a: Array[f32], b: Array[f32]) -> Array[f32]:
        ...     return a + b
        >>> device = Device.null()
        >>> vector_add(device.buffer(f32, (4, 5)), device.buffer(f32, 5)).shape
        (4, 5)
        """
        if function is None:
            return lambda each: GpuKernel(each, workgroup_size)
        return GpuKernel(function, workgroup_size)
