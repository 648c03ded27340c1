"""Methods of buffers against those of NumPy's arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gpucore import Device, DTypeError, ShapeError, f16, f32, i32, u8
from gpustd.arrays.masks import Mask
from tests.gpustd.arrays.operators import draw

FLOATS = np.random.default_rng(3).uniform(-4, 4, (3, 5, 7)).astype(np.float32)
INTEGERS = draw("i8", (3, 5, 7), 4) // 16
# Each takes an array or a buffer, and gives the same of both.
SAME: dict[str, Callable[[Any], Any]] = {
    "T": lambda x: x.T,
    "all": lambda x: x.all(axis=2),
    "any": lambda x: x.any(axis=(0, 1), keepdims=True),
    "argmax": lambda x: x.argmax(axis=1),
    "argmin": lambda x: x.argmin(),
    "argsort": lambda x: x[0].argsort(axis=0)[:1],
    "astype": lambda x: x.astype(np.float32),
    "clip": lambda x: x.clip(-1, 2),
    "clip above": lambda x: x.clip(max=1),
    "clip by an array": lambda x: x.clip(min=np.zeros((5, 1), np.int8)),
    "conj": lambda x: x.conj(),
    "copy": lambda x: x.copy(),
    "dot": lambda x: x.astype(np.float32)[0].dot(np.ones((7, 2), np.float32)),
    "dot of a number": lambda x: x.dot(2),
    "flatten": lambda x: x.flatten(),
    "imag": lambda x: x.imag,
    "max": lambda x: x.max(axis=-1),
    "mean": lambda x: x.mean(axis=(0, 2)),
    "min": lambda x: x.min(keepdims=True),
    "ravel": lambda x: x.ravel(),
    "real": lambda x: x.real,
    "repeat": lambda x: x.repeat(2, axis=1),
    "reshape": lambda x: x.reshape(5, -1),
    "reshape to a tuple": lambda x: x.reshape((7, 15)),
    "round": lambda x: x.round(),
    "squeeze": lambda x: x[:1].squeeze(),
    "squeeze an axis": lambda x: x[:, :1].squeeze(axis=1),
    "std": lambda x: x.std(axis=1, ddof=1),
    "swapaxes": lambda x: x.swapaxes(0, -1),
    "take": lambda x: x.take([1, -1], axis=1),
    "take of all": lambda x: x.take(np.array([[3, 0], [104, -105]])),
    "transpose": lambda x: x.transpose(1, 0, 2),
    "transpose by a tuple": lambda x: x.transpose((2, 0, 1)),
    "var": lambda x: x.var(),
}
# The dtypes of sums are gpustd's: 32 bits.
SUMS: dict[str, Callable[[Any], Any]] = {
    "cumprod": lambda x: x[:, :2].cumprod(axis=1),
    "cumsum": lambda x: x.cumsum(axis=0),
    "cumsum of all": lambda x: x.cumsum(),
    "prod": lambda x: x.prod(axis=0),
    "sum": lambda x: x.sum(axis=1),
    "sum of all": lambda x: x.sum(),
}


@pytest.mark.parametrize("name", [*SAME, *SUMS])
@pytest.mark.parametrize("array", [FLOATS, INTEGERS], ids=["f32", "i8"])
def test_as_in_numpy(device: Device, name: str, array: Any) -> None:
    call = (SAME | SUMS)[name]
    found = call(device.buffer_from_array(array)).read()
    expected = call(array.astype(np.float64) if array is FLOATS else array)
    assert found.shape == expected.shape
    # Sums and squares of 105 numbers of at most 16 sizes: 105 roundings of 2^-24.
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-5)


def test_sort_is_in_place_and_nonzero_gives_places(device: Device) -> None:
    a = FLOATS.copy()
    x = device.buffer_from_array(a)
    view = x.reshape(-1)
    x.sort(axis=1)
    np.testing.assert_array_equal(view.read(), np.sort(a, axis=1).reshape(-1))
    places = [each.read() for each in (x > 2).nonzero()]
    np.testing.assert_array_equal(places, (np.sort(a, axis=1) > 2).nonzero())
    x.fill(2)
    assert np.all(view.read() == 2)


def test_shared_and_copied_memory(device: Device) -> None:
    x = device.buffer_from_array(FLOATS[:1])
    for shared in (x.reshape(35), x.ravel(), x.squeeze(), x.astype(f32, copy=False)):
        assert shared.storage is x.storage
    for copied in (x.flatten(), x.copy(), x.T, x.transpose(), x.astype(f32), x[...], +x):
        assert copied.storage is not x.storage
    assert device.buffer(f32, (0, 3)).ravel().shape == (0,)


def test_dtypes(device: Device) -> None:
    x = device.buffer_from_array(np.array([1.7, -2.2, 0], np.float32))
    assert x.astype(i32).tolist() == [1, -2, 0]
    assert x.astype(np.int8).tolist() == [1, -2, 0]
    truth = x.astype(bool)
    assert isinstance(truth, Mask)
    assert truth.tolist() == [1, 1, 0]
    assert (~truth).sum().dtype.name == "u32"
    assert truth.mean().item() == pytest.approx(2 / 3)
    assert not isinstance(truth.astype(u8), Mask)
    numbers = device.buffer_from_array(np.full(300, 100, np.uint8))
    assert numbers.sum(dtype=f32).dtype is f32
    assert numbers.sum().item() == 30000
    with pytest.raises(DTypeError, match="astype: dtype must be gpucore's or NumPy's, got 'x'"):
        x.astype("x")
    with pytest.raises(DTypeError, match="no buffer dtype for NumPy float64"):
        x.astype(float)


def test_wrong_arguments() -> None:
    x = Device.null().buffer(f32, (2, 3))
    with pytest.raises(ShapeError, match=r"sum: axis 2 of \(2, 3\): it has 2 axes"):
        x.sum(axis=2)
    with pytest.raises(ShapeError, match=r"squeeze: axes must have extent 1, got \(0,\)"):
        x.squeeze(0)
    with pytest.raises(ShapeError, match="sizes differ"):
        x.reshape(4, 2)
    with pytest.raises(IndexError, match="indices 7 to 7 are beyond axis 0"):
        x.take([7])
    half = Device.null().buffer(f16, 3)
    assert (half.sum().dtype, half.mean().dtype, half.std().dtype) == (f16, f16, f16)
