"""A device without references is freed, together with everything that was kept for it."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from gpucore import AdapterInfo, Device, PerDevice, f32
from gpustd import conv2d, gemm, signal
from gpustd.launch.tables import table_copy
from tests.gpucore.kernels import INCREMENT
from tests.gpucore.losing import lose

MAPS = Path("/proc/self/maps")


@pytest.fixture
def quick_collection() -> Iterator[None]:
    """Freeze older objects, so that `gc.collect` examines only those of the test."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def use(device: Device) -> None:
    """Fill every cache: kernels, tables, stand-ins, tiles, bind groups, graphs and streams."""
    x = device.buffer_from_array(np.ones((1, 8, 8, 8), np.float32))
    w = device.buffer_from_array(np.ones((3, 3, 8, 8), np.float32))
    m = device.buffer_from_array(np.eye(64, dtype=np.float32))
    with device.region("warm"):
        results = [conv2d(x, w), gemm(m, m), signal.fft(m)]
    with device.capture() as graph:
        captured = gemm(m, m)
    graph.replay()
    with device.new_stream() as _:
        results.append(table_copy(device, f32, "dropped", lambda: np.ones(4)))
    device.new_event().record().wait()
    if "timestamps" in device.features:
        with device.profile() as profile:
            graph.replay()
        assert len(profile.records) == len(graph)
    for result in results:
        assert np.isfinite(result.read()).all()
    np.testing.assert_array_equal(captured.read(), np.eye(64, dtype=np.float32))


def use_and_drop(info: AdapterInfo) -> weakref.ref[Device]:
    """Use a device, drop it with work under way, and return a weak reference to it."""
    device = Device.open(info)
    use(device)
    x = device.buffer_from_array(np.zeros(64, np.float32))
    increment = device.compile_kernel(INCREMENT)
    increment(x, grid=1)
    device.new_event().record()
    x._start_read(0, x.nbytes)
    increment(x, grid=1)
    return weakref.ref(device)


@pytest.mark.usefixtures("quick_collection")
def test_a_dropped_device_goes(device: Device) -> None:
    gone = use_and_drop(device.info)
    gc.collect()
    assert gone() is None


@pytest.mark.usefixtures("quick_collection")
def test_a_closed_device_goes(device: Device) -> None:
    def closed() -> weakref.ref[Device]:
        own = Device.open(device.info)
        use(own)
        own.close()
        assert not own.kept_values
        return weakref.ref(own)

    gone = closed()
    gc.collect()
    assert gone() is None


@pytest.mark.usefixtures("quick_collection")
@pytest.mark.skipif(not MAPS.exists(), reason="the system does not show a process's memory maps")
def test_dropped_devices_leave_no_memory_maps(device: Device) -> None:
    """Mesa's drivers take 5 to 500 memory maps per device; Linux allows a process 65 530."""

    def maps_after(devices: int) -> int:
        for _ in range(devices):
            own = Device.open(device.info)
            gemm(m := own.buffer_from_array(np.eye(64, dtype=np.float32)), m).read()
            del own, m
            gc.collect()
        return MAPS.read_bytes().count(b"\n")

    before = maps_after(2)  # the first ones load what the process keeps
    assert maps_after(12) - before < 12 * 2


def test_a_reopened_device_begins_anew(device: Device) -> None:
    lost = Device.open(device.info)
    use(lost)
    lose(lost)
    again = lost.reopen()
    assert not again.kept_values
    use(again)
    again.close()
    lost.close()


def test_adapters_are_listed_while_kernels_compile(device: Device) -> None:
    own = Device.open(device.info)
    sources = [INCREMENT.replace("1.0", f"{i}.0") for i in range(2, 34)]
    kernels = [own.compile_kernel(source, wait=False) for source in sources]
    assert Device.list()
    for kernel in kernels:
        kernel.wait()
    own.close()


def test_per_device_makes_a_value_once_a_device() -> None:
    lengths: PerDevice[list[str]] = PerDevice(lambda device: [device.name])
    names: PerDevice[str] = PerDevice(lambda device: device.name)
    one, other = Device.null(), Device.null()
    assert lengths.of(one) is lengths.of(one)
    assert lengths.of(one) is not lengths.of(other)
    names.put(one, "kept")
    assert (names.of(one), names.of(other)) == ("kept", "null device")
    names.forget(one)
    names.forget(one)
    assert names.of(one) == "null device"


def test_per_device_keeps_nothing_that_could_not_be_made() -> None:
    def refuse(device: Device) -> str:
        raise ValueError(device.name)

    refused: PerDevice[str] = PerDevice(refuse)
    device = Device.null()
    with pytest.raises(ValueError, match="null device"):
        refused.of(device)
    assert not device.kept_values
