"""Elementwise arithmetic against NumPy float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gpucore import ArgumentError, Buffer, Device, DType, DTypeError, ShapeError, f16, f32
from gpustd import add, guidance, linear_combination, multiply
from gpustd.arrays.elementwise.linear_combinations import combine_into
from gpustd.launch.variants import force_variant
from tests.conftest import skip_without_f16
from tests.draws import draws
from tests.gpustd.poison import poison_pool
from tests.gpustd.reference import elementwise as oracle
from tests.gpustd.reference.elementwise import CASES, MANY

Array = NDArray[Any]
EPS: dict[type[DType], float] = {f32: float(np.finfo(np.float32).eps), f16: 2.0**-10}


def draw(shape: tuple[int, ...], dtype: type[DType], seed: int) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype.numpy)


def run(device: Device, call: Callable[..., Buffer[Any]], *arrays: Array) -> Array:
    buffers = [device.buffer_from_array(a) for a in arrays]
    poison_pool(device, arrays[0].nbytes, arrays[0].nbytes // 2)
    return call(*buffers).read()


def check(result: Array, expected: Array, allowed: Array) -> None:
    assert result.shape == expected.shape
    error = np.abs(result.astype(np.float64) - expected)
    assert np.all(error <= allowed), f"worst {np.max(error / allowed)}"


@pytest.fixture(params=[f32, f16], ids=["f32", "f16"])
def dtype(request: pytest.FixtureRequest, device: Device) -> type[DType]:
    found: type[DType] = request.param
    skip_without_f16(device, found.name)
    return found


@pytest.mark.parametrize("shape", CASES, ids=str)
def test_add_and_multiply(device: Device, dtype: type[DType], shape: tuple[int, ...]) -> None:
    x, y = draw(shape, dtype, 1), draw(shape, dtype, 2)
    a, b = x.astype(np.float64), y.astype(np.float64)
    allowed = oracle.bound(np.abs(a) + np.abs(b), a + b, 1, EPS[dtype])
    check(run(device, add, x, y), a + b, allowed)
    allowed = oracle.bound(np.abs(a * b), a * b, 1, EPS[dtype])
    check(run(device, multiply, x, y), a * b, allowed)


@pytest.mark.parametrize("terms", [1, 2, 3, 5, 8])
def test_linear_combination(device: Device, dtype: type[DType], terms: int) -> None:
    coefficients = [float(c) for c in np.random.default_rng(terms).normal(0, 3, terms)]
    for shape in CASES:
        arrays = [draw(shape, dtype, seed) for seed in range(terms)]
        exact = [a.astype(np.float64) for a in arrays]
        expected = oracle.reference(coefficients, exact)
        magnitude = oracle.reference([abs(c) for c in coefficients], [np.abs(a) for a in exact])
        result = run(
            device,
            lambda *buffers: linear_combination(list(zip(coefficients, buffers, strict=True))),
            *arrays,
        )
        check(result, expected, oracle.bound(magnitude, expected, 2 * terms, EPS[dtype]))


def guidance_case(device: Device, shape: tuple[int, ...], dtype: type[DType]) -> None:
    x = draw(shape, dtype, 3)
    exact = x.astype(np.float64)
    expected = oracle.guided(exact, 7.5)
    first, second = np.split(np.abs(exact), 2)
    magnitude = first + 7.5 * (first + second)
    allowed = oracle.bound(magnitude, expected, 3, EPS[dtype])
    check(run(device, lambda b: guidance(b, 7.5), x), expected, allowed)


@pytest.mark.parametrize("shape", [s for s in CASES if s[0] % 2 == 0], ids=str)
def test_guidance(device: Device, dtype: type[DType], shape: tuple[int, ...]) -> None:
    guidance_case(device, shape, dtype)


def test_more_groups_than_one_dimension_has(device: Device) -> None:
    with force_variant("flat", "each", (64, 1)):
        guidance_case(device, MANY, f32)


@pytest.mark.parametrize("target", [f32, f16], ids=["to f32", "to f16"])
@pytest.mark.parametrize("times", [1, 2, 3])
def test_combine_into(device: Device, dtype: type[DType], target: type[DType], times: int) -> None:
    skip_without_f16(device, target.name)
    for shape in [(1,), *CASES[2:]]:
        arrays = [draw(shape, dtype, seed) for seed in range(2)]
        x, y = (device.buffer_from_array(a) for a in arrays)
        result = device.buffer_from_array(
            np.full((shape[0] * times, *shape[1:]), np.nan, target.numpy)
        )
        combine_into(result, [(0.3, x), (-1.7, y)])
        exact = [np.concatenate([a.astype(np.float64)] * times) for a in arrays]
        expected = oracle.reference([0.3, -1.7], exact)
        magnitude = oracle.reference([0.3, 1.7], [np.abs(a) for a in exact])
        check(result.read(), expected, oracle.bound(magnitude, expected, 4, EPS[target]))


@pytest.mark.parametrize("shape", [s for s in CASES if s[0] % 2 == 0], ids=str)
def test_guidance_with_a_step(device: Device, dtype: type[DType], shape: tuple[int, ...]) -> None:
    x, base = draw(shape, dtype, 3), draw((shape[0] // 2, *shape[1:]), f32, 4)
    exact, added = x.astype(np.float64), base.astype(np.float64)
    expected = 0.9 * added - 1.3 * oracle.guided(exact, 7.5)
    first, second = np.split(np.abs(exact), 2)
    magnitude = 1.3 * (first + 7.5 * (first + second)) + 0.9 * np.abs(added)
    allowed = oracle.bound(magnitude, expected, 6, EPS[f32])

    def call(model: Buffer[Any], latents: Buffer[Any]) -> Buffer[Any]:
        return guidance(model, 7.5, factor=-1.3, plus=(0.9, latents))

    result = run(device, call, x, base)
    assert result.dtype == np.float32
    check(result, expected, allowed)


@settings(max_examples=draws(20), deadline=None)
@given(
    st.lists(st.sampled_from([0, 1, 2, 3, 4, 7, 13, 31]), min_size=1, max_size=4).map(tuple),
    st.sampled_from([f32, f16]),
    st.sampled_from([f32, f16]),
    st.lists(st.floats(-9, 9, width=32), min_size=1, max_size=7),
    st.integers(1, 4),
)
def test_drawn_combinations(
    device: Device,
    shape: tuple[int, ...],
    dtype: type[DType],
    target: type[DType],
    coefficients: list[float],
    times: int,
) -> None:
    """Sums of one to seven terms, as a new buffer and into one that holds them several times."""
    dtype, target = (d if device.has_f16 else f32 for d in (dtype, target))
    arrays = [draw(shape, dtype, seed) for seed in range(len(coefficients))]
    exact = [a.astype(np.float64) for a in arrays]
    expected = oracle.reference(coefficients, exact)
    magnitude = oracle.reference([abs(c) for c in coefficients], [np.abs(a) for a in exact])
    count = 2 * len(coefficients)
    result = run(
        device,
        lambda *buffers: linear_combination(list(zip(coefficients, buffers, strict=True))),
        *arrays,
    )
    tiny = 1.2e-38 * (1 + count)
    check(result, expected, oracle.bound(magnitude, expected, count, EPS[dtype]) + tiny)
    wide = (shape[0] * times, *shape[1:])
    if not shape[0]:
        return
    y = device.buffer_from_array(np.full(wide, np.nan, target.numpy))
    combine_into(y, list(zip(coefficients, map(device.buffer_from_array, arrays), strict=True)))
    repeated = np.concatenate([expected] * times)
    sizes = np.concatenate([magnitude] * times)
    check(y.read(), repeated, oracle.bound(sizes, repeated, count, EPS[target]) + tiny)


@settings(max_examples=draws(15), deadline=None)
@given(
    st.lists(st.sampled_from([1, 2, 3, 4, 7, 31]), max_size=3).map(tuple),
    st.integers(0, 5),
    st.sampled_from([f32, f16]),
    st.floats(-9, 9, width=32),
    st.booleans(),
)
def test_drawn_guidance(
    device: Device,
    rest: tuple[int, ...],
    images: int,
    dtype: type[DType],
    scale: float,
    step: bool,
) -> None:
    dtype = dtype if device.has_f16 else f32
    x, base = draw((2 * images, *rest), dtype, 3), draw((images, *rest), f32, 4)
    exact, added = x.astype(np.float64), base.astype(np.float64)
    first, second = np.split(np.abs(exact), 2)
    magnitude = first + abs(scale) * (first + second)
    expected = oracle.guided(exact, scale)
    if not step:
        allowed = oracle.bound(magnitude, expected, 3, EPS[dtype]) + 1e-37
        check(run(device, lambda b: guidance(b, scale), x), expected, allowed)
        return
    expected = 0.9 * added - 1.3 * expected
    allowed = oracle.bound(1.3 * magnitude + 0.9 * np.abs(added), expected, 6, EPS[f32]) + 1e-37
    latents = device.buffer_from_array(base)
    result = run(device, lambda b: guidance(b, scale, factor=-1.3, plus=(0.9, latents)), x)
    check(result, expected, allowed)


def test_one_buffer_may_be_several_terms(device: Device) -> None:
    x = device.buffer_from_array(np.arange(5, dtype=np.float32))
    np.testing.assert_array_equal(linear_combination([(2.0, x), (1.0, x)]).read(), 3 * x.read())
    np.testing.assert_array_equal(add(x, x).read(), 2 * x.read())


def test_guidance_does_not_depend_on_the_batch(device: Device) -> None:
    x = draw((6, 5, 7), f32, 4)
    together = run(device, lambda b: guidance(b, 3.3), x)
    for image in range(3):
        alone = run(device, lambda b: guidance(b, 3.3), x[[image, image + 3]])
        np.testing.assert_array_equal(together[image], alone[0])


def test_refuses_what_does_not_fit(device: Device) -> None:
    x, y = device.buffer(f32, (2, 3)), device.buffer(f32, (3, 2))
    with pytest.raises(
        ShapeError, match=r"linear_combination: shapes must be equal, got \(2, 3\), \(3, 2\)"
    ):
        linear_combination([(1.0, x), (1.0, y)])
    with pytest.raises(DTypeError, match="one float dtype"):
        linear_combination([(1.0, x), (1.0, device.buffer(f16, (2, 3)))])  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="must be 1 to 8 terms, got 9"):
        linear_combination([(1.0, x)] * 9)
    with pytest.raises(ArgumentError, match="must be 1 to 8 terms, got 0"):
        linear_combination([])
    with pytest.raises(ShapeError, match="even batch"):
        guidance(y, 2.0)
    with pytest.raises(ShapeError, match=r"must be \(1, 3\), got \(2, 3\)"):
        guidance(x, 2.0, factor=1.0, plus=(1.0, x))
    with pytest.raises(ArgumentError, match="factor must be 1 without plus"):
        guidance(x, 2.0, factor=2.0)  # type: ignore[call-overload]
    with pytest.raises(ShapeError, match=r"must be \(2, 3\), once or several times, got \(3, 3\)"):
        combine_into(device.buffer(f32, (3, 3)), [(1.0, x)])
    with pytest.raises(ShapeError, match="once or several"):
        combine_into(y, [(1.0, x)])
