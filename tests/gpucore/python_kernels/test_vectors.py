"""Arrays of vectors: those of 3 lie in memory without gaps, as NumPy's do."""

from __future__ import annotations

import numpy as np
import pytest

import gpucore
from gpucore import (
    ArgumentError,
    Array,
    Array2,
    Device,
    ShapeError,
    atomic_add,
    cross,
    dot,
    f16,
    f32,
    global_id,
    gpu_function,
    gpu_kernel,
    i32,
    length,
    stencil,
    u32,
    vec2f,
    vec3f,
    vec3h,
    vec3i,
    vec4f,
)
from gpustd.forms import grad
from tests.conftest import skip_without_f16

RNG = np.random.default_rng(73)


def vectors(*shape: int) -> np.ndarray:
    return RNG.uniform(-2, 2, (*shape, 3)).astype(np.float32)


@gpu_function
def place_after(place: Array[vec3f], speed: Array[vec3f], i: u32, seconds: f32) -> vec3f:
    return place[i] + speed[i] * seconds


@gpu_kernel
def move(place: Array[vec3f], speed: Array[vec3f], spin: Array[vec3f], seconds: f32) -> None:
    i = global_id.x
    if i < len(place):
        place[i] = place_after(place, speed, i, seconds)
        speed[i] += cross(spin[i32(i)], speed[i])
        if place[i].y < 0:
            place[i].y = -place[i].y
            speed[i][1] *= -0.5
        for k in range(3):
            spin[i][k] = dot(place[i], speed[i]) + spin[i][k]


def test_vectors_move(device: Device) -> None:
    place, speed, spin = vectors(70), vectors(70), vectors(70)
    buffers = [device.buffer_from_array(each) for each in (place, speed, spin)]
    move(*buffers, 0.25)
    place = place + speed * np.float32(0.25)
    speed = speed + np.cross(spin, speed)
    below = place[:, 1] < 0
    speed[below, 1] *= -0.5
    place[:, 1] = abs(place[:, 1])
    spin = spin + (place * speed).sum(1)[:, None]
    for found, expected in zip(buffers, (place, speed, spin), strict=True):
        np.testing.assert_allclose(found.read(), expected, rtol=2e-5, atol=2e-5)


@gpu_kernel
def reversed_rows(x: Array2[vec3i], y: Array2[vec3i]) -> None:
    column, row = global_id.xy
    if row < x.shape[0] and column < x.shape[1]:
        y[row, column] = x[x.shape[0] - 1 - row, column].zyx


def test_vectors_of_two_axes(device: Device) -> None:
    x = RNG.integers(-9, 9, (5, 7, 3)).astype(np.int32)
    y = device.buffer(i32, x.shape)
    reversed_rows(device.buffer_from_array(x), y)
    np.testing.assert_array_equal(y.read(), x[::-1, :, ::-1])


@gpu_kernel
def double(x: Array[vec3h]) -> None:
    i = global_id.x
    if i < len(x):
        x[i] *= 2


def test_vectors_of_halves(device: Device) -> None:
    skip_without_f16(device, "f16")
    x = vectors(9).astype(np.float16)
    buffer = device.buffer_from_array(x)
    double(buffer)
    np.testing.assert_array_equal(buffer.read(), 2 * x)
    assert buffer.dtype is f16


@gpu_kernel
def compact(x: Array[vec3f], y: Array[vec3f], count: Array[u32]) -> None:
    i = global_id.x
    if i < len(x) and x[i].x > 0:
        y[atomic_add(count[0], 1)] = x[i]


def test_an_index_is_computed_once(device: Device) -> None:
    x, count = vectors(300), device.buffer_from_array(np.zeros(1, np.uint32))
    y = device.buffer_from_array(np.full(x.shape, np.nan, np.float32))
    compact(device.buffer_from_array(x), y, count)
    kept = x[x[:, 0] > 0]
    assert count.read()[0] == len(kept)
    found = y.read()[: len(kept)]
    order, expected = np.lexsort(found.T), np.lexsort(kept.T)
    np.testing.assert_array_equal(found[order], kept[expected])
    assert np.isnan(y.read()[len(kept) :]).all()


@gpu_kernel
def beyond(x: Array[vec3f], n: u32) -> None:
    i = global_id.x
    if i < n:
        x[i] = vec3f(1)


def test_the_last_axis_has_3_and_the_sanitizer_sees_the_end(device: Device) -> None:
    with pytest.raises(ShapeError, match="vectors of 3"):
        beyond(device.buffer(f32, (4, 2)), 4)
    x = device.buffer_from_array(vectors(4))
    with gpucore.sanitize(raises=False) as session:
        beyond[1](x, 5)
    assert {each.kind for each in session.findings} == {"bounds"}
    assert (x.read() == 1).all()


# Elementwise: a vector is one element


@gpu_kernel
def shade(normal: Array[vec3f], light: Array[vec3f], gain: Array[f32]) -> Array[vec3f]:
    return light * max(dot(normal, light), 0) * gain


@gpu_kernel
def lengths(x: Array[vec4f], scale: f32) -> Array[f32]:
    return length(x) * scale


@gpu_kernel
def times(a: Array[vec2f], b: Array[vec2f]) -> Array[vec2f]:
    return vec2f(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x)


def test_vectors_are_elements(device: Device) -> None:
    normal, light, gain = vectors(6, 1), vectors(5), RNG.random((6, 5), np.float32)
    found = shade(*(device.buffer_from_array(each) for each in (normal, light, gain))).read()
    expected = light * np.maximum((normal * light).sum(-1), 0)[..., None] * gain[..., None]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    x = RNG.random((7, 4), np.float32)
    found = lengths(device.buffer_from_array(x), 2).read()
    np.testing.assert_allclose(found, 2 * np.linalg.norm(x, axis=1), rtol=1e-5)
    a, b = RNG.random((2, 9), np.float32).astype(np.complex64) * 1j + 1
    pair = [device.buffer_from_array(each.view(np.float32).reshape(9, 2)) for each in (a, b)]
    product = times(*pair).read().view(np.complex64)[:, 0]
    np.testing.assert_allclose(product, a * b, rtol=1e-5)


def test_vectors_have_no_derivative(device: Device) -> None:
    buffer = device.buffer_from_array(np.ones((3, 4), np.float32))
    with pytest.raises(ArgumentError, match="no derivative: its arrays must have numbers"):
        grad(lengths)(buffer, 1.0)


@stencil(boundary="wrap")
def middle(x: Array2[vec3f]) -> vec3f:
    return (x[0, -1] + x[0, 1]) / 2


def test_a_stencil_of_vectors(device: Device) -> None:
    x = vectors(4, 6)
    found = middle(device.buffer_from_array(x)).read()
    expected = (np.roll(x, 1, 1) + np.roll(x, -1, 1)) / 2
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)
