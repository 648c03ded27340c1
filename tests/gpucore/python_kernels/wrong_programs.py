# mypy: ignore-errors
# ruff: noqa: F401, F821, F841, RET503, SIM105
"""Wrong kernels, one for each kind of mistake. Their messages are in wrong_programs.txt."""

import math
from dataclasses import dataclass

import numpy as np

from gpucore import (
    Array,
    Array2,
    Const,
    atomic_add,
    atomic_or,
    barrier,
    bitcast,
    cross,
    f16,
    f32,
    global_id,
    gpu_function,
    gpu_kernel,
    i32,
    local,
    local_id,
    mat2x2f,
    shared,
    static_range,
    subgroup_broadcast,
    subgroup_inclusive_add,
    u8,
    u32,
    vec2f,
    vec3f,
)


@dataclass
class Sample:
    weight: f32
    value: f32


LIMIT = 4
TABLE = (1.0, 2.0)
LIST = [1.0, 2.0]


@gpu_function
def halve(x: f32) -> f32:
    return x / 2


@gpu_function
def shifted(x: f32, by: f32 = LIST) -> f32:
    return x + by


@gpu_function
def forever(x: f32) -> f32:
    return forever(x)


@gpu_function
def sometimes(x: f32) -> f32:
    if x > 0:
        return x


def plain(x):
    return x


def mixed_types(x: Array[f32]):
    x[global_id.x] = global_id.x * 0.5


def mixed_integers(x: Array[i32]):
    x[global_id.x] = x[0] + global_id.x


def integer_division(x: Array[i32]):
    x[global_id.x] = x[0] / 2


def division_by_zero(x: Array[i32]):
    x[global_id.x] = x[0] // 0


def wide_shift(x: Array[u32]):
    x[global_id.x] = x[0] << 32


def float_bits(x: Array[f32]):
    x[global_id.x] = x[0] & 1


def large_literal(x: Array[i32]):
    x[global_id.x] = 3000000000


def negative_u32(x: Array[u32]):
    x[global_id.x] = -1


def number_as_condition(x: Array[f32]):
    if x[0]:
        x[0] = 1


def never_negative(x: Array[f32]):
    i = global_id.x - 1
    if i >= 0:
        x[i] = 1


def other_type_later(x: Array[f32]):
    value = x[0]
    value = global_id.x
    x[0] = 1


def maybe_no_value(x: Array[f32]):
    if x[0] > 0:
        y = 2.0
        y += 1
    x[0] = y


def used_before(x: Array[f32]):
    x[0] = total
    total = 1.0


def unknown_name(x: Array[f32], factor: f32):
    x[0] = facter


def unknown_attribute(x: Array[f32]):
    x[0] = math.squareroot(x[1])


def array_as_number(x: Array[f32]):
    x[0] = x + 1


def wrong_number_of_indices(x: Array2[f32]):
    x[0] = 1


def float_index(x: Array[f32]):
    x[x[0]] = 1


def negative_index(x: Array[f32]):
    x[-1] = 1


def slice_of_array(x: Array[f32]):
    x[0:2] = 1


def store_of_wrong_type(x: Array[i32]):
    x[0] = 1.5


def no_annotation(x, n):
    x[0] = n


class Ball:
    def method(self, x: Array[f32]):
        x[0] = 1


method = Ball.method


def wrong_annotation(x: list):
    x[0] = 1


def bytes_array(x: Array[u8]):
    x[0] = 1


def long_array(x: Array[np.int64]):
    x[0] = 1


def bool_result(x: Array[f32]) -> Array[bool]:
    return x > 0


def assigned_array(x: Array[f32]):
    x = 1.0


def returned_value(x: Array[f32]):
    return x[0]


def missing_return(x: Array[f32]) -> Array[f32]:
    if x > 0:
        return x


def wrong_result(x: Array[f32]) -> Array[i32]:
    return x


def plain_function(x: Array[f32]):
    x[0] = plain(x[1])


def numpy_function(x: Array[f32]):
    x[0] = np.sort(x)


def wrong_argument_count(x: Array[f32]):
    x[0] = halve(x[0], x[1])


def wrong_argument_type(x: Array[i32]):
    x[0] = i32(halve(x[0]))


def recursion(x: Array[f32]):
    x[0] = forever(x[0])


def function_without_result(x: Array[f32]):
    x[0] = sometimes(x[0])


def loop_over_array(x: Array[f32]):
    for value in x:
        x[0] = value


def float_range(x: Array[f32]):
    for i in range(x[0]):
        x[i] = 1


def zero_step(x: Array[i32]):
    for i in range(0, 10, 0):
        x[i] = 1


def other_counter(x: Array[f32], n: i32):
    for i in range(n):
        x[i] = 1
    for i in range(len(x)):
        x[i] = 2


def unpacked_rest(x: Array[f32]):
    first, *rest = x[0], x[1], x[2]
    x[0] = first


def unpacked_number(x: Array[f32]):
    first, second = x[0]
    x[0] = first + second


def changing_index_of_a_tuple(x: Array[f32]):
    x[0] = (x[1], TABLE[0])[global_id.x]


def list_of_the_module(x: Array[f32]):
    x[0] = LIST[0]


def count_down_u32(x: Array[u32]):
    for i in range(len(x), 0, -1):
        x[i] = 1


def unknown_size(x: Array[f32]):
    tile = shared(f32, len(x))
    tile[0] = x[0]


def outside_shared(x: Array[f32]):
    tile = shared(f32, 4)
    tile[4] = x[0]


def break_in_static_range(x: Array[f32]):
    for i in static_range(3):
        if x[i] > 0:
            break


def atomic_bits_of_a_float(x: Array[f32]):
    atomic_or(x[0], 1)


def atomic_half(x: Array[f16]):
    atomic_add(x[0], 1.0)


def atomic_of_an_own_array(x: Array[u32]):
    own = local(u32, 4)
    atomic_add(own[0], 1)
    x[0] = own[0]


def atomic_of_value(x: Array[u32]):
    n = x[0]
    atomic_add(n, 1)


def barrier_in_branch(x: Array[f32]):
    tile = shared(f32, 256)
    if local_id.x < 10:
        tile[local_id.x] = x[global_id.x]
        barrier()
        x[global_id.x] = tile[0]


def short_vector(x: Array[f32]):
    v = vec3f(x[0], x[1])
    x[0] = v.x


def unknown_component(x: Array[f32]):
    v = vec2f(x[0], x[1])
    x[0] = v.z


def cross_of_two(x: Array[f32]):
    x[0] = cross(vec2f(1, 2), vec2f(3, 4)).x


def unused_value(x: Array[f32]):
    x[0] + 1


def exception(x: Array[f32]):
    try:
        x[0] = 1
    except ValueError:
        pass


def inner_function(x: Array[f32]):
    def f():
        return 1

    x[0] = f()


def keyword_argument(x: Array[f32]):
    x[0] = max(x[1], key=x[2])


def unknown_keyword(x: Array[f32]):
    x[0] = halve(value=x[1])


def argument_given_twice(x: Array[f32]):
    x[0] = halve(x[1], x=x[1])


def default_that_is_no_number(x: Array[f32]):
    x[0] = shifted(x[1])


def default_value(x: Array[f32], n: u32 = 3):
    x[0] = 1


def text(x: Array[f32]):
    x[0] = "one"


def large_power(x: Array[i32]):
    x[0] = x[1] ** x[2]


def is_comparison(x: Array[f32]):
    if x[0] is x[1]:
        x[0] = 1


def subgroup_in_branch(x: Array[f32]):
    i = global_id.x
    if i < len(x):
        x[i] = subgroup_inclusive_add(x[i])


def subgroup_of_changing_lane(x: Array[f32]):
    x[global_id.x] = subgroup_broadcast(x[global_id.x], global_id.x)


def unknown_parameter(x: Array[f32], sample: Sample):
    x[0] = sample.waight


def unknown_member(x: Array[Sample]):
    x[0].weight = x[0].colour


def column_by_name(x: Array[f32]):
    m = mat2x2f(x[0], 1, 2, 3)
    x[0] = m.x


def list_of_numbers(x: Array[f32]):
    row = [1.0, 2.0]
    x[0] = row[0]


def number_called(x: Array[f32]):
    x[0] = LIMIT(x[0])


PROGRAMS = {
    name: gpu_kernel(value)
    for name, value in list(globals().items())
    if callable(value)
    and getattr(value, "__module__", "") == __name__
    and hasattr(value, "__code__")
    and name != "plain"
}
"""The kernels by name."""
