"""Functions that the invocations of a subgroup call together: sums, scans, shuffles, votes.

A subgroup is a row of 4 to 128 invocations of a workgroup; the device chooses. All invocations of
the workgroup must come to each call, as to a barrier. Values are numbers, or vectors of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from gpucore.language.outside import outside_error, word

if TYPE_CHECKING:
    from gpucore.language.vectors import vec4u

__all__ = [
    "subgroup_add",
    "subgroup_all",
    "subgroup_and",
    "subgroup_any",
    "subgroup_ballot",
    "subgroup_broadcast",
    "subgroup_broadcast_first",
    "subgroup_elect",
    "subgroup_exclusive_add",
    "subgroup_exclusive_mul",
    "subgroup_inclusive_add",
    "subgroup_inclusive_mul",
    "subgroup_max",
    "subgroup_min",
    "subgroup_mul",
    "subgroup_or",
    "subgroup_shuffle",
    "subgroup_shuffle_down",
    "subgroup_shuffle_up",
    "subgroup_shuffle_xor",
    "subgroup_xor",
]

V = TypeVar("V")
"""A number or a vector."""


@word
def subgroup_add(value: V) -> V:
    """Return the sum of the values that the invocations of a subgroup have.

    >>> from gpucore import Array, f32, global_id, gpu_kernel, subgroup_add
    >>> @gpu_kernel
    ... def example(x: Array[f32], y: Array[f32]):
    ...     y[global_id.x] = subgroup_add(x[global_id.x])
    >>> "subgroupAdd(" in example.source()
    True
    """
    raise outside_error("subgroup_add(...)")


@word
def subgroup_mul(value: V) -> V:
    """Return the product of the values that the invocations of a subgroup have.

    >>> from gpucore import Array, f32, global_id, gpu_kernel, subgroup_mul
    >>> @gpu_kernel
    ... def example(x: Array[f32], y: Array[f32]):
    ...     y[global_id.x] = subgroup_mul(x[global_id.x])
    >>> "subgroupMul(" in example.source()
    True
    """
    raise outside_error("subgroup_mul(...)")


@word
def subgroup_min(value: V) -> V:
    """Return the least of the values that the invocations of a subgroup have.

    >>> from gpucore import Array, f32, global_id, gpu_kernel, subgroup_min
    >>> @gpu_kernel
    ... def example(x: Array[f32], y: Array[f32]):
    ...     y[global_id.x] = subgroup_min(x[global_id.x])
    >>> "subgroupMin(" in example.source()
    True
    """
    raise outside_error("subgroup_min(...)")


@word
def subgroup_max(value: V) -> V:
    """Return the greatest of the values that the invocations of a subgroup have.

    >>> from gpucore import Array, f32, global_id, gpu_kernel, subgroup_max
    >>> @gpu_kernel
    ... def example(x: Array[f32], y: Array[f32]):
    ...     y[global_id.x] = subgroup_max(x[global_id.x])
    >>> "subgroupMax(" in example.source()
    True
    """
    raise outside_error("subgroup_max(...)")


@word
def subgroup_and(value: V) -> V:
    """Return the bits of all values of a subgroup, combined by and; they are i32 or u32.

    >>> from gpucore import Array, global_id, gpu_kernel, subgroup_and, u32
    >>> @gpu_kernel
    ... def example(x: Array[u32], y: Array[u32]):
    ...     y[global_id.x] = subgroup_and(x[global_id.x])
    >>> "subgroupAnd(" in example.source()
    True
    """
    raise outside_error("subgroup_and(...)")


@word
def subgroup_or(value: V) -> V:
    """Return the bits of all values of a subgroup, combined by or; they are i32 or u32.

    >>> from gpucore import Array, global_id, gpu_kernel, subgroup_or, u32
    >>> @gpu_kernel
    ... def example(x: Array[u32], y: Array[u32]):
    ...     y[global_id.x] = subgroup_or(x[global_id.x])
    >>> "subgroupOr(" in example.source()
    True
    """
    raise outside_error("subgroup_or(...)")


@word
def subgroup_xor(value: V) -> V:
    """Return the bits of all values of a subgroup, combined by xor; they are i32 or u32.

    >>> from gpucore import Array, global_id, gpu_kernel, subgroup_xor, u32
    >>> @gpu_kernel
    ... def example(x: Array[u32], y: Array[u32]):
    ...     y[global_id.x] = subgroup_xor(x[global_id.x])
    >>> "subgroupXor(" in example.source()
    True
    """
    raise outside_error("subgroup_xor(...)")


@word
def subgroup_inclusive_add(value: V) -> V:
    """Return the sum of the values of a subgroup up to the own, with it.

    >>> from gpucore import Array, f32, global_id, gpu_kernel, subgroup_inclusive_add
    >>> @gpu_kernel
    ... def example(x: Array[f32], y: Array[f32]):
    ...     y[global_id.x] = subgroup_inclusive_add(x[global_id.x])
    >>> "subgroupInclusiveAdd(" in example.source()
    True
    """
    raise outside_error("subgroup_inclusive_add(...)")


@word
def subgroup_inclusive_mul(value: V) -> V:
    """Return the product of the values of a subgroup up to the own, with it.

    >>> from gpucore import Array, f32, global_id, gpu_kernel, subgroup_inclusive_mul
    >>> @gpu_kernel
    ... def example(x: Array[f32], y: Array[f32]):
    ...     y[global_id.x] = subgroup_inclusive_mul(x[global_id.x])
    >>> "subgroupInclusiveMul(" in example.source()
    True
    """
    raise outside_error("subgroup_inclusive_mul(...)")


@word
def subgroup_exclusive_add(value: V) -> V:
    """Return the sum of the values of a subgroup before the own; 0 for the first.

    >>> from gpucore import Array, f32, global_id, gpu_kernel, subgroup_exclusive_add
    >>> @gpu_kernel
    ... def example(x: Array[f32], y: Array[f32]):
    ...     y[global_id.x] = subgroup_exclusive_add(x[global_id.x])
    >>> "subgroupExclusiveAdd(" in example.source()
    True
    """
    raise outside_error("subgroup_exclusive_add(...)")


@word
def subgroup_exclusive_mul(value: V) -> V:
    """Return the product of the values of a subgroup before the own; 1 for the first.

    >>> from gpucore import Array, f32, global_id, gpu_kernel, subgroup_exclusive_mul
    >>> @gpu_kernel
    ... def example(x: Array[f32], y: Array[f32]):
    ...     y[global_id.x] = subgroup_exclusive_mul(x[global_id.x])
    >>> "subgroupExclusiveMul(" in example.source()
    True
    """
    raise outside_error("subgroup_exclusive_mul(...)")


@word
def subgroup_broadcast(value: V, lane: int) -> V:
    """Return the value of one invocation of the subgroup; ``lane`` is a known number.

    >>> from gpucore import Array, f32, global_id, gpu_kernel, subgroup_broadcast
    >>> @gpu_kernel
    ... def example(x: Array[f32], y: Array[f32]):
    ...     y[global_id.x] = subgroup_broadcast(x[global_id.x], 0)
    >>> "subgroupBroadcast(" in example.source()
    True
    """
    raise outside_error("subgroup_broadcast(...)")


@word
def subgroup_broadcast_first(value: V) -> V:
    """Return the value of the first active invocation of the subgroup.

    >>> from gpucore import Array, f32, global_id, gpu_kernel, subgroup_broadcast_first
    >>> @gpu_kernel
    ... def example(x: Array[f32], y: Array[f32]):
    ...     y[global_id.x] = subgroup_broadcast_first(x[global_id.x])
    >>> "subgroupBroadcastFirst(" in example.source()
    True
    """
    raise outside_error("subgroup_broadcast_first(...)")


@word
def subgroup_shuffle(value: V, lane: int) -> V:
    """Return the value of the invocation ``lane`` of the subgroup, each from its own.

    >>> from gpucore import Array, f32, global_id, gpu_kernel, subgroup_shuffle
    >>> @gpu_kernel
    ... def example(x: Array[f32], y: Array[f32]):
    ...     y[global_id.x] = subgroup_shuffle(x[global_id.x], 3)
    >>> "subgroupShuffle(" in example.source()
    True
    """
    raise outside_error("subgroup_shuffle(...)")


@word
def subgroup_shuffle_up(value: V, delta: int) -> V:
    """Return the value of the invocation ``delta`` lanes before; undefined for the first ones.

    >>> from gpucore import Array, f32, global_id, gpu_kernel, subgroup_shuffle_up
    >>> @gpu_kernel
    ... def example(x: Array[f32], y: Array[f32]):
    ...     y[global_id.x] = subgroup_shuffle_up(x[global_id.x], 1)
    >>> "subgroupShuffleUp(" in example.source()
    True
    """
    raise outside_error("subgroup_shuffle_up(...)")


@word
def subgroup_shuffle_down(value: V, delta: int) -> V:
    """Return the value of the invocation ``delta`` lanes after; undefined for the last ones.

    >>> from gpucore import Array, f32, global_id, gpu_kernel, subgroup_shuffle_down
    >>> @gpu_kernel
    ... def example(x: Array[f32], y: Array[f32]):
    ...     y[global_id.x] = subgroup_shuffle_down(x[global_id.x], 1)
    >>> "subgroupShuffleDown(" in example.source()
    True
    """
    raise outside_error("subgroup_shuffle_down(...)")


@word
def subgroup_shuffle_xor(value: V, mask: int) -> V:
    """Return the value of the invocation whose lane differs in the bits of ``mask``.

    >>> from gpucore import Array, f32, global_id, gpu_kernel, subgroup_shuffle_xor
    >>> @gpu_kernel
    ... def example(x: Array[f32], y: Array[f32]):
    ...     y[global_id.x] = subgroup_shuffle_xor(x[global_id.x], 1)
    >>> "subgroupShuffleXor(" in example.source()
    True
    """
    raise outside_error("subgroup_shuffle_xor(...)")


@word
def subgroup_any(condition: bool) -> bool:
    """Tell whether a condition is true for an invocation of the subgroup.

    >>> from gpucore import Array, f32, global_id, gpu_kernel, subgroup_any
    >>> @gpu_kernel
    ... def example(x: Array[f32], y: Array[f32]):
    ...     y[global_id.x] = 1.0 if subgroup_any(x[global_id.x] > 0) else 0.0
    >>> "subgroupAny(" in example.source()
    True
    """
    raise outside_error("subgroup_any(...)")


@word
def subgroup_all(condition: bool) -> bool:
    """Tell whether a condition is true for each invocation of the subgroup.

    >>> from gpucore import Array, f32, global_id, gpu_kernel, subgroup_all
    >>> @gpu_kernel
    ... def example(x: Array[f32], y: Array[f32]):
    ...     y[global_id.x] = 1.0 if subgroup_all(x[global_id.x] > 0) else 0.0
    >>> "subgroupAll(" in example.source()
    True
    """
    raise outside_error("subgroup_all(...)")


@word
def subgroup_ballot(condition: bool) -> vec4u:
    """Return a bit for each invocation of the subgroup where a condition is true, lane 0 lowest.

    >>> from gpucore import Array, f32, global_id, gpu_kernel, subgroup_ballot
    >>> @gpu_kernel
    ... def example(x: Array[f32], y: Array[f32]):
    ...     y[global_id.x] = f32(subgroup_ballot(x[global_id.x] > 0).x)
    >>> "subgroupBallot(" in example.source()
    True
    """
    raise outside_error("subgroup_ballot(...)")


@word
def subgroup_elect() -> bool:
    """Tell whether this is the first active invocation of the subgroup.

    >>> from gpucore import Array, f32, global_id, gpu_kernel, subgroup_elect
    >>> @gpu_kernel
    ... def example(x: Array[f32], y: Array[f32]):
    ...     y[global_id.x] = 1.0 if subgroup_elect() else 0.0
    >>> "subgroupBroadcastFirst(" in example.source()
    True
    """
    raise outside_error("subgroup_elect(...)")
