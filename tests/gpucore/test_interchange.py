"""Buffers as NumPy arrays and through DLPack: copies, but for engines that share memory."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import pytest

from gpucore import ArgumentError, Device, DTypeError, c64, f16, f32, i8, i32, u8, u32
from gpucore.dtypes import DType

DTYPES: list[type[DType]] = [c64, f16, f32, i8, i32, u8, u32]


class Producer:
    """An array that offers DLPack alone."""

    def __init__(self, array: np.ndarray, place: tuple[int, int] = (1, 0)) -> None:
        self.array, self.place = array, place

    def __dlpack__(self, **options: Any) -> Any:
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.place


def test_numpy_takes_a_buffer(device: Device) -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    buffer = device.buffer_from_array(array)
    found = np.asarray(buffer)
    assert (found.dtype, found.shape) == (array.dtype, array.shape)
    assert (found == array).all()
    found[:] = -1
    assert (np.asarray(buffer) == array).all(), "a copy"
    assert np.asarray(buffer, np.float64).dtype == np.float64
    assert np.array(buffer, copy=True).tolist() == array.tolist()
    assert (np.add(buffer, 1) == array + 1).all()
    assert (device.buffer_from_array(buffer).read() == array).all()


def test_a_view_without_a_copy_is_refused(device: Device) -> None:
    buffer = device.buffer_from_array(np.arange(3, dtype=np.float32))
    with pytest.raises(ValueError, match="always a copy"):
        np.array(buffer, copy=False)
    with pytest.raises(BufferError, match="gets a copy"):
        buffer.__dlpack__(copy=False, dl_device=(1, 0))
    with pytest.raises(BufferError, match="stream must be None"):
        buffer.__dlpack__(stream=1, dl_device=(1, 0))
    with pytest.raises(BufferError, match="the CPU"):
        buffer.__dlpack__(dl_device=(2, 9))


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.name)
def test_dlpack_goes_both_ways(device: Device, dtype: type[DType]) -> None:
    array = np.arange(12).astype(dtype.numpy).reshape(3, 4)
    for producer in (array, array.T, Producer(array)):
        buffer = device.from_dlpack(producer)
        wanted = producer.array if isinstance(producer, Producer) else producer
        assert buffer.dtype is dtype
        sharing = device.engine.sharing
        assert buffer.__dlpack_device__() == (sharing.place if sharing else (1, 0))
        back = np.from_dlpack(buffer, device="cpu")
        assert (back.dtype, back.shape) == (wanted.dtype, wanted.shape)
        assert (back == wanted).all()
        if sharing is None:
            assert (np.from_dlpack(buffer) == wanted).all()


def test_buffer_from_array_takes_producers(device: Device) -> None:
    array = np.arange(5, dtype=np.int32)
    assert device.buffer_from_array(Producer(array)).read().tolist() == array.tolist()
    assert device.buffer_from_array(Producer(array), f32).dtype is f32


def test_other_producers_are_refused(device: Device) -> None:
    with pytest.raises(ArgumentError, match=r"list has no __dlpack__.*buffer_from_array"):
        device.from_dlpack([1, 2])  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match=r"DLPack of Producer: .*on the CPU.*\.cpu\(\)"):
        device.from_dlpack(Producer(np.zeros(3, np.float32), place=(2, 9)))
    with pytest.raises(DTypeError, match="no buffer dtype for NumPy float64"):
        device.from_dlpack(np.zeros(3))


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed")
def test_pytorch_tensors(device: Device) -> None:
    torch = importlib.import_module("torch")
    tensor = torch.arange(6, dtype=torch.float32).reshape(2, 3)
    buffer = device.from_dlpack(tensor)
    assert torch.equal(torch.from_dlpack(buffer).cpu(), tensor)
    with pytest.raises(ArgumentError, match="detach"):
        device.from_dlpack(tensor.requires_grad_())


def test_what_is_refused_is_not_read_first() -> None:
    """Reading waits for the device, and is no part of a capture."""
    buffer = Device.null().buffer(f32, 3)
    with buffer.device.capture():
        with pytest.raises(ValueError, match="always a copy"):
            buffer.__array__(copy=False)
        for wrong in ({"copy": False}, {"stream": 1}, {"dl_device": (2, 0)}):
            with pytest.raises(BufferError):
                buffer.__dlpack__(**wrong)


def test_arrays_of_every_kind_are_taken(device: Device) -> None:
    array = np.arange(24, dtype=np.float32).reshape(4, 6)
    fixed = array.copy()
    fixed.flags.writeable = False
    kinds = (array.T, array[::2, ::-3], fixed, np.broadcast_to(array[0], (3, 6)), array[:0])
    for kind in (*kinds, np.array(3, np.float32)):
        for upload in (device.from_dlpack, device.buffer_from_array):
            assert np.array_equal(upload(kind).read(), kind)
