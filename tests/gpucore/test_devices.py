"""Several devices: found once each, fed in parts, gathered in order."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from gpucore import (
    AdapterInfo,
    ArgumentError,
    Buffer,
    Device,
    DeviceNotFoundError,
    Devices,
    DTypeError,
    Kernel,
    LimitError,
    ShapeError,
    adapters,
    f32,
    i32,
)
from tests.conftest import adapters_by_engine, engine_problem, open_engine
from tests.gpucore.kernels import INCREMENT

PAIR = ("wgpu-vulkan", "dawn-vulkan")


@pytest.fixture(scope="module")
def pair() -> Devices:
    """Two adapters: one card or renderer, seen by two engines."""
    for engine in PAIR:
        if message := engine_problem(engine):
            pytest.skip(message)
    return Devices([open_engine(engine) for engine in PAIR])


def test_work_is_split_over_two_devices(pair: Devices) -> None:
    array = np.random.default_rng(1).random((13, 7), np.float32)
    parts = pair.split_buffer(array)
    assert [part.shape for part in parts] == [(7, 7), (6, 7)]
    assert [part.device for part in parts] == list(pair)
    kernels = pair.compile_kernel(INCREMENT)

    def add(kernel: Kernel, x: Buffer[f32]) -> int:
        kernel(x, grid=1)
        return len(x)

    assert pair.parallel_execute(add, kernels, parts) == [7, 6]
    assert (pair.gather(parts) == array + 1).all()
    pair.synchronize()


def test_a_buffer_moves_between_devices(pair: Devices) -> None:
    first, second = pair
    x = first.buffer_from_array(np.arange(10, dtype=np.float32))
    first.compile_kernel(INCREMENT)(x, grid=1)
    moved = x.to(second)
    second.compile_kernel(INCREMENT)(moved, grid=1)
    assert (moved.read() == np.arange(10) + 2).all()
    assert (x.read() == np.arange(10) + 1).all()
    parts = pair.split_buffer(moved)
    assert (pair.gather(parts) == moved.read()).all()
    event = first.new_event().record()
    second.stream.wait(event)
    assert event.is_complete


def test_nothing_is_waited_for_in_parallel_execute() -> None:
    devices = Devices([Device.null(), Device.null(), Device.null()])
    parts = devices.split_buffer(np.zeros((2, 64), np.float32))
    assert [len(part) for part in parts] == [1, 1, 0]
    kernels = devices.compile_kernel(INCREMENT)
    devices.parallel_execute(lambda kernel, x: kernel(x, grid=len(x)), kernels, parts)
    assert [len(device.engine.submitted) for device in devices] == [1, 1, 0]


def test_what_does_not_fit_is_refused() -> None:
    devices = Devices([Device.null(), Device.null()])
    a, b = devices
    with pytest.raises(ArgumentError, match="over 2 devices got a list of 1"):
        devices.parallel_execute(len, [[1]])
    with pytest.raises(ShapeError, match="no axis to cut"):
        devices.split_buffer(np.float32(1))
    with pytest.raises(ShapeError, match="rows differ in shape"):
        devices.gather([a.buffer(f32, (2, 3)), b.buffer(f32, (2, 4))])
    with pytest.raises(DTypeError, match="dtypes differ"):
        devices.gather([a.buffer(f32, 2), b.buffer(i32, 2)])
    with pytest.raises(ShapeError, match="parts must not be empty"):
        devices.gather([])
    with pytest.raises(DeviceNotFoundError, match="give one at least"):
        Devices([])


def test_devices_are_a_sequence() -> None:
    devices = Devices([Device.null(), Device.null(), Device.null()])
    assert len(devices) == 3
    assert devices[0] in devices
    assert list(devices[1:]) == [devices[1], devices[2]]
    assert repr(devices[:1]) == "Devices(Device(null device, null-null))"


def test_named_devices_are_opened_and_closed() -> None:
    engine = next(iter(adapters_by_engine()))
    with Devices.by_name(engine, "null") as devices:
        assert [device.backend for device in devices] == [engine, "null-null"]


def test_all_are_closed_where_one_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    devices = Devices([Device.null(), Device.null()])

    def fail() -> None:
        raise LimitError("does not close")

    monkeypatch.setattr(devices[1], "close", fail)
    closed = []
    monkeypatch.setattr(devices[0], "close", lambda: closed.append(0))
    with pytest.raises(LimitError, match="does not close"):
        devices.close()
    assert closed == [0]


def test_gathering_takes_a_sequence() -> None:
    with pytest.raises(ArgumentError, match="parts must be a list of buffers"):
        Devices([Device.null()]).gather(iter(()))  # type: ignore[arg-type]


def card(engine: str, api: str, kind: str, name: str) -> AdapterInfo:
    info = Device.null().info
    return dataclasses.replace(info, engine=engine, api=api, kind=kind, name=name)


def test_all_takes_each_card_once(monkeypatch: pytest.MonkeyPatch) -> None:
    software = card("wgpu", "vulkan", "cpu", "llvmpipe")
    cards = [
        card("dawn", "vulkan", "discrete", "A"),
        card("wgpu", "vulkan", "discrete", "A"),
        card("wgpu", "vulkan", "discrete", "B"),
        card("wgpu", "gl", "discrete", "A"),
        software,
    ]
    monkeypatch.setattr(adapters, "open_backend", lambda info, checks: FakeBackend(info))
    monkeypatch.setattr(adapters, "all_adapters", lambda: cards)
    assert [(d.backend, d.name) for d in Devices.all()] == [
        ("wgpu-vulkan", "A"),
        ("wgpu-vulkan", "B"),
    ]
    monkeypatch.setattr(adapters, "all_adapters", lambda: [cards[0], cards[1], software])
    assert [d.backend for d in Devices.all()] == ["dawn-vulkan"]
    monkeypatch.setattr(adapters, "all_adapters", lambda: [software])
    assert [d.name for d in Devices.all()] == ["llvmpipe"]
    monkeypatch.setattr(adapters, "all_adapters", list)
    with pytest.raises(DeviceNotFoundError, match="no GPU adapter was found"):
        Devices.all()


class FakeBackend(type(Device.null().engine)):  # type: ignore[misc]
    """A null backend with an adapter of its own."""


def test_arrays_are_not_gathered() -> None:
    with pytest.raises(ArgumentError, match="gather: parts must be buffers, got ndarray"):
        Devices([Device.null()]).gather([np.zeros(3, np.float32)])  # type: ignore[list-item]
