"""What the language has beyond numbers and arrays, on every engine, against NumPy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from gpucore import (
    ArgumentError,
    Array,
    Array2,
    Const,
    Device,
    DTypeError,
    KernelCompileError,
    ShapeError,
    T,
    cross,
    dot,
    f16,
    f32,
    global_id,
    gpu_function,
    gpu_kernel,
    i32,
    local_id,
    mat2x2f,
    mat4x3f,
    normalize,
    shared,
    static_range,
    u32,
    vec2f,
    vec3f,
    vec4f,
)
from tests.conftest import skip_without_f16

RNG = np.random.default_rng(62)


def floats(*shape: int) -> np.ndarray:
    return RNG.uniform(-4, 4, shape).astype(np.float32)


def filled(device: Device, *shape: int):
    return device.buffer_from_array(np.full(shape, np.nan, np.float32))


# Functions


@gpu_function
def polynomial(x: f32, a: f32, b: f32) -> f32:
    if x < 0:
        return 0.0
    return (a * x + b) * x


@gpu_function
def min_max(a: f32, b: f32) -> tuple[f32, f32]:
    if a < b:
        return a, b
    return b, a


@gpu_function
def row_sum(x: Array2[f32], row: u32) -> f32:
    total = 0.0
    for k in range(x.shape[1]):
        total += x[row, k]
    return total


@gpu_function
def put(x: Array[f32], i: u32, value: f32) -> None:
    x[i] = value


@gpu_function
def apply(function, x: f32) -> f32:  # type: ignore[no-untyped-def]
    return function(x, 2.0, 0.5)  # type: ignore[no-any-return]


@gpu_function
def here() -> u32:
    return global_id.x


@gpu_kernel
def calls(x: Array2[f32], out: Array2[f32], rows: Array[f32]) -> None:
    i = here()
    if i >= x.shape[0]:
        return
    low, high = min_max(x[i, 0], x[i, 1])
    out[i, 0] = low
    out[i, 1] = high
    out[i, 2] = polynomial(x[i, 2], 2, 3)
    out[i, 3] = apply(polynomial, x[i, 2])
    put(rows, i, row_sum(x, i))


def test_functions(device: Device) -> None:
    x = floats(300, 4)
    out, rows = filled(device, 300, 4), filled(device, 300)
    calls(device.buffer_from_array(x), out, rows)
    third = np.maximum(x[:, 2], 0)
    expected = [x[:, :2].min(1), x[:, :2].max(1), (2 * third + 3) * third]
    expected.append((2 * third + 0.5) * third)
    np.testing.assert_allclose(out.read().T, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(rows.read(), x.sum(1), rtol=1e-5, atol=1e-5)


# Known numbers


@gpu_kernel
def shifted_sum(x: Array[f32], y: Array[f32], radius: Const[int], mean: Const[bool]) -> None:
    i = i32(global_id.x)
    if i < i32(len(y)):
        total = 0.0
        for k in static_range(-radius, radius + 1):
            j = i + k
            if 0 <= j < i32(len(x)):
                weight = 1.0
                if k == 0:
                    weight = 2.0
                total += weight * x[j]
        if mean:
            total /= 2 * radius + 1
        y[i] = total


@pytest.mark.parametrize(("radius", "mean"), [(0, False), (1, True), (3, False)])
def test_known_numbers(device: Device, radius: int, mean: bool) -> None:
    x = floats(100)
    y = filled(device, 100)
    shifted_sum(device.buffer_from_array(x), y, radius, mean)
    kernel = np.ones(2 * radius + 1)
    kernel[radius] = 2
    expected = np.convolve(x, kernel, "same") / (2 * radius + 1 if mean else 1)
    np.testing.assert_allclose(y.read(), expected, rtol=1e-5, atol=1e-5)
    assert "for (" not in shifted_sum.source(radius=2)


def test_known_numbers_are_of_their_type() -> None:
    x = Device.null().buffer(f32, 4)
    with pytest.raises(ArgumentError, match=r"radius must be int, .* got 1\.5"):
        shifted_sum(x, Device.null().buffer(f32, 4), 1.5, True)


def scale_by(factor: float):
    @gpu_kernel
    def scale(x: Array[f32]) -> Array[f32]:
        return factor * x

    return scale


def test_numbers_of_the_function_around(device: Device) -> None:
    x = floats(10)
    for factor in (2.0, -0.5):
        made = scale_by(factor)(device.buffer_from_array(x))
        np.testing.assert_array_equal(made.read(), np.float32(factor) * x)


# Types that follow from arrays


@gpu_function
def twice(value: T) -> T:
    return value + value


@gpu_kernel
def add_twice(a: T, x: Array[T], y: Array[T]) -> None:
    i = global_id.x
    if i < len(y):
        y[i] = twice(a * x[i]) + T(1)


@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.uint32, np.float16])
def test_type_variables(device: Device, dtype: type) -> None:
    skip_without_f16(device, *(["f16"] if dtype is np.float16 else []))
    x = np.arange(200).astype(dtype)
    y = device.buffer_from_array(np.zeros(200, dtype))
    add_twice(3, device.buffer_from_array(x), y)
    np.testing.assert_array_equal(y.read(), 6 * x + dtype(1))


def test_type_variables_have_one_type() -> None:
    device = Device.null()
    with pytest.raises(DTypeError, match="y must have elements of f32 as the other arrays of T"):
        add_twice(1, device.buffer(f32, 4), device.buffer(i32, 4))


# Vectors and matrices


@gpu_kernel
def vectors(points: Array[vec4f], turn: mat2x2f, offset: vec2f, out: Array2[f32]) -> None:
    i = global_id.x
    if i >= len(points):
        return
    p = points[i]
    q = turn @ p.xy + offset * 2
    v = vec3f(q, p.z)
    v.z += 1
    v[0] = -v.x
    n = normalize(vec3f(1, 2, 2))
    out[i, 0] = v.x
    out[i, 1] = v.y
    out[i, 2] = dot(v, n)
    out[i, 3] = cross(v, n).y
    points[i].w = p.w * 2
    points[i].x = p.wzyx.y


def test_vectors(device: Device) -> None:
    points, out = floats(70, 4), filled(device, 70, 4)
    turn = np.array([[1, 2], [3, 4]], np.float32)
    offset = np.array([0.5, -1], np.float32)
    buffer = device.buffer_from_array(points)
    if device.info.api == "gl":
        with pytest.raises(KernelCompileError, match="matrix of two rows"):
            vectors(buffer, turn, offset, out)
        return
    vectors(buffer, turn, offset, out)
    q = points[:, :2] @ turn.T + offset * 2  # turn @ each point
    v = np.column_stack([-q[:, 0], q[:, 1], points[:, 2] + 1])
    n = np.array([1, 2, 2]) / 3
    expected = np.column_stack([v[:, :2], v @ n, np.cross(v, n)[:, 1]])
    np.testing.assert_allclose(out.read(), expected, rtol=1e-5, atol=1e-4)
    changed = np.column_stack([points[:, 2], points[:, 1:3], points[:, 3] * 2])
    np.testing.assert_allclose(buffer.read(), changed, rtol=1e-6)
    with pytest.raises(ShapeError, match="its last axis must have 4 elements"):
        vectors(device.buffer(f32, (70, 3)), turn, offset, out)


@gpu_kernel
def project(m: mat4x3f, points: Array[vec4f], out: Array[vec3f], columns: Array[vec3f]) -> None:
    i = global_id.x
    if i < len(points):
        out[i] = m @ points[i]
        if i < 4:
            columns[i] = m[i]


def test_a_matrix_is_given_as_numpy_has_it(device: Device) -> None:
    m, points = floats(3, 4), floats(10, 4)
    out, columns = filled(device, 10, 3), filled(device, 4, 3)
    project(m, device.buffer_from_array(points), out, columns)
    np.testing.assert_allclose(out.read(), points @ m.T, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(columns.read(), m.T)
    with pytest.raises(ArgumentError, match=r"matrix of 3 rows and 4 columns \(mat4x3\)"):
        project(m.T, device.buffer(f32, (10, 4)), out, columns)


# Dataclasses


@dataclass
class Inner:
    shift: vec2f
    count: u32


@dataclass
class Settings:
    gain: f32
    flip: bool
    inner: Inner


@dataclass
class Particle:
    position: vec2f
    speed: vec2f
    mass: f32


@gpu_kernel
def amplify(x: Array[f32], settings: Settings) -> Array[f32]:
    y = settings.gain * x + settings.inner.shift.y
    if settings.flip:
        y = -y
    for _ in range(settings.inner.count):
        y += 1
    return y


def test_a_dataclass_of_numbers(device: Device) -> None:
    x = floats(50)
    for flip in (True, False):
        settings = Settings(1.5, flip, Inner((7.0, 0.25), 3))  # type: ignore[arg-type]
        made = amplify(device.buffer_from_array(x), settings)
        expected = (1.5 * x + 0.25) * (-1 if flip else 1) + 3
        np.testing.assert_allclose(made.read(), expected, rtol=1e-6, atol=1e-6)


@gpu_kernel
def move(particles: Array[Particle], step: f32) -> None:
    i = global_id.x
    if i >= len(particles):
        return
    p = particles[i]
    p.position += p.speed * step
    if p.position.x > 1:
        p = Particle(vec2f(0, p.position.y), mass=p.mass, speed=-p.speed)
    particles[i] = p
    particles[i].mass += 0.5


def test_structures(device: Device) -> None:
    kind = np.dtype([("position", "f4", 2), ("speed", "f4", 2), ("mass", "f4"), ("_pad", "f4")])
    particles = np.zeros(90, kind)
    for name in ("position", "speed"):
        particles[name] = floats(90, 2)
    buffer = device.buffer_from_array(particles)
    move(buffer, 0.5)
    position = particles["position"] + particles["speed"] * np.float32(0.5)
    beyond = position[:, :1] > 1
    made = buffer.read()
    mirrored = np.where(beyond, -particles["speed"], particles["speed"])
    position[:, :1] = np.where(beyond, 0, position[:, :1])
    np.testing.assert_allclose(made["position"], position, rtol=1e-6)
    np.testing.assert_array_equal(made["speed"], mirrored)
    assert (made["mass"] == 0.5).all()


# Half precision


@gpu_kernel(workgroup_size=32)
def halves(x: Array[f16], factor: f16) -> None:
    tile = shared(f16, 32)
    tile[local_id.x] = x[global_id.x] * factor
    x[global_id.x] = tile[local_id.x] + 1


def test_halves(device: Device) -> None:
    skip_without_f16(device, "f16")
    x = floats(64).astype(np.float16)
    buffer = device.buffer_from_array(x)
    halves(buffer, 0.5)
    np.testing.assert_allclose(buffer.read(), x * np.float16(0.5) + np.float16(1), rtol=2e-3)


@gpu_kernel
def awkward_names(x: Array[f32]) -> Array[f32]:
    subgroup_total = x + 1
    quad = subgroup_total * 2
    quadSwapX = quad + 3
    vec3f_ = quadSwapX - 1
    return vec3f_ * subgroup_total


def test_names_like_those_of_wgsl(device: Device) -> None:
    x = floats(5)
    found = awkward_names(device.buffer_from_array(x)).read()
    np.testing.assert_allclose(found, ((x + 1) * 2 + 2) * (x + 1), rtol=1e-5)


@gpu_kernel
def two_loops_of_one_name(x: Array[f32]) -> Array[f32]:
    total = x
    for k in static_range(3):
        total += k
    for k in range(4):
        total += 10 * f32(k)
    for k in static_range(2):
        total += 1000 * k
    return total


def test_a_counter_after_an_unrolled_one(device: Device) -> None:
    found = two_loops_of_one_name(device.buffer_from_array(np.zeros(2, np.float32)))
    assert found.read().tolist() == [1063, 1063]
