"""Buffers return what was written, in every dtype and shape, and refuse what does not fit."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from numpy.typing import DTypeLike

from gpucore import (
    Buffer,
    CaptureError,
    Device,
    DType,
    DTypeError,
    LimitError,
    ReleasedBufferError,
    ShapeError,
    c64,
    f16,
    f32,
    i8,
    i32,
    u8,
    u32,
)
from tests.gpucore.kernels import INCREMENT

DTYPES: list[type[DType]] = [c64, f16, f32, i8, i32, u8, u32]
SHAPES = [(), (0,), (1,), (3,), (5, 0, 2), (7, 11), (2, 3, 5, 7), (4099,)]


def sample(shape: tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
    """Return random bits as an array, with NaN, infinities and negative zero among floats."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    data = np.random.default_rng(size).integers(0, 256, size, np.uint8)
    return data.view(dtype).reshape(shape)


def assert_same_bits(found: np.ndarray, wanted: np.ndarray) -> None:
    assert found.shape == wanted.shape
    assert found.dtype == wanted.dtype
    assert found.tobytes() == wanted.tobytes()


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.name)
def test_every_bit_comes_back(device: Device, dtype: type[DType]) -> None:
    for shape in SHAPES:
        array = sample(shape, dtype.numpy)
        buffer = device.buffer_from_array(array)
        assert (buffer.dtype, buffer.shape, buffer.size) == (dtype, shape, array.size)
        assert buffer.nbytes == array.nbytes
        assert_same_bits(buffer.read(), array)


@pytest.mark.parametrize("dtype", [f16, f32, u8], ids=lambda d: d.name)
def test_write_replaces_the_contents_and_nothing_else(device: Device, dtype: type[DType]) -> None:
    """Odd sizes: a write is padded to 4 bytes inside, which must not touch a neighbour."""
    first, second = sample((2, 5, 13), dtype.numpy)
    buffers = [device.buffer_from_array(first), device.buffer_from_array(first)]
    buffers[0].write(second)
    assert_same_bits(buffers[0].read(), second)
    assert_same_bits(buffers[1].read(), first)


def test_the_array_is_copied_at_once(device: Device) -> None:
    array = np.arange(8, dtype=np.float32)
    buffer = device.buffer_from_array(array)
    array[:] = -1
    first = buffer.read()
    first[:] = -2
    assert buffer.read().tolist() == [0, 1, 2, 3, 4, 5, 6, 7]


def test_arrays_of_any_memory_order_are_taken(device: Device) -> None:
    array = np.arange(24, dtype=np.float32).reshape(4, 6)
    frozen = array.copy()
    frozen.setflags(write=False)
    for given in (array.T, array[::2, ::-1], np.broadcast_to(array[0], (3, 6)), frozen):
        assert_same_bits(device.buffer_from_array(given).read(), np.ascontiguousarray(given))


def test_conversion_happens_where_it_is_asked_for(device: Device) -> None:
    buffer = device.buffer_from_array([[0.5, 2, 1e-9]], f16)
    assert_same_bits(buffer.read(), np.array([[0.5, 2, 0]], np.float16))
    with pytest.raises(DTypeError, match=r"no buffer dtype for NumPy float64.*astype"):
        device.buffer_from_array(np.zeros(3))
    with pytest.raises(DTypeError, match=r"write of float64 into Buffer\[f16\].*astype"):
        buffer.write(np.zeros((1, 3)))


@pytest.mark.parametrize("shape", [(), (3,), (1, 4), (4, 1), (5,)])
def test_write_of_another_shape_is_refused(device: Device, shape: tuple[int, ...]) -> None:
    buffer = device.buffer(f32, 4)
    with pytest.raises(ShapeError, match=r"into Buffer\[f32\]\(\(4,\)"):
        buffer.write(np.zeros(shape, np.float32))


def test_a_buffer_without_dimensions_holds_one_number(device: Device) -> None:
    buffer = device.buffer(f32, ())
    buffer.write(np.float32(2.5))
    assert buffer.read() == 2.5
    with pytest.raises(TypeError, match="len"):
        len(buffer)


def test_copy(device: Device) -> None:
    source = device.buffer_from_array(sample((3, 7), np.float16))
    target = device.buffer(f16, (21,))
    target.copy_from(source)
    assert_same_bits(target.read(), source.read().reshape(21))
    target.copy_from(target.view((7, 3)))
    assert_same_bits(target.read(), source.read().reshape(21))


def test_copies_that_do_not_fit_are_refused(device: Device) -> None:
    target = device.buffer(f32, 4)
    with pytest.raises(ShapeError, match="5 and 4"):
        target.copy_from(device.buffer(f32, 5))
    with pytest.raises(DTypeError, match="cast"):
        target.copy_from(device.buffer(i32, 4))  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="another device"):
        target.copy_from(Device.null().buffer(f32, 4))


def test_a_read_that_has_begun_sees_what_was_before(device: Device) -> None:
    """Write the buffer again, release it, and let others use its memory, before the wait."""
    increment = device.compile_kernel(INCREMENT)
    buffers = [device.buffer_from_array(np.full(1000, i, np.float32)) for i in range(5)]
    increment(buffers[3], grid=16)
    reads = [buffer.begin_read() for buffer in buffers]
    increment(buffers[0], grid=16)
    buffers[1].write(np.full(1000, -1, np.float32))
    buffers[2].release()
    device.buffer_from_array(np.full(1000, -2, np.float32))
    for value, read in reversed(list(zip([0, 1, 2, 4, 4], reads, strict=True))):
        assert_same_bits(read(), np.full(1000, value, np.float32))
    assert (buffers[0].read() == 1).all()
    empty = device.buffer(u8, (3, 0)).begin_read()()
    assert (empty.shape, empty.dtype) == ((3, 0), np.uint8)
    odd = sample((7, 11), np.uint8)
    assert_same_bits(device.buffer_from_array(odd).begin_read()(), odd)


def test_a_read_that_nobody_waits_for_is_dropped(device: Device) -> None:
    buffer = device.buffer_from_array(np.arange(5000, dtype=np.int32))
    buffer.begin_read()
    gc.collect()
    assert device.staging.nbytes == device.staging.idle
    assert buffer.read()[4999] == 4999
    with device.capture(), pytest.raises(CaptureError, match="inside"):
        buffer.begin_read()


def test_views_share_memory(device: Device) -> None:
    buffer = device.buffer_from_array(np.arange(12, dtype=np.int32))
    view = buffer.view((3, -1))
    assert (view.shape, len(view)) == ((3, 4), 3)
    view.write(np.full((3, 4), 7, np.int32))
    assert buffer.read().tolist() == [7] * 12
    assert device.buffer(f32, (0, 3)).view((0,)).shape == (0,)


@pytest.mark.parametrize("shape", [(11,), (5, -1), (-1, -1), (), (0, -1), (-12,)])
def test_views_of_another_size_are_refused(device: Device, shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match="sizes differ"):
        device.buffer(f32, 12).view(shape)


def test_a_view_keeps_the_memory(device: Device) -> None:
    view = device.buffer_from_array(np.arange(1000, dtype=np.float32)).view((10, 100))
    gc.collect()
    device.buffer_from_array(np.zeros(1000, np.float32))
    assert view.read()[9, 99] == 999


def test_use_after_release_is_refused(device: Device) -> None:
    with device.buffer(f32, 4) as buffer:
        buffer.write(np.zeros(4, np.float32))
    assert "released" in repr(buffer)
    uses = [buffer.read, lambda: buffer.write(np.zeros(4, np.float32)), lambda: buffer.view((2, 2))]
    for use in uses:
        with pytest.raises(ReleasedBufferError, match=r"Buffer\[f32\].*make a new buffer"):
            use()
    buffer.release()


def test_sizes_that_cannot_be_are_refused(device: Device) -> None:
    with pytest.raises(ShapeError, match="negative"):
        device.buffer(f32, (2, -1))
    before = device.memory
    elements = device.limits["max_storage_buffer_binding_size"] // 4 + 1
    with pytest.raises(LimitError, match=r"over the limit of \d+ bytes.*split the array"):
        device.buffer(f32, elements)
    assert device.memory == before


def test_a_buffer_tells_what_it_is(device: Device) -> None:
    buffer: Buffer[u32] = device.buffer(u32, (2, 3))
    assert repr(buffer) == f"Buffer[u32]((2, 3) on {device.name})"


def test_one_element_is_a_number(device: Device) -> None:
    for shape in ((), (1,), (1, 1)):
        for value in (0, 3):
            x = device.buffer_from_array(np.full(shape, value), i32)
            assert (int(x), float(x)) == (value, float(value))
    assert float(device.buffer_from_array(2.5, f32)) == 2.5
    for n in (0, 2):
        x = device.buffer(f32, n)
        for kind in (int, float):
            with pytest.raises(ShapeError, match=f"must have one element, got {n}; reduce it"):
                kind(x)
