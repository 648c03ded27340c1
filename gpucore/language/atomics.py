"""Atomic functions: other invocations see them done or not done, never half done."""

from __future__ import annotations

from gpucore.dtypes import T
from gpucore.language.outside import outside_error, word

__all__ = [
    "atomic_add",
    "atomic_and",
    "atomic_compare_exchange",
    "atomic_exchange",
    "atomic_max",
    "atomic_min",
    "atomic_or",
    "atomic_sub",
    "atomic_xor",
]


@word
def atomic_add(element: T, value: float) -> T:
    """Add ``value`` to an element, such as ``x[i]``; return what was there before.

    The elements are i32, u32 or f32; the order of a sum of floats differs from run to run.

    >>> from gpucore import Array, atomic_add, global_id, gpu_kernel, u32
    >>> @gpu_kernel
    ... def visit(x: Array[u32], bins: Array[u32]):
    ...     atomic_add(bins[x[global_id.x] % 16], 1)
    >>> "atomicAdd(&bins" in visit.source()
    True
    """
    raise outside_error("atomic_add(...)")


@word
def atomic_sub(element: T, value: float) -> T:
    """Subtract ``value`` from an element, such as ``x[i]``; return what was there before.

    The elements are i32, u32 or f32; the order of a sum of floats differs from run to run.

    >>> from gpucore import Array, atomic_sub, global_id, gpu_kernel, u32
    >>> @gpu_kernel
    ... def visit(x: Array[u32], bins: Array[u32]):
    ...     atomic_sub(bins[x[global_id.x] % 16], 1)
    >>> "atomicSub(&bins" in visit.source()
    True
    """
    raise outside_error("atomic_sub(...)")


@word
def atomic_min(element: T, value: float) -> T:
    """Put the smaller of both into an element, such as ``x[i]``; return what was there before.

    The elements are i32, u32 or f32.

    >>> from gpucore import Array, atomic_min, global_id, gpu_kernel, u32
    >>> @gpu_kernel
    ... def visit(x: Array[u32], bins: Array[u32]):
    ...     atomic_min(bins[x[global_id.x] % 16], 1)
    >>> "atomicMin(&bins" in visit.source()
    True
    """
    raise outside_error("atomic_min(...)")


@word
def atomic_max(element: T, value: float) -> T:
    """Put the greater of both into an element, such as ``x[i]``; return what was there before.

    The elements are i32, u32 or f32.

    >>> from gpucore import Array, atomic_max, global_id, gpu_kernel, u32
    >>> @gpu_kernel
    ... def visit(x: Array[u32], bins: Array[u32]):
    ...     atomic_max(bins[x[global_id.x] % 16], 1)
    >>> "atomicMax(&bins" in visit.source()
    True
    """
    raise outside_error("atomic_max(...)")


@word
def atomic_and(element: T, value: int) -> T:
    """Put ``old & value`` into an element, such as ``x[i]``; return what was there before.

    The elements are i32 or u32.

    >>> from gpucore import Array, atomic_and, global_id, gpu_kernel, u32
    >>> @gpu_kernel
    ... def visit(x: Array[u32], bins: Array[u32]):
    ...     atomic_and(bins[x[global_id.x] % 16], 1)
    >>> "atomicAnd(&bins" in visit.source()
    True
    """
    raise outside_error("atomic_and(...)")


@word
def atomic_or(element: T, value: int) -> T:
    """Put ``old | value`` into an element, such as ``x[i]``; return what was there before.

    The elements are i32 or u32.

    >>> from gpucore import Array, atomic_or, global_id, gpu_kernel, u32
    >>> @gpu_kernel
    ... def visit(x: Array[u32], bins: Array[u32]):
    ...     atomic_or(bins[x[global_id.x] % 16], 1)
    >>> "atomicOr(&bins" in visit.source()
    True
    """
    raise outside_error("atomic_or(...)")


@word
def atomic_xor(element: T, value: int) -> T:
    """Put ``old ^ value`` into an element, such as ``x[i]``; return what was there before.

    The elements are i32 or u32.

    >>> from gpucore import Array, atomic_xor, global_id, gpu_kernel, u32
    >>> @gpu_kernel
    ... def visit(x: Array[u32], bins: Array[u32]):
    ...     atomic_xor(bins[x[global_id.x] % 16], 1)
    >>> "atomicXor(&bins" in visit.source()
    True
    """
    raise outside_error("atomic_xor(...)")


@word
def atomic_exchange(element: T, value: float) -> T:
    """Put ``value`` into an element, such as ``x[i]``; return what was there before.

    The elements are i32, u32 or f32.

    >>> from gpucore import Array, atomic_exchange, global_id, gpu_kernel, u32
    >>> @gpu_kernel
    ... def visit(x: Array[u32], bins: Array[u32]):
    ...     atomic_exchange(bins[x[global_id.x] % 16], 1)
    >>> "atomicExchange(&bins" in visit.source()
    True
    """
    raise outside_error("atomic_exchange(...)")


@word
def atomic_compare_exchange(element: T, expected: float, value: float) -> T:
    """Put ``value`` into an element if it is ``expected``; return what was there before.

    The elements are i32, u32 or f32, of which the bits are compared.

    >>> from gpucore import Array, atomic_compare_exchange, global_id, gpu_kernel, u32
    >>> @gpu_kernel
    ... def claim(owner: Array[u32], x: Array[u32]):
    ...     i = global_id.x
    ...     if atomic_compare_exchange(owner[x[i]], 0, i + 1) == 0:
    ...         x[i] = 0
    >>> "atomicCompareExchangeWeak(&owner" in claim.source()
    True
    """
    raise outside_error("atomic_compare_exchange(...)")
