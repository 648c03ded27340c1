# mypy: ignore-errors
"""Kernels in Python with one defect each: what the sanitizer must find, and in which line.

The line is the one that ends in the comment ``# HERE``. ``x`` holds 64 numbers from 0, and ``y``
is empty; both have 64 elements. A workgroup has 16 invocations, and there are four.
"""

import math

from gpucore import (
    Array,
    GpuKernel,
    atomic_add,
    barrier,
    bitcast,
    f32,
    global_id,
    gpu_function,
    gpu_kernel,
    i32,
    local_id,
    normalize,
    shared,
    u32,
    vec2f,
    vec4f,
)

__all__ = ["KERNELS", "quotient", "read_past_the_end", "remainder", "wrapping"]

KERNELS: dict[str, list[GpuKernel]] = {}
"""The kernels by the kind of their defect."""


def planted(kind: str):
    """Return a decorator that makes a kernel of a function, and notes its defect."""

    def decorate(function):
        kernel = gpu_kernel(workgroup_size=16)(function)
        KERNELS.setdefault(kind, []).append(kernel)
        return kernel

    return decorate


@gpu_function
def following(x: Array[u32], i: u32) -> u32:
    return x[i + 1]  # HERE


@gpu_function
def inverse(x: f32) -> f32:
    return 1 / x  # HERE


@planted("bounds")
def read_past_the_end(x: Array[u32], y: Array[u32]):
    y[global_id.x] = x[global_id.x + 1]  # HERE


@planted("bounds")
def write_past_the_end(x: Array[u32], y: Array[u32]):
    y[2 * global_id.x] = x[global_id.x]  # HERE


@planted("bounds")
def index_below_zero(x: Array[u32], y: Array[u32]):
    i = i32(global_id.x)
    y[i] = x[i - 1]  # HERE


@planted("bounds")
def shared_memory(x: Array[u32], y: Array[u32]):
    tile = shared(u32, 16)
    tile[local_id.x + 1] = x[global_id.x]  # HERE
    y[global_id.x] = 0


@planted("bounds")
def component(x: Array[f32], y: Array[f32]):
    v = vec4f(x[global_id.x])
    y[global_id.x] = v[local_id.x]  # HERE


@planted("bounds")
def called_function(x: Array[u32], y: Array[u32]):
    y[global_id.x] = following(x, global_id.x)


@planted("bounds")
def condition_that_does_not_guard(x: Array[u32], y: Array[u32]):
    i = global_id.x
    if i <= len(x):
        y[i] = x[i + 60]  # HERE


@planted("bounds")
def loop_a_round_too_long(x: Array[u32], y: Array[u32]):
    total = u32(0)
    for k in range(len(x) + 1):
        total += x[k]  # HERE
    y[global_id.x] = total


@planted("bounds")
def atomic_of_a_bin(x: Array[u32], y: Array[u32]):
    atomic_add(y[4 * x[global_id.x]], 1)  # HERE


@planted("race")
def neighbours_in_shared_memory(x: Array[u32], y: Array[u32]):
    tile = shared(u32, 16)
    tile[local_id.x] = x[global_id.x]
    y[global_id.x] = tile[local_id.x ^ 1]  # HERE


@planted("race")
def two_writers(x: Array[u32], y: Array[u32]):
    tile = shared(u32, 16)
    tile[local_id.x // 2] = global_id.x  # HERE
    y[global_id.x] = x[0]


@planted("race")
def write_after_reads(x: Array[u32], y: Array[u32]):
    tile = shared(u32, 16)
    tile[local_id.x] = x[global_id.x]
    barrier()
    v = tile[15 - local_id.x]
    tile[local_id.x] = v  # HERE
    y[global_id.x] = v


@planted("race")
def sum_by_all(x: Array[u32], y: Array[u32]):
    y[0] += x[global_id.x]  # HERE


@planted("race")
def two_workgroups(x: Array[u32], y: Array[u32]):
    y[local_id.x] = x[global_id.x]  # HERE


@planted("race")
def barrier_does_not_span_workgroups(x: Array[u32], y: Array[u32]):
    i = global_id.x
    y[i] = x[i]
    barrier()
    if y[63 - i] > 100:  # HERE
        y[i] = 0


@planted("race")
def reduction_with_a_barrier_too_few(x: Array[u32], y: Array[u32]):
    tile = shared(u32, 16)
    tile[local_id.x] = x[global_id.x]
    barrier()
    n = u32(8)
    while n > 0:
        if local_id.x < n:
            tile[local_id.x] += tile[local_id.x + n]  # HERE
        n //= 2
    y[global_id.x] = tile[local_id.x]


@planted("uninitialized")
def shared_memory_that_nobody_wrote(x: Array[u32], y: Array[u32]):
    tile = shared(u32, 16)
    y[global_id.x] = x[global_id.x] + tile[local_id.x]  # HERE


@planted("uninitialized")
def half_of_shared_memory(x: Array[u32], y: Array[u32]):
    tile = shared(u32, 16)
    if local_id.x < 8:
        tile[local_id.x] = x[global_id.x]
    barrier()
    y[global_id.x] = tile[local_id.x]  # HERE


@planted("uninitialized")
def empty_array(x: Array[u32], y: Array[u32]):
    y[global_id.x] += x[global_id.x]  # HERE


@planted("barrier")
def barrier_in_a_branch(x: Array[u32], y: Array[u32]):
    if local_id.x < 8:
        barrier()  # HERE
    y[global_id.x] = x[global_id.x]


@planted("barrier")
def barrier_after_a_return(x: Array[u32], y: Array[u32]):
    if global_id.x == 5:
        return
    barrier()  # HERE
    y[global_id.x] = x[global_id.x]


@planted("barrier")
def barrier_in_a_loop(x: Array[u32], y: Array[u32]):
    for _ in range(local_id.x):
        barrier()  # HERE
    y[global_id.x] = x[global_id.x]


@planted("overflow")
def sum_of_i32(x: Array[i32], y: Array[i32]):
    y[global_id.x] = x[global_id.x] + 2147483600  # HERE


@planted("overflow")
def product_of_i32(x: Array[i32], y: Array[i32]):
    y[global_id.x] = x[global_id.x] * 100000000  # HERE


@planted("overflow")
def power_of_i32(x: Array[i32], y: Array[i32]):
    y[global_id.x] = x[global_id.x] ** 6  # HERE


@planted("overflow")
def sign_of_the_least_number(x: Array[i32], y: Array[i32]):
    y[global_id.x] = -(x[global_id.x] - 2147483647 - 1)  # HERE


@planted("overflow")
def quotient_of_the_least_number(x: Array[i32], y: Array[i32]):
    least = x[global_id.x] - 2147483647 - 1
    y[global_id.x] = least // (x[0] - 1)  # HERE


@planted("conversion")
def large_float(x: Array[f32], y: Array[f32]):
    y[global_id.x] = f32(u32(x[global_id.x] * 1e9))  # HERE


@planted("conversion")
def float_below_zero(x: Array[f32], y: Array[f32]):
    y[global_id.x] = f32(u32(x[global_id.x] - 1))  # HERE


@planted("shift")
def long_shift(x: Array[u32], y: Array[u32]):
    y[global_id.x] = u32(1) << x[global_id.x]  # HERE


@planted("division")
def quotient_of_integers(x: Array[u32], y: Array[u32]):
    y[global_id.x] = 64 // x[global_id.x]  # HERE


@planted("division")
def remainder_of_i32(x: Array[i32], y: Array[i32]):
    y[global_id.x] = 64 % x[global_id.x]  # HERE


@planted("division")
def in_place(x: Array[i32], y: Array[i32]):
    n = i32(64)
    n //= x[global_id.x]  # HERE
    y[global_id.x] = n


@planted("division")
def quotient_of_floats(x: Array[f32], y: Array[f32]):
    y[global_id.x] = inverse(x[global_id.x])


@planted("nan")
def root(x: Array[f32], y: Array[f32]):
    y[global_id.x] = math.sqrt(x[global_id.x] - 1)  # HERE


@planted("nan")
def logarithm(x: Array[f32], y: Array[f32]):
    value = math.log(x[global_id.x] - 0.5)  # HERE
    if x[global_id.x] < 10:
        value *= 2
    y[global_id.x] = value


@planted("nan")
def direction_of_nothing(x: Array[f32], y: Array[f32]):
    v = vec2f(x[global_id.x], 0)
    y[global_id.x] = normalize(v).x  # HERE


@gpu_kernel
def wrapping(x: Array[i32]) -> Array[i32]:
    """Compute what shall wrap."""
    hashed = bitcast(i32, bitcast(u32, x) * 2654435769)
    return hashed + x  # sanitize: allow overflow


@gpu_kernel
def quotient(x: Array[i32], y: Array[i32]) -> Array[i32]:
    return x // y


@gpu_kernel
def remainder(x: Array[i32], y: Array[i32]) -> Array[i32]:
    return x % y
