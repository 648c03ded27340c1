"""Copies on a device, by the command and by the kernel: the same bytes, in the same order."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import pytest

from gpucore import Device, DeviceLostError, DType, ReleasedBufferError, c64, copying, f16, f32, u8
from gpucore.backends import Copy, Launch
from gpucore.backends.null import NullBackend, adapters
from gpucore.testing import poisoned_buffer, random_array
from tests.gpucore.kernels import INCREMENT

GROUP = 16 << 10  # bytes of a workgroup


@pytest.fixture(params=[True, False], ids=["kernel", "command"])
def by_kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Copy with the kernel or with the command, whatever the size and the device."""
    chosen: bool = request.param
    monkeypatch.setattr(copying, "prefers_kernel", lambda device, nbytes: chosen)
    return chosen


@pytest.mark.parametrize(
    ("dtype", "size"),
    [
        *((u8, n) for n in (1, 3, 4, 5, 15, 16, 17, 4099, GROUP - 1, GROUP + 1, 3 * GROUP + 13)),
        *((f16, n) for n in (1, 7, 8, 9, GROUP // 2, GROUP // 2 + 1)),
        *((f32, n) for n in (1, 3, 1023, 4093, 4096, 4099, 100_003)),
        *((c64, n) for n in (1, 1021, 2 * GROUP // 8 + 1)),
    ],
    ids=lambda x: x if isinstance(x, int) else x.name,
)
@pytest.mark.usefixtures("by_kernel")
def test_every_byte_is_copied_and_no_other_buffer_s(
    device: Device, dtype: type[DType], size: int
) -> None:
    array = random_array(size, dtype.numpy, seed=size)
    source = device.buffer_from_array(array)
    before, target, behind = (poisoned_buffer(device, dtype, size) for _ in range(3))
    poison = before.read().tobytes()
    target.copy_from(source)
    assert target.read().tobytes() == array.tobytes()
    assert source.read().tobytes() == array.tobytes()
    assert before.read().tobytes() == behind.read().tobytes() == poison


def test_workgroups_go_on_in_a_second_dimension(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "prefers_kernel", lambda device, nbytes: True)
    monkeypatch.setattr(copying, "copy_grid", functools.partial(copying.copy_grid, limit=3))
    array = random_array(7 * GROUP + 21, np.uint8)
    target = poisoned_buffer(device, u8, array.shape)
    target.copy_from(device.buffer_from_array(array))
    assert (target.read() == array).all()


def test_shapes_may_differ_and_views_are_their_memory(device: Device, by_kernel: bool) -> None:
    array = random_array((5, 7, 3), np.float16)
    source = device.buffer_from_array(array).view((15, 7))
    target = poisoned_buffer(device, f16, 105)
    with device.capture() as graph:
        target.view((21, 5)).copy_from(source)
        target.copy_from(target.view((3, 35)))
    assert (len(graph), len(graph.works)) == (1, by_kernel)
    graph.replay()
    assert (target.read() == array.reshape(105)).all()


@pytest.mark.usefixtures("by_kernel")
def test_copies_keep_their_place_between_launches(device: Device) -> None:
    increment = device.compile_kernel(INCREMENT)
    x, first, second = (device.buffer_from_array(np.zeros(5000, np.float32)) for _ in range(3))
    with device.capture() as graph:
        increment(x, grid=79)
        first.copy_from(x)
        increment(x, grid=79)
        second.copy_from(first)
        increment(second, grid=79)
        x.copy_from(second)
    for count in (1, 2, 3):
        graph.replay()
        assert (first.read() == 2 * count - 1).all()
        assert (second.read() == 2 * count).all()
        assert (x.read() == 2 * count).all()


@pytest.mark.usefixtures("by_kernel")
def test_streams_order_copies_as_launches(device: Device) -> None:
    increment = device.compile_kernel(INCREMENT)
    x, kept = device.buffer_from_array(np.zeros(5000, np.float32)), device.buffer(f32, 5000)
    side = device.new_stream("side")
    with side:
        increment(x, grid=79)
        done = device.new_event().record()
    device.stream.wait(done)
    kept.copy_from(x)
    x.release()
    others = [poisoned_buffer(device, f32, 5000) for _ in range(4)]
    assert (kept.read() == 1).all()
    assert len(others) == 4


def test_a_profile_times_the_kernel(device: Device, by_kernel: bool) -> None:
    if "timestamps" not in device.features:
        pytest.skip("no timestamps")
    x, y = (device.buffer_from_array(np.ones(4096, np.float32)) for _ in range(2))
    with device.profile() as profile, device.region("keys"):
        y.copy_from(x)
    found = [(r.label, r.region, r.grid, r.work.bytes) for r in profile.records]
    assert found == ([("copy", "keys", (1, 1, 1), 2.0 * GROUP)] if by_kernel else [])


@pytest.mark.usefixtures("by_kernel")
def test_released_and_lost_buffers_are_refused(device: Device) -> None:
    own = Device.open(device.info)
    x, y, gone = (own.buffer(f32, 100) for _ in range(3))
    gone.release()
    for target, source in ((x, gone), (gone, x)):
        with pytest.raises(ReleasedBufferError):
            target.copy_from(source)
    own.close()

    def copy() -> None:
        y.copy_from(x)
        own.submit()

    with pytest.raises(DeviceLostError, match="the device was closed"):
        copy()


def test_large_copies_on_cards_are_the_kernel_s() -> None:
    info = adapters()[0]
    for kind, large in (("discrete", Launch), ("integrated", Launch), ("cpu", Copy)):
        backend = NullBackend(replace(info, kind=kind))
        device = Device(backend)
        for size in (0, (64 << 10) - 16, 64 << 10):
            source, target = device.buffer(u8, size), device.buffer(u8, size)
            target.copy_from(source)
            target.copy_from(target)
        device.submit()
        assert [type(command) for command in backend.submitted[0]] == [Copy, large]
