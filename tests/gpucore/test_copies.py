"""Copies to and from the host: into given arrays, of rows, and through reused staging memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from gpucore import (
    ArgumentError,
    Device,
    DType,
    DTypeError,
    GpuError,
    ShapeError,
    f16,
    f32,
    i32,
    u8,
)
from tests.gpucore.kernels import INCREMENT


@pytest.fixture
def fresh(device: Device) -> Iterator[Device]:
    own = Device.open(device.info)
    yield own
    own.close()


def test_a_read_fills_the_array_given(device: Device) -> None:
    array = np.arange(24, dtype=np.float32).reshape(4, 6)
    buffer = device.buffer_from_array(array)
    out = np.full((4, 6), np.nan, np.float32)
    assert buffer.read(out=out) is out
    assert (out == array).all()
    turned = np.full((6, 4), np.nan, np.float32).T
    buffer.read(out=turned)
    assert (turned == array).all()
    empty = np.empty((0, 3), np.float32)
    assert device.buffer(f32, (0, 3)).read(out=empty) is empty


def test_arrays_that_do_not_fit_are_refused(device: Device) -> None:
    buffer = device.buffer(f32, (2, 3))
    frozen = np.zeros((2, 3), np.float32)
    frozen.setflags(write=False)
    with pytest.raises(DTypeError, match=r"out must be an array of float32, got float64"):
        buffer.read(out=np.zeros((2, 3)))
    with pytest.raises(ShapeError, match=r"out must have shape \(2, 3\), got \(3, 2\)"):
        buffer.read(out=np.zeros((3, 2), np.float32))
    with pytest.raises(ArgumentError, match="read-only"):
        buffer.read(out=frozen)


def test_what_a_failed_read_was_to_wait_for_runs(device: Device) -> None:
    """The read and the launch before it would have been one submission."""
    x = device.buffer_from_array(np.zeros(64, np.float32))
    handle = x.storage.handle
    device.compile_kernel(INCREMENT)(x, grid=1)
    with device.lock, device.engine.one_submission():
        device.submit()
        with pytest.raises(GpuError, match=r"reading \d+ bytes"):
            device.engine.read(handle, handle.nbytes + 4)
    assert x.read().tolist() == [1] * 64


@pytest.mark.parametrize("dtype", [u8, f16, i32], ids=lambda d: d.name)
def test_rows_come_back_by_themselves(device: Device, dtype: type[DType]) -> None:
    """Rows of 3 bytes, 6 bytes and 12: they begin anywhere in a word."""
    array = np.arange(33, dtype=dtype.numpy).reshape(11, 3)
    buffer = device.buffer_from_array(array)
    for start, stop in ((0, 11), (0, 1), (1, 2), (3, 10), (10, 11), (4, 4), (11, 11)):
        found = buffer.read_slice(start, stop)
        assert found.dtype == array.dtype
        assert found.shape == (stop - start, 3)
        assert (found == array[start:stop]).all()


def test_rows_are_written_by_themselves(device: Device) -> None:
    array = np.zeros((7, 3), np.float32)
    buffer = device.buffer_from_array(array)
    for start, count in ((0, 1), (2, 3), (6, 1), (3, 0)):
        rows = np.random.default_rng(start).random((count, 3), np.float32)
        buffer.write_slice(start, rows)
        array[start : start + count] = rows
        assert (buffer.read() == array).all()
    increment = device.compile_kernel(INCREMENT)
    increment(buffer, grid=1)
    buffer.write_slice(1, np.full((1, 3), 9, np.float32))
    array += 1
    array[1] = 9
    assert (buffer.read() == array).all()


def test_a_part_of_a_word_is_not_written(device: Device) -> None:
    """Nothing is written outside of the part; a part that ends inside a word is refused."""
    array = np.arange(11, dtype=np.uint8)
    buffer = device.buffer_from_array(array)
    buffer.write_slice(8, np.full(3, 99, np.uint8))
    buffer.write_slice(4, np.full(4, 77, np.uint8))
    assert buffer.read().tolist() == [0, 1, 2, 3, 77, 77, 77, 77, 99, 99, 99]
    for start, count in ((1, 3), (4, 3)):
        with pytest.raises(ShapeError, match="multiples of 4 bytes"):
            buffer.write_slice(start, np.zeros(count, np.uint8))
    assert buffer.read().tolist() == [0, 1, 2, 3, 77, 77, 77, 77, 99, 99, 99]


def test_rows_that_do_not_exist_are_refused(device: Device) -> None:
    buffer = device.buffer(f32, (4, 2))
    for start, stop in ((0, 5), (-1, 2), (3, 2)):
        with pytest.raises(ShapeError, match=rf"rows {start} to {stop} of Buffer.* has 4 rows"):
            buffer.read_slice(start, stop)
    with pytest.raises(ShapeError, match="rows 3 to 5"):
        buffer.write_slice(3, np.zeros((2, 2), np.float32))
    with pytest.raises(ShapeError, match=r"rows of shape \(3,\)"):
        buffer.write_slice(0, np.zeros((2, 3), np.float32))
    with pytest.raises(DTypeError, match="write of int64"):
        buffer.write_slice(0, np.zeros((2, 2), np.int64))
    with pytest.raises(ShapeError, match="has no rows"):
        device.buffer(f32, ()).read_slice(0, 1)


def test_reads_reuse_staging_memory(fresh: Device) -> None:
    small, large = fresh.buffer(f32, 60), fresh.buffer(f32, 300_000)
    assert fresh.staging.nbytes == 0
    for _ in range(50):
        small.read()
    assert (fresh.staging.made, fresh.staging.reused, fresh.staging.nbytes) == (1, 49, 256)
    for _ in range(3):
        large.read()
    assert (fresh.staging.made, fresh.staging.reused) == (2, 51)
    assert fresh.staging.idle == fresh.staging.nbytes == fresh.memory.staging == 256 + (2 << 20)
    fresh.trim()
    assert fresh.staging.nbytes == 0
    small.read()
    assert fresh.staging.nbytes == 256


def test_idle_staging_memory_is_bounded(fresh: Device) -> None:
    big = fresh.buffer(u8, 80 << 20)
    assert big.read().shape == (80 << 20,)
    assert fresh.staging.nbytes == 0


def test_an_array_read_before_stays_as_it_is(device: Device) -> None:
    """A read returns an array of its own, not the staging memory that the next read uses."""
    buffer = device.buffer_from_array(np.full(16, 1, np.float32))
    first = buffer.read()
    buffer.write(np.full(16, 2, np.float32))
    second = buffer.read()
    device.trim()
    assert (first == 1).all()
    assert (second == 2).all()


def test_copies_between_devices_go_through_the_host(device: Device) -> None:
    other = Device.open(device.info)
    buffer = device.buffer_from_array(np.arange(7, dtype=np.float32))
    moved = buffer.to(other)
    assert moved.device is other
    assert (moved.read() == buffer.read()).all()
    assert buffer.to(device) is buffer
    other.close()
