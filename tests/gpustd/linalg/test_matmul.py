"""matmul against NumPy float64, in every combination of axes."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest

from gpucore import Device, DTypeError, ShapeError
from gpustd import linalg
from tests.gpustd.compare import compare

EPS = 2.0**-24
SHAPES = [
    ((4,), (4,)),
    ((3, 4), (4,)),
    ((4,), (4, 5)),
    ((4,), (2, 4, 5)),
    ((2, 3, 4), (4,)),
    ((3, 4), (4, 8)),
    ((2, 3, 4), (4, 8)),
    ((2, 1, 3, 4), (3, 4, 5)),
    ((0, 4), (4, 3)),
    ((2, 0), (0, 3)),
    ((1, 1), (1, 1)),
]


def normal(shape: Any, seed: int, dtype: Any) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    return np.asarray(x + (1j * x[::-1] if np.dtype(dtype).kind == "c" else 0), dtype)


@pytest.mark.parametrize(("left", "right"), SHAPES, ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.complex64])
def test_matmul(device: Device, left: Any, right: Any, dtype: Any) -> None:
    a, b = normal(left, 1, dtype), normal(right, 2, dtype)
    y = linalg.matmul(device.buffer_from_array(a), device.buffer_from_array(b)).read()
    kind = np.complex128 if np.dtype(dtype).kind == "c" else np.float64
    exact = np.matmul(a.astype(kind), b.astype(kind))
    sizes = np.matmul(np.abs(a).astype(float), np.abs(b).astype(float))
    compare(device, "linalg.matmul", y, exact, 4 * (left[-1] + 4) * EPS * sizes)


def test_large_matrices_one_by_one(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """How matrix units take a batch, by the rung that is here."""
    module = importlib.import_module("gpustd.linalg.matmul")
    monkeypatch.setattr(module, "_worth_copies", lambda a, b: True)
    a, b = normal((2, 1, 8, 16), 1, np.float32), normal((3, 16, 24), 2, np.float32)
    y = linalg.matmul(device.buffer_from_array(a), device.buffer_from_array(b)).read()
    sizes = np.abs(a.astype(float)) @ np.abs(b.astype(float))
    compare(device, "linalg.matmul", y, a.astype(float) @ b.astype(float), 20 * EPS * sizes)


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
