"""Memory shared with other libraries through DLPack: on a fake card, and with PyTorch and CuPy."""

from __future__ import annotations

import gc
import importlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpucore import ArgumentError, Device, DTypeError, GpuError, LimitError, f16, f32
from gpucore.memory.dlpack import Taken, new_capsule, open_capsule
from tests.gpucore.backends.cuda.fake_cuda import FakeDriverLibrary, fake_backend
from tests.gpucore.kernels import INCREMENT

PLACE = (2, 0)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPUCORE_CUDA_CACHE", str(tmp_path))


@pytest.fixture
def library() -> FakeDriverLibrary:
    return FakeDriverLibrary()


@pytest.fixture
def card(library: FakeDriverLibrary) -> Iterator[Device]:
    device = Device(fake_backend(library))
    yield device
    device.close()


class Elsewhere:
    """An array of another library on the card, which the fake keeps in the host's memory."""

    def __init__(self, array: np.ndarray, shift: int = 0, place: tuple[int, int] = PLACE) -> None:
        self.room = np.zeros(array.nbytes + 64, np.uint8)
        self.first = -self.room.ctypes.data % 16 + shift
        self.array = self.room[self.first : self.first + array.nbytes].view(array.dtype)
        self.array = self.array.reshape(array.shape)
        self.array[...] = array
        self.place = place
        self.released = 0
        self.streams: list[Any] = []

    def release(self) -> None:
        self.released += 1

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.place

    def __dlpack__(self, *, stream: Any = None) -> Any:
        self.streams.append(stream)
        address = self.room.ctypes.data + self.first
        taken = Taken(address, self.place, self.array.shape, self.array.dtype, self.release)
        return new_capsule(taken, versioned=False)


@pytest.mark.parametrize("versioned", [False, True])
@pytest.mark.parametrize("shape", [(), (0, 3), (5,), (2, 3, 4), (1, 7, 1)])
def test_capsules_tell_what_they_were_given(shape: tuple[int, ...], versioned: bool) -> None:
    done: list[int] = []
    given = Taken(4096, (2, 3), shape, np.dtype(np.float16), lambda: done.append(1))
    capsule = new_capsule(given, versioned=versioned)
    found = open_capsule(capsule)
    assert found[:4] == given[:4]
    with pytest.raises(BufferError, match="a used one"):
        open_capsule(capsule)
    del capsule
    assert not done, "it was taken"
    found.release()
    assert done == [1]
    del found
    new_capsule(given, versioned=versioned)
    assert done == [1, 1], "nobody took it"


def test_numpy_reads_a_capsule_as_we_write_it() -> None:
    """Another reader of the same structures, on the CPU."""

    class Host(Elsewhere):
        def __dlpack__(self, **options: Any) -> Any:
            return super().__dlpack__()

    for array in (np.arange(6, dtype=np.int32).reshape(2, 3), np.array(2 + 3j, np.complex64)):
        producer = Host(array, place=(1, 0))
        found = np.from_dlpack(producer)  # type: ignore[arg-type]
        assert (found.dtype, found.tolist()) == (array.dtype, array.tolist())
        del found
        assert producer.released == 1


def test_numpys_capsules_are_read() -> None:
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    for version in (None, (1, 0)):
        options: dict[str, Any] = {} if version is None else {"max_version": version}
        found = open_capsule(array.__dlpack__(**options))
        assert found[:4] == (array.ctypes.data, (1, 0), (3, 4), array.dtype)
        found.release()
    for wrong, words in ((array.T, "not row-major"), (array > 1, "DLPack type 6")):
        with pytest.raises(BufferError, match=words):
            open_capsule(wrong.__dlpack__())
    with pytest.raises(BufferError, match="no capsule"):
        open_capsule(object())


def test_a_buffer_is_lent_and_comes_back(card: Device, library: FakeDriverLibrary) -> None:
    x = card.buffer_from_array(np.arange(6, dtype=np.float16).reshape(2, 3))
    assert x.__dlpack_device__() == PLACE
    found = open_capsule(x.__dlpack__(stream=7, max_version=(1, 1)))
    assert found.address in library.memory
    assert found[1:4] == (PLACE, (2, 3), np.float16)
    assert library.waits == [7]
    open_capsule(x.__dlpack__()).release()
    open_capsule(x.__dlpack__(stream=-1)).release()
    assert library.waits == [7, 1], "DLPack's default stream, and none"
    live = card.memory.live
    del x
    gc.collect()
    assert card.memory.live == live, "its user is not done"
    found.release()
    library.calls.clear()
    card.synchronize()
    assert "cuCtxSynchronize" in library.calls
    assert card.memory.live < live


def test_a_lent_copy_has_memory_of_its_own(card: Device) -> None:
    x = card.buffer_from_array(np.arange(4, dtype=np.float32))
    first, second = open_capsule(x.__dlpack__()), open_capsule(x.__dlpack__(copy=True))
    assert first.address != second.address
    host = np.from_dlpack(x, device="cpu")
    assert host.tolist() == [0, 1, 2, 3]
    for taken in (first, second):
        taken.release()
    with pytest.raises(BufferError, match="or the CPU"):
        x.__dlpack__(dl_device=(2, 5))
    structs = card.buffer(np.dtype([("a", np.float32)]), 4)
    with pytest.raises(BufferError, match="structs"):
        structs.__dlpack__()


def test_memory_is_borrowed_until_the_card_is_done_with_it(
    card: Device, library: FakeDriverLibrary
) -> None:
    producer = Elsewhere(np.arange(64, dtype=np.float32))
    x = card.from_dlpack(producer)  # type: ignore[arg-type]
    assert producer.streams == [card.engine.sharing.stream]  # type: ignore[union-attr]
    assert (x.dtype, x.shape) == (f32, (64,))
    x.write(np.full(64, 5, np.float32))
    assert (producer.array == 5).all(), "the same memory"
    library.busy = True
    card.compile_kernel(INCREMENT)(x, grid=1)
    del x
    gc.collect()
    card.bindings.clear_groups()
    assert not producer.released, "the launch is not submitted"
    card.submit()
    card.buffer(f32, 4)
    assert not producer.released, "the launch is not done"
    library.busy = False
    card.synchronize()
    assert producer.released == 1


def test_what_is_borrowed_goes_back_at_the_end(library: FakeDriverLibrary) -> None:
    card, producer = Device(fake_backend(library)), Elsewhere(np.zeros(4, np.float32))
    x = card.from_dlpack(producer)  # type: ignore[arg-type]
    card.close()
    assert producer.released == 1
    del x
    gc.collect()
    assert producer.released == 1


def test_a_stream_that_does_not_exist_is_told(card: Device, library: FakeDriverLibrary) -> None:
    x = card.buffer(f32, 4)
    library.failing["cuStreamWaitEvent"] = 1
    with pytest.raises(GpuError, match=r"letting stream 99 wait: cuStreamWaitEvent"):
        x.__dlpack__(stream=99)


def test_lent_memory_stays_while_others_capture(card: Device, library: FakeDriverLibrary) -> None:
    x = card.buffer_from_array(np.zeros(64, np.float32))
    open_capsule(x.__dlpack__()).release()
    live = card.memory.live
    del x
    library.failing["cuCtxSynchronize"] = 900
    card.synchronize()
    assert card.memory.live == live
    del library.failing["cuCtxSynchronize"]
    card.synchronize()
    assert card.memory.live < live


@pytest.mark.parametrize(("size", "shift"), [(8, 2), (3, 0), (100_001, 2)])
def test_ragged_memory_is_copied(card: Device, size: int, shift: int) -> None:
    array = (np.arange(size) % 2048).astype(np.float16)
    x = card.from_dlpack(Elsewhere(array, shift))  # type: ignore[arg-type]
    assert x.dtype is f16
    assert x.read().tolist() == array.tolist()
    with pytest.raises(ArgumentError, match="multiples of 16 bytes"):
        card.from_dlpack(Elsewhere(array, shift), copy=False)  # type: ignore[arg-type]
    whole = Elsewhere(np.zeros(8, np.float32))
    copied = card.from_dlpack(whole, copy=True)  # type: ignore[arg-type]
    copied.write(np.ones(8, np.float32))
    assert not whole.array.any()


def test_what_cannot_be_borrowed_is_refused(card: Device) -> None:
    with pytest.raises(ArgumentError, match="not in memory that this device shares"):
        card.from_dlpack(np.zeros(4, np.float32), copy=False)
    with pytest.raises(ArgumentError, match="device of DLPack type 2"):
        card.from_dlpack(Elsewhere(np.zeros(4, np.float32), place=(2, 1)))  # type: ignore[arg-type]
    producer = Elsewhere(np.zeros(4, np.float64))
    with pytest.raises(DTypeError, match="no buffer dtype for NumPy float64"):
        card.from_dlpack(producer)  # type: ignore[arg-type]
    card.submit()
    gc.collect()
    card.close()
    assert producer.released == 1


def test_an_array_larger_than_a_buffer_is_refused(card: Device) -> None:
    """Printed kernels index memory with numbers of 32 bits and a sign."""
    producer = Elsewhere(np.zeros(4, np.float32))
    producer.array = np.broadcast_to(np.float32(0), (2**29 + 1,))
    with pytest.raises(LimitError, match=f"a buffer of {2**31 + 4} bytes is over the limit"):
        card.from_dlpack(producer)  # type: ignore[arg-type]
    assert producer.released == 1


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed")
def test_pytorch_shares_a_cards_memory(device: Device) -> None:
    if device.engine.sharing is None:
        pytest.skip("this engine shares no memory")
    torch = importlib.import_module("torch")
    increment = device.compile_kernel(INCREMENT)
    tensor = torch.arange(64, dtype=torch.float32, device="cuda") * 2
    x = device.from_dlpack(tensor, copy=False)
    increment(x, grid=1)
    device.synchronize()
    assert tensor.tolist() == [2 * i + 1 for i in range(64)], "what we write is seen there"
    tensor += 1
    torch.cuda.synchronize()
    assert x.read().tolist() == [2 * i + 2 for i in range(64)], "and the other way"
    y = device.buffer_from_array(np.arange(64, dtype=np.float32))
    increment(y, grid=1)
    back = torch.from_dlpack(y)  # what was recorded comes first
    assert back.is_cuda
    assert back.tolist() == [i + 1 for i in range(64)]
    back.mul_(3)
    torch.cuda.synchronize()
    assert y.read().tolist() == [3 * i + 3 for i in range(64)]
    del y
    assert back.sum().item() == 3 * sum(range(1, 65)), "the tensor keeps the memory"


@pytest.mark.skipif(importlib.util.find_spec("cupy") is None, reason="CuPy is not installed")
def test_cupy_shares_a_cards_memory(device: Device) -> None:
    if device.engine.sharing is None:
        pytest.skip("this engine shares no memory")
    cupy = importlib.import_module("cupy")
    array = cupy.arange(64, dtype=cupy.float32)
    x = device.from_dlpack(array, copy=False)
    device.compile_kernel(INCREMENT)(x, grid=1)
    device.synchronize()
    assert array.get().tolist() == list(range(1, 65))
    back = cupy.from_dlpack(x)
    back *= 2
    cupy.cuda.Device().synchronize()
    assert x.read().tolist() == [2 * i for i in range(1, 65)]
