"""Arrays that a kernel declares, barriers, and the bits of numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gpucore.dtypes import T
from gpucore.language.arrays import Array
from gpucore.language.outside import outside_error, word

if TYPE_CHECKING:
    from typing import overload

    from gpucore.language.arrays import Array2, Array3, E

__all__ = ["barrier", "bitcast", "local", "shared", "static_range"]


@word
def barrier() -> None:
    """Wait until each invocation of the workgroup is here; what they wrote before is seen after.

    All invocations of a workgroup must come to the same barrier.

    >>> from gpucore import Array, barrier, f32, gpu_kernel, local_id, shared
    >>> @gpu_kernel(workgroup_size=64)
    ... def reverse(x: Array[f32]):
    ...     tile = shared(f32, 64)
    ...     tile[local_id.x] = x[local_id.x]
    ...     barrier()
    ...     x[local_id.x] = tile[63 - local_id.x]
    >>> "workgroupBarrier" in reverse.source()
    True
    """
    raise outside_error("barrier()")


if TYPE_CHECKING:

    @overload
    def shared(dtype: type[E], size: int, /) -> Array[E]: ...
    @overload
    def shared(dtype: type[E], rows: int, columns: int, /) -> Array2[E]: ...
    @overload
    def shared(dtype: type[E], planes: int, rows: int, columns: int, /) -> Array3[E]: ...
    def shared(dtype: Any, *sizes: int) -> Any:
        """Return an array in the memory that a workgroup shares."""

    @overload
    def local(dtype: type[E], size: int, /) -> Array[E]: ...
    @overload
    def local(dtype: type[E], rows: int, columns: int, /) -> Array2[E]: ...
    @overload
    def local(dtype: type[E], planes: int, rows: int, columns: int, /) -> Array3[E]: ...
    def local(dtype: Any, *sizes: int) -> Any:
        """Return an array of one invocation."""

else:

    @word
    def shared(dtype: Any, *sizes: int) -> Any:
        """Return an array in the memory that a workgroup shares; zeros when the workgroup starts.

        Its sizes must be known before the launch.

        >>> from gpucore import Array, barrier, f32, gpu_kernel, local_id, shared
        >>> @gpu_kernel(workgroup_size=64)
        ... def shift(x: Array[f32]):
        ...     tile = shared(f32, 64)
        ...     tile[local_id.x] = x[local_id.x]
        ...     barrier()
        ...     x[local_id.x] = tile[(local_id.x + 1) % 64]
        >>> "var<workgroup> tile: array<f32, 64>;" in shift.source()
        True
        """
        raise outside_error("shared(...)")

    @word
    def local(dtype: Any, *sizes: int) -> Any:
        """Return an array of one invocation, which no other sees; zeros each time it is made.

        Its sizes must be known before the launch; all such arrays have at most 8192 bytes.

        >>> from gpucore import Array, f32, global_id, gpu_kernel, local, u32
        >>> @gpu_kernel
        ... def pick(x: Array[f32], which: Array[u32]):
        ...     last = local(f32, 4)
        ...     for k in range(len(x)):
        ...         last[k % 4] = x[k]
        ...     x[global_id.x] = last[which[global_id.x]]
        >>> "var last: array<f32, 4>;" in pick.source()
        True
        """
        raise outside_error("local(...)")


@word
def bitcast(dtype: type[T], value: float) -> T:
    """Return the bits of a number of 32 bits as one of another type.

    >>> from gpucore import Array, bitcast, f32, gpu_kernel, u32
    >>> @gpu_kernel
    ... def bits(x: Array[f32]) -> Array[u32]:
    ...     return bitcast(u32, x)
    >>> "bitcast<u32>(x_)" in bits.source()
    True
    """
    raise outside_error("bitcast(...)")


@word
def static_range(*bounds: int) -> range:
    """Return a range whose loop is unrolled: in each round, the counter is a known number.

    >>> from gpucore import Array, f32, gpu_kernel, static_range
    >>> @gpu_kernel
    ... def power(x: Array[f32]) -> Array[f32]:
    ...     y = x
    ...     for i in static_range(3):
    ...         y = y * x
    ...     return y
    >>> "for (" in power.source()
    False
    """
    raise outside_error("static_range(...)")
