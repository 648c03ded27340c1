"""matmul against NumPy float64, in every combination of axes."""

from __future__ import annotations

import importlib
import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpucore import Device, DTypeError, ShapeError
from gpustd import linalg
from gpustd.matmul import dense
from gpustd.matmul.launching import launch_matmul
from gpustd.matmul.operation import Matmul
from gpustd.matmul.tile_choice import best_splits
from tests.draws import draws
from tests.gpustd.compare import compare
from tests.gpustd.matmul.small_tiles import on_variant
from tests.gpustd.poison import poison_pool

module = importlib.import_module("gpustd.linalg.batched_matmul")
suits = module._fits_matrix_units

EPS = 2.0**-24


def normal(shape: Any, seed: int, dtype: Any) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    return np.asarray(x + (1j * x[::-1] if np.dtype(dtype).kind == "c" else 0), dtype)


@st.composite
def shapes(make: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Draw two shapes of at least one axis, with batches that broadcast."""
    m, k, n = make(st.tuples(*[st.sampled_from([0, 1, 2, 5, 8, 13])] * 3))
    batch = make(st.lists(st.sampled_from([0, 1, 2, 3]), max_size=2))
    left, right = ([make(st.sampled_from([b, 1])) for b in batch] for _ in range(2))
    left, right = (side[make(st.integers(0, len(side))) :] for side in (left, right))
    a = make(st.sampled_from([(k,), (*left, m, k)]))
    return a, make(st.sampled_from([(k,), (*right, k, n)]))


@settings(max_examples=draws(25), deadline=None)
@given(shapes(), st.sampled_from([np.float32, np.float16, np.complex64]))
def test_drawn_shapes(device: Device, drawn_shapes: Any, dtype: Any) -> None:
    dtype = np.float32 if dtype is np.float16 and not device.has_f16 else dtype
    a, b = (np.asarray(normal(s, i, dtype)) for i, s in enumerate(drawn_shapes))
    kind = np.complex128 if np.dtype(dtype).kind == "c" else np.float64
    left, right = device.buffer_from_array(a), device.buffer_from_array(b)
    exact = np.asarray(np.matmul(a.astype(kind), b.astype(kind)))
    poison_pool(device, exact.size * a.itemsize)
    y = linalg.matmul(left, right).read()
    sizes = np.matmul(np.abs(a).astype(float), np.abs(b).astype(float))
    rounded = 2.0**-11 * np.abs(exact) + EPS if dtype is np.float16 else 0
    allowed = 4 * (a.shape[-1] + 4) * EPS * sizes + rounded
    compare(device, "linalg.matmul", y, exact, allowed, max(1.0, np.max(sizes, initial=0)))


def f16_product(
    device: Device, left: Any, right: Any, patch: pytest.MonkeyPatch
) -> tuple[np.ndarray, set[Any]]:
    """Multiply in f16 on emulated matrix units, check, and return the batches launched."""
    seen = set()

    def launch(matmul: Matmul, *operands: Any, **more: Any) -> None:
        seen.add(matmul.batch)
        launch_matmul(matmul, *operands, **more)

    patch.setattr(dense, "launch_matmul", launch)
    patch.setattr(module, "_fits_matrix_units", lambda a, b: suits(WithUnits(a), b))
    a, b = normal(left, 1, np.float16), normal(right, 2, np.float16)
    batch = np.broadcast_shapes(left[:-2], right[:-2])
    poison_pool(device, 2 * math.prod(batch) * left[-2] * right[-1])
    with on_variant(device, "matrix split", patch):
        y = linalg.matmul(device.buffer_from_array(a), device.buffer_from_array(b)).read()
    sizes = np.abs(a).astype(float) @ np.abs(b).astype(float)
    exact = a.astype(float) @ b.astype(float)
    # K + 4 roundings in f32, and one to f16, whose least step is 2^-24.
    allowed = (left[-1] + 4) * EPS * sizes + 2.0**-11 * np.abs(exact) + EPS
    compare(device, "linalg.matmul", y, exact, allowed)
    return y, seen


class WithUnits:
    """A buffer whose device has matrix units."""

    def __init__(self, buffer: Any) -> None:
        self.dtype, self.shape, self.size = buffer.dtype, buffer.shape, buffer.size
        self.device = SimpleNamespace(has_matrix_units=True)


@pytest.mark.parametrize(
    ("left", "right", "launched"),
    [
        ((3, 5, 8), (3, 8, 16), {3}),
        ((2, 3, 33, 24), (2, 3, 24, 72), {4, 2}),
        ((1, 40, 64), (1, 64, 64), {1}),
        ((3, 5, 8), (3, 8, 8), set()),
        ((3, 5, 9), (3, 9, 16), set()),
        ((3, 5, 16), (3, 16, 17), set()),
        ((1, 5, 8), (3, 8, 16), {3}),
        ((3, 5, 8), (1, 8, 16), {1}),
        ((2, 1, 5, 8), (3, 8, 16), {1}),
    ],
)
def test_a_batch_in_f16_on_matrix_units(
    device: Device, left: Any, right: Any, launched: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Matrices that do not fit take the other kernel; many of them take several launches."""
    monkeypatch.setattr(module, "MOST_GROUPS", 4)
    assert f16_product(device, left, right, monkeypatch)[1] == launched


def test_large_matrices_are_not_copied(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_BYTES", 0)
    assert f16_product(device, (1, 8, 16), (3, 16, 24), monkeypatch)[1] == {1}


@pytest.mark.parametrize("shared", ["left", "right"])
def test_a_shared_matrix_on_matrix_units_has_the_bits_of_each_alone(
    device: Device, shared: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, right = (2, 16, 3840), (2, 3840, 16)
    if shared == "left":
        left = (1, *left[1:])
    else:
        right = (1, *right[1:])
    together, _ = f16_product(device, left, right, monkeypatch)
    a, b = normal(left, 1, np.float16), normal(right, 2, np.float16)
    for i in range(2):
        one = (device.buffer_from_array(x[i % len(x)][None].copy()) for x in (a, b))
        with on_variant(device, "matrix split", monkeypatch):
            np.testing.assert_array_equal(linalg.matmul(*one).read()[0], together[i])


def test_a_batch_on_matrix_units_has_the_bits_of_each_alone(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bits are equal also where the sum of a lone matrix product is split."""
    assert best_splits(16, 16, 3840) > 1
    together, _ = f16_product(device, (2, 16, 3840), (2, 3840, 16), monkeypatch)
    a, b = normal((2, 16, 3840), 1, np.float16), normal((2, 3840, 16), 2, np.float16)
    for i in range(2):
        one = (device.buffer_from_array(x[i : i + 1].copy()) for x in (a, b))
        with on_variant(device, "matrix split", monkeypatch):
            np.testing.assert_array_equal(linalg.matmul(*one).read()[0], together[i])


def test_a_batch_has_the_bits_of_each_alone(device: Device) -> None:
    a, b = normal((3, 20, 33), 1, np.float32), normal((3, 33, 17), 2, np.float32)
    together = linalg.matmul(device.buffer_from_array(a), device.buffer_from_array(b)).read()
    for i in range(3):
        one = (device.buffer_from_array(x[i : i + 1].copy()) for x in (a, b))
        np.testing.assert_array_equal(linalg.matmul(*one).read()[0], together[i])


def test_refusals(device: Device) -> None:
    a = device.buffer_from_array(np.zeros((2, 3), np.float32))
    with pytest.raises(ShapeError, match="inner"):
        linalg.matmul(a, a)
    with pytest.raises(ShapeError, match="axis"):
        linalg.matmul(a, a.view((6,)).device.buffer(a.dtype, ()))
    with pytest.raises(DTypeError, match="matmul"):
        linalg.matmul(a, device.buffer_from_array(np.zeros((3, 2), np.int32)))
