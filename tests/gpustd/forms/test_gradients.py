"""Gradients of kernels in Python, against central differences of NumPy in float64."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gpucore import (
    ArgumentError,
    Array,
    Const,
    Device,
    KernelSyntaxError,
    ShapeError,
    T,
    cross,
    distance,
    dot,
    f16,
    f32,
    global_id,
    gpu_function,
    gpu_kernel,
    i32,
    length,
    local,
    mat2x2f,
    normalize,
    reflect,
    static_range,
    stencil,
    subgroup_add,
    transpose,
    vec2f,
    vec3f,
)
from gpustd.forms import gpu_reduce, grad
from tests.conftest import skip_without_f16

RNG = np.random.default_rng(16)
STEP = 1e-6


def buffer(device: Device, x: Any) -> Any:
    return device.buffer_from_array(np.asarray(x, np.float32))


def differences(
    function: Callable[..., Any], arguments: list[Any], number: int, weights: Any
) -> Any:
    """Return the central differences of ``sum(weights * function)`` by one argument."""
    x = np.array(arguments[number], np.float64)
    found = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        ends = []
        for step in (STEP, -STEP):
            moved = x.copy()
            moved[place] += step
            given = [*arguments[:number], moved, *arguments[number + 1 :]]
            ends.append(np.sum(weights * function(*given)))
        found[place] = (ends[0] - ends[1]) / (2 * STEP)
    return found


def require_gradients(
    device: Device, kernel: Any, function: Callable[..., Any], arguments: list[Any], tol: float
) -> None:
    """Compare all gradients; arrays go to the device in f32, and numbers stay numbers."""
    exact = [np.asarray(a, np.float32).astype(np.float64) for a in arguments]
    shape = np.broadcast_shapes(*(a.shape for a in exact))
    weights = RNG.uniform(0.5, 2, shape).astype(np.float32)
    given = [buffer(device, a) if np.ndim(a) else float(np.float32(a)) for a in arguments]
    found = grad(kernel)(*given, cotangent=buffer(device, weights))
    assert len(found) == len(arguments)
    for number, (name, gradient) in enumerate(found.items()):
        expected = differences(function, exact, number, weights.astype(np.float64))
        assert gradient.shape == expected.shape, name
        scale = max(1, np.abs(expected).max(initial=0))
        np.testing.assert_allclose(
            gradient.read(), expected, rtol=tol, atol=tol * scale, err_msg=name
        )


# Functions of numbers: what NumPy calls them, and where they are smooth

SMOOTH: dict[str, tuple[Callable[..., Any], float, float]] = {
    **{name: (getattr(np, name), -1.4, 1.4) for name in ("sin", "cos", "tan", "exp", "exp2")},
    **{name: (getattr(np, name), -2, 2) for name in ("sinh", "cosh", "tanh", "arctan", "arcsinh")},
    **{name: (getattr(np, name), -0.9, 0.9) for name in ("arcsin", "arccos", "arctanh")},
    **{name: (getattr(np, name), 0.3, 3) for name in ("log", "log2", "log10", "sqrt")},
    "arccosh": (np.arccosh, 1.2, 3),
    "degrees": (np.degrees, -1, 1),
    "radians": (np.radians, -1, 1),
    "fabs": (np.fabs, 0.1, 2),
    "square": (np.square, -2, 2),
    "reciprocal": (np.reciprocal, 0.5, 2),
    "floor": (np.floor, 0.1, 0.9),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_functions_of_one_number(device: Device, name: str) -> None:
    function, low, high = SMOOTH[name]

    @gpu_kernel
    def apply(x: Array[f32]) -> Array[f32]:
        return function(x)  # type: ignore[no-any-return]

    require_gradients(device, apply, function, [RNG.uniform(low, high, 40)], 2e-4)


@gpu_kernel
def several(x: Array[f32], y: Array[f32], a: f32) -> Array[f32]:
    first = math.pow(x, y) * math.atan2(x, y) + math.fmod(7.0 * x, y)
    second = max(x, y, a) - min(x * a, y) + np.clip(x - y, -0.5, a)
    third = math.hypot(x, y) / (1 + x * x) + (x**3 - a**2) // 100
    return first + second * third - np.where(x > y, x * a, y / a)


def several_in_numpy(x: Any, y: Any, a: Any) -> Any:
    first = np.power(x, y) * np.arctan2(x, y) + np.fmod(7.0 * x, y)
    second = np.maximum(np.maximum(x, y), a) - np.minimum(x * a, y) + np.clip(x - y, -0.5, a)
    third = np.hypot(x, y) / (1 + x * x) + np.floor((x**3 - a**2) / 100)
    return first + second * third - np.where(x > y, x * a, y / a)


def test_functions_of_several_numbers(device: Device) -> None:
    x, y = RNG.uniform(0.5, 2, (2, 60))
    require_gradients(device, several, several_in_numpy, [x, y, 0.8], 2e-3)


# Control flow, and functions


@gpu_function
def soft(x: f32, width: f32) -> f32:
    if x < -width:
        return 0.1 * x
    for _ in range(2):
        x = x + width * math.sin(x)
    return x


@gpu_function
def both(x: f32, y: f32) -> tuple[f32, f32]:
    return x * y, soft(x, 0.5) - y


@gpu_kernel
def flow(x: Array[f32], y: Array[f32], turns: Const[int]) -> Array[f32]:
    total = 0.0
    count = 0
    for k in static_range(turns):
        total += x * f32(k) + y
    while total < 4 and count < 5:
        total = total * 1.5 + soft(x, y)
        count += 1
        if total > 3 and x > 0:
            break
    for k in range(3):
        if k == 1:
            continue
        total += x / f32(k + 1)
    low, high = both(x, total)
    if low > high:
        return low * high
    elif count > 2:
        return -low if y > 0 else high * y
    return total + f32(count)


def soft_in_numpy(x: float, width: float) -> float:
    if x < -width:
        return 0.1 * x
    for _ in range(2):
        x = x + width * math.sin(x)
    return x


def flow_of_one(x: float, y: float) -> float:
    total, count = 3 * x + 3 * y, 0
    while total < 4 and count < 5:
        total = total * 1.5 + soft_in_numpy(x, y)
        count += 1
        if total > 3 and x > 0:
            break
    total += x + x / 3
    low, high = x * total, soft_in_numpy(x, 0.5) - total
    if low > high:
        return low * high
    if count > 2:
        return -low if y > 0 else high * y
    return total + count


def test_branches_loops_and_functions(device: Device) -> None:
    x, y = RNG.uniform(-1.5, 1.5, (2, 120))
    given = [buffer(device, x), buffer(device, y), 3]
    found = grad(flow)(*given)
    assert set(found) == {"x", "y"}
    exact = [each.astype(np.float32).astype(np.float64) for each in (x, y)]
    function = np.vectorize(flow_of_one)
    for number, name in enumerate(("x", "y")):
        expected = differences(function, exact, number, 1.0)
        near = np.abs(expected) < 1e4  # a step across a branch is no derivative
        assert near.mean() > 0.9
        np.testing.assert_allclose(found[name].read()[near], expected[near], rtol=2e-3, atol=2e-3)


@gpu_kernel
def shapes(x: Array[f32], y: Array[f32]) -> Array[f32]:
    v, w = vec3f(x, y, x * y), vec3f(1, x, 2)
    v.y += x
    turned = reflect(normalize(v), normalize(w)) + cross(v, w) * y
    m = mat2x2f(x, y, 1, 2)
    u = transpose(m) @ (m @ vec2f(y, x)) / vec2f(2, x)
    return dot(v, turned) + length(v - w) * distance(u, vec2f(0.5)) + turned[1] + u.x


def shapes_of_one(x: float, y: float) -> float:
    v, w = np.array([x, y + x, x * y]), np.array([1, x, 2])
    unit, normal = v / np.linalg.norm(v), w / np.linalg.norm(w)
    turned = unit - 2 * normal.dot(unit) * normal + np.cross(v, w) * y
    m = np.array([[x, 1], [y, 2]])
    u = m.T @ (m @ np.array([y, x])) / np.array([2, x])
    far = np.linalg.norm(u - 0.5)
    return float(v.dot(turned) + np.linalg.norm(v - w) * far + turned[1] + u[0])


def test_vectors_and_matrices(device: Device) -> None:
    x, y = RNG.uniform(0.5, 1.5, (2, 40))
    require_gradients(device, shapes, np.vectorize(shapes_of_one), [x, y], 1e-3)


# Broadcasting, dtypes, and known formulas


@gpu_kernel
def scaled(x: Array[f32], y: Array[f32], a: f32) -> Array[f32]:
    return a * x * x * y + y


@pytest.mark.parametrize(
    "sizes", [((3, 4), (4,)), ((3, 1), (1, 5)), ((2, 3, 1), (3, 4)), ((1,), (6,)), ((5,), (5,))]
)
def test_broadcast_axes_are_summed(device: Device, sizes: tuple[tuple[int, ...], ...]) -> None:
    x, y = (RNG.uniform(-2, 2, size) for size in sizes)
    require_gradients(device, scaled, lambda x, y, a: a * x * x * y + y, [x, y, 1.5], 1e-3)


@gpu_kernel
def generic(x: Array[T], a: T) -> Array[T]:
    return a * x * x


def test_halves(device: Device) -> None:
    skip_without_f16(device, "f16")
    x = RNG.uniform(-2, 2, 50).astype(np.float16)
    found = grad(generic, wrt=["x"])(device.buffer_from_array(x), 1.5)
    assert set(found) == {"x"}
    assert found["x"].dtype is f16
    np.testing.assert_allclose(found["x"].read(), 3 * x, rtol=2e-3)


def test_logistic_regression(device: Device) -> None:
    """The gradient of log(1 + exp(-y w x)) is -y x / (1 + exp(y w x))."""

    @gpu_kernel
    def loss(w: f32, x: Array[f32], y: Array[f32]) -> Array[f32]:
        return math.log(1 + math.exp(-y * w * x))

    x, y = RNG.normal(size=1000), RNG.choice([-1, 1], 1000)
    found = grad(loss, wrt=("w",))(0.3, buffer(device, x), buffer(device, y))["w"]
    expected = (-y * x / (1 + np.exp(y * 0.3 * x))).sum()
    assert float(found.read()) == pytest.approx(expected, rel=1e-4)


# What has no derivative


@gpu_function
def stores(x: Array[f32], value: f32) -> f32:
    x[0] = value
    return value


@gpu_kernel
def with_own_array(x: Array[f32]) -> Array[f32]:
    own = local(f32, 2)
    own[0] = x
    return own[0]


@gpu_kernel
def with_subgroup(x: Array[f32]) -> Array[f32]:
    return subgroup_add(x)


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        (with_own_array, "do not know barriers, atomics and arrays of its own"),
        (with_subgroup, "do not know the function subgroupAdd"),
    ],
)
def test_what_is_refused(kernel: Any, message: str) -> None:
    x = Device.null().buffer(f32, 4)
    with pytest.raises(KernelSyntaxError, match=message):
        grad(kernel)(x)


def test_wrong_use() -> None:
    device = Device.null()
    x = device.buffer(f32, 4)

    @gpu_kernel
    def plain(x: Array[f32]) -> None:
        x[global_id.x] = 1

    @stencil()
    def beside(x: Array[f32]) -> f32:
        return x[1]

    @gpu_kernel
    def whole(x: Array[f32], n: i32) -> Array[i32]:
        return i32(x) + n

    with pytest.raises(ArgumentError, match="only elementwise kernels have"):
        grad(plain)(x)
    with pytest.raises(ArgumentError, match="grad takes an elementwise kernel"):
        grad(beside)
    with pytest.raises(ArgumentError, match="wrt must name floats or arrays of whole, got n"):
        grad(whole, wrt=["n"])
    with pytest.raises(Exception, match="its result has no floats"):
        grad(whole)(x, 3)
    with pytest.raises(ShapeError, match=r"cotangent must have the shape \(4,\) of the result"):
        grad(scaled)(x, x, 1.0, cotangent=device.buffer(f32, 5))


# Reductions


def weighted(x: f32, w: f32) -> f32:
    return w * math.sin(x) * x


def root(total: f32) -> f32:
    return math.sqrt(1 + total * total)


def add(a: f32, b: f32) -> f32:
    return a + b


@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2)])
@pytest.mark.parametrize("keepdims", [False, True])
def test_reductions(device: Device, axis: Any, keepdims: bool) -> None:
    form = gpu_reduce(identity=0.0, map=weighted, finish=root)(add)
    x = RNG.uniform(-2, 2, (3, 4, 5)).astype(np.float32).astype(np.float64)
    w = RNG.uniform(-2, 2, (4, 1)).astype(np.float32).astype(np.float64)

    def exact(x: Any, w: Any) -> Any:
        total = (w * np.sin(x) * x).sum(axis=axis, keepdims=keepdims)
        return np.sqrt(1 + total * total)

    weights = RNG.uniform(0.5, 2, exact(x, w).shape).astype(np.float32)
    given = [buffer(device, x), buffer(device, w)]
    found = grad(form)(*given, axis=axis, keepdims=keepdims, cotangent=buffer(device, weights))
    assert list(found) == ["x", "w"]
    for number, gradient in enumerate(found.values()):
        expected = differences(exact, [x, w], number, weights.astype(np.float64))
        np.testing.assert_allclose(gradient.read(), expected, rtol=1e-3, atol=1e-4)


def test_plain_sums_and_numbers(device: Device) -> None:
    x = RNG.uniform(-2, 2, (3, 4)).astype(np.float32)
    plain = grad(gpu_reduce(identity=0.0)(add))
    assert plain(buffer(device, x), axis=1)["x"].read().tolist() == np.ones((3, 4)).tolist()
    power = grad(gpu_reduce(identity=0.0, map=weighted)(add))
    found = power(buffer(device, x), 2.0)
    np.testing.assert_allclose(
        found["x"].read(), 2 * (np.cos(x) * x + np.sin(x)), rtol=1e-3, atol=1e-5
    )
    assert float(found["w"].read()) == pytest.approx((np.sin(x) * x).sum(), rel=1e-4)


def test_reductions_without_a_gradient(device: Device) -> None:
    @gpu_reduce(identity=1.0)
    def product(a: f32, b: f32) -> f32:
        return a * b

    with pytest.raises(ArgumentError, match="product has no gradient: grad takes reductions"):
        grad(product)
    sums = grad(gpu_reduce(identity=0.0, map=weighted)(add))
    x = device.buffer(f32, (2, 3))
    with pytest.raises(ShapeError, match=r"cotangent must have the shape \(2,\) of the result"):
        sums(x, x, axis=1, cotangent=device.buffer(f32, 3))
