"""Operators of buffers against NumPy, on drawn shapes, numbers and arrays."""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from gpucore import Buffer, Device, ShapeError, f32, i32
from tests.draws import draws
from tests.gpustd.arrays.operators import ulps
from tests.gpustd.compare import compare
from tests.gpustd.poison import poison_pool

Array = NDArray[Any]
SEED = st.integers(0, 10**6)
SHAPES = hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, min_side=0, max_side=9)
ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": operator.truediv,
    "floor_divide": operator.floordiv,
    "remainder": operator.mod,
    "power": operator.pow,
}
BITS = {
    "bitwise_and": operator.and_,
    "bitwise_or": operator.or_,
    "bitwise_xor": operator.xor,
    "left_shift": operator.lshift,
    "right_shift": operator.rshift,
}
COMPARISONS = {
    "equal": operator.eq,
    "not_equal": operator.ne,
    "less": operator.lt,
    "less_equal": operator.le,
    "greater": operator.gt,
    "greater_equal": operator.ge,
}
IN_PLACE: dict[str, Callable[[Any, Any], Any]] = {
    "add": operator.iadd,
    "subtract": operator.isub,
    "multiply": operator.imul,
    "divide": operator.itruediv,
}


def positive(shape: tuple[int, ...], seed: int) -> Array:
    return np.random.default_rng(seed).uniform(0.25, 4, shape).astype(np.float32)


def small(shape: tuple[int, ...], seed: int) -> Array:
    return np.random.default_rng(seed).integers(1, 7, shape).astype(np.int32)


def check(device: Device, op: str, found: Buffer[Any], expected: Array) -> None:
    # Quotients rounded down differ by one where a quotient is whole but for its rounding.
    units = {"divide": 3, "power": 30, "remainder": 4}.get(op, 1)
    compare(device, f"arrays.{op}", found.read(), expected, ulps(expected, units))


@pytest.mark.parametrize("op", ARITHMETIC)
def test_floats_broadcast(device: Device, op: str) -> None:
    @settings(max_examples=draws(15), deadline=None)
    @given(SHAPES, SEED, st.sampled_from([0.5, 2, 3.0, np.float32(1.5), np.float64(0.75)]))
    def holds(shapes: Any, seed: int, number: Any) -> None:
        call = ARITHMETIC[op]
        a, b = (positive(s, seed + k) for k, s in enumerate(shapes.input_shapes))
        if op in ("floor_divide", "remainder"):  # exact in eighths
            a, b = np.ceil(8 * a) / 8, np.ceil(8 * b) / 8
        x, y = device.buffer_from_array(a), device.buffer_from_array(b)
        wide = a.astype(np.float64), b.astype(np.float64)
        poison_pool(device, 4 * int(np.prod(shapes.result_shape)), a.nbytes)
        check(device, op, call(x, y), call(*wide))
        check(device, op, call(a, y), call(*wide))
        check(device, op, call(x, b), call(*wide))
        check(device, op, call(x, number), call(wide[0], float(number)))
        check(device, op, call(number, y), call(float(number), wide[1]))

    holds()


@pytest.mark.parametrize("op", [*ARITHMETIC, *BITS])
def test_integers(device: Device, op: str) -> None:
    call = (ARITHMETIC | BITS)[op]
    a, b = small((5, 3), 1), small((3,), 2)
    x, y = device.buffer_from_array(a), device.buffer_from_array(b)
    for given_, expected in (
        ((x, y), call(a, b)),
        ((a, y), call(a, b)),
        ((x, 3), call(a, 3)),
        ((3, y), call(3, b)),
    ):
        found = call(*given_).read()
        assert found.dtype == (np.float32 if op == "divide" else np.int32)
        np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("op", COMPARISONS)
def test_comparisons(device: Device, op: str) -> None:
    call = COMPARISONS[op]
    a, b = small((5, 3), 1), small((3,), 2)
    x, y = device.buffer_from_array(a), device.buffer_from_array(b)
    floats = device.buffer_from_array(a.astype(np.float32))
    np.testing.assert_array_equal(call(x, y).read(), call(a, b))
    np.testing.assert_array_equal(call(a, y).read(), call(a, b))
    np.testing.assert_array_equal(call(floats, y).read(), call(a, b))
    for number in (3, 3.5, np.int64(2), 2**40, -(2**40), float("inf")):
        np.testing.assert_array_equal(call(x, number).read(), call(a, number))
        np.testing.assert_array_equal(call(number, x).read(), call(number, a))
    for number in (1e39, -1e39, 2**200):
        np.testing.assert_array_equal(call(floats, number).read(), call(a, number))


def test_matrix_products(device: Device) -> None:
    a, b, v = positive((5, 7), 1), positive((7, 3), 2), positive((7,), 3)
    x, y, w = (device.buffer_from_array(each) for each in (a, b, v))
    for found, expected in ((x @ y, a @ b), (a @ y, a @ b), (x @ w, a @ v), (w @ w, v @ v)):
        np.testing.assert_allclose(found.read(), expected, rtol=1e-5)
    square = device.buffer_from_array(a[:5, :5].copy())
    square @= square
    np.testing.assert_allclose(square.read(), a[:5, :5] @ a[:5, :5], rtol=1e-5)
    with pytest.raises(ShapeError, match="matmul: operands must have axes, got a number"):
        x @ 2


def test_signs_and_rounding(device: Device) -> None:
    a = np.array([-1.5, 0.5, 2.5, 3.25], np.float32)
    x = device.buffer_from_array(a)
    for found, expected in (
        (-x, -a),
        (+x, a),
        (abs(x), np.abs(a)),
        (round(x), np.round(a)),
        (round(x, 1), np.round(a, 1)),
    ):
        np.testing.assert_array_equal(found.read(), expected)
    assert (+x).storage is not x.storage
    quotient, rest = divmod(x, 2)
    np.testing.assert_array_equal(quotient.read(), a // 2)
    np.testing.assert_array_equal(rest.read(), a % 2)
    np.testing.assert_array_equal(divmod(7, abs(x))[1].read(), 7 % np.abs(a))


def test_masks(device: Device) -> None:
    a = small((4, 5), 3)
    x = device.buffer_from_array(a)
    low, even = x < 4, x % 2 == 0
    for found, expected in (
        (~low, ~(a < 4)),
        (low & even, (a < 4) & (a % 2 == 0)),
        (low | even, (a < 4) | (a % 2 == 0)),
        (low ^ even, (a < 4) ^ (a % 2 == 0)),
        (low + even, (a < 4) + (a % 2 == 0)),
        (low * x, (a < 4) * a),
        (low & True, a < 4),
    ):
        np.testing.assert_array_equal(found.read(), expected)
    plain = device.buffer_from_array(a.astype(np.uint8))
    np.testing.assert_array_equal((~plain).read(), ~a.astype(np.uint8))


@pytest.mark.parametrize("op", IN_PLACE)
def test_in_place_writes_into_the_same_memory(device: Device, op: str) -> None:
    a, b = positive((4, 6), 1), positive((6,), 2)
    x = device.buffer_from_array(a)
    seen = x.reshape(-1)
    same = IN_PLACE[op](x, device.buffer_from_array(b))
    assert same is x
    expected = getattr(np, op)(a.astype(np.float64), b)
    compare(
        device, f"arrays.{op}", seen.read(), expected.reshape(-1), ulps(expected.reshape(-1), 3)
    )
    IN_PLACE[op](x, x)
    IN_PLACE[op](x, 2)
    with pytest.raises(ShapeError, match=rf"{op} in place: \(3, 4, 6\) does not broadcast"):
        IN_PLACE[op](x, device.buffer(f32, (3, 4, 6)))


def test_results_do_not_depend_on_the_batch(device: Device) -> None:
    a = positive((7, 1001), 5)
    x = device.buffer_from_array(a)
    whole = (x * 3 / 7).sum(axis=1).read()
    for k in range(7):
        assert (x[k] * 3 / 7).sum().read() == whole[k]


def test_single_elements_are_numbers(device: Device) -> None:
    x = device.buffer_from_array(np.array([[2.5]], np.float32))
    assert (float(x), int(x), complex(x), bool(x), x.item(), x.tolist()) == (
        *(2.5, 2, 2.5, True, 2.5),
        [[2.5]],
    )
    assert not device.buffer_from_array(np.zeros((), np.int32))
    for count in (0, 2):
        with pytest.raises(ShapeError, match=f"it must have one element, got {count}; reduce it"):
            bool(device.buffer(f32, count))
    with pytest.raises(ShapeError, match=r"x\.any\(\) or x\.all\(\)"):
        assert x.reshape(1).repeat(2) == x.reshape(1).repeat(2)


def test_buffers_are_keys_by_identity() -> None:
    null = Device.null()
    x, y = null.buffer(i32, 3), null.buffer(i32, 3)
    table = {x: 1, y: 2}
    assert (table[x], table[y], len({x, y, x})) == (1, 2, 2)
    assert hash(x) == hash(x)
    assert hash(copy.copy(x)) != hash(x)
    assert x in [x, y]


def test_numpys_functions_compute_on_the_host(device: Device) -> None:
    a = positive((3, 4), 7)
    x = device.buffer_from_array(a)
    for found, expected in (
        (np.sum(x, axis=0), np.sum(a, axis=0)),
        (np.sqrt(x), np.sqrt(a)),
        (np.concatenate([x, a]), np.concatenate([a, a])),
        (np.asarray(x), a),
        (np.linalg.norm(x), np.linalg.norm(a)),
        (np.add(x, 1), a + 1),
    ):
        assert isinstance(found, (np.ndarray, np.generic))
        np.testing.assert_array_equal(found, expected)
    assert np.shape(x) == (3, 4)
    assert np.allclose(x, a)
