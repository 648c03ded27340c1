"""Several streams of a device and the events between them."""

from __future__ import annotations

import asyncio
import gc
import time
import weakref

import numpy as np
import pytest

from gpucore import (
    ArgumentError,
    CaptureError,
    Device,
    Event,
    FeatureError,
    GpuError,
    Stream,
    f32,
    u32,
)
from tests.gpucore.kernels import AFFINE, HASH, INCREMENT

COUNT = 300


def constant(value: float) -> np.ndarray:
    return np.full(COUNT, value, np.float32)


def test_streams_record_side_by_side() -> None:
    device = Device.null()
    increment = device.compile_kernel(INCREMENT)
    x = device.buffer(f32, COUNT)
    main, side = device.stream, device.new_stream("side")
    increment(x, grid=1)
    with side:
        assert device.stream is side
        increment(x, grid=2)
        with main:
            increment(x, grid=3)
        assert device.stream is side
    assert device.stream is main
    assert device.engine.submitted == []
    side.submit()
    main.submit()
    grids = [[command.grid[0] for command in commands] for commands in device.engine.submitted]
    assert grids == [[2], [1, 3]]
    assert device.streams == (main, side)


def test_host_access_submits_every_stream(device: Device) -> None:
    """A read sees what was recorded anywhere, the stream that began first before the others."""
    affine, x, y = device.compile_kernel(AFFINE), *(device.buffer(f32, COUNT) for _ in range(2))
    x.write(constant(1))
    with device.new_stream():
        affine(x, y, {"count": COUNT, "factor": 1, "shift": 1}, grid=5)
    affine(y, x, {"count": COUNT, "factor": 10, "shift": 0}, grid=5)
    assert (x.read() == 20).all()


def test_an_event_orders_streams(device: Device) -> None:
    """Commands run in the order of the events, not in that of recording."""
    affine = device.compile_kernel(AFFINE)
    x, y = device.buffer_from_array(constant(1)), device.buffer_from_array(constant(-1))
    first, second = device.new_stream(), device.new_stream()
    made = device.new_event()
    with first:
        affine(x, y, {"count": COUNT, "factor": 2, "shift": 1}, grid=5)
    made.record(first)
    second.wait(made)
    with second:
        affine(y, x, {"count": COUNT, "factor": 5, "shift": 0}, grid=5)
    second.submit()
    assert (x.read() == 15).all()


def test_memory_released_in_one_stream_is_not_given_to_another(device: Device) -> None:
    """The launch that uses it is only recorded, and runs after the other stream's."""
    affine, side = device.compile_kernel(AFFINE), device.new_stream()
    x, y = device.buffer_from_array(constant(5)), device.buffer(f32, COUNT)
    zero = device.buffer_from_array(constant(0))
    device.trim()
    with side:
        affine(x, y, {"count": COUNT, "factor": 1, "shift": 0}, grid=5)
    x.release()
    z = device.buffer(f32, COUNT)
    affine(zero, z, {"count": COUNT, "factor": 0, "shift": 6}, grid=5)
    device.stream.submit()
    side.submit()
    assert (y.read() == 5).all()
    assert (z.read() == 6).all()


def test_a_dropped_stream_still_runs(device: Device) -> None:
    x = device.buffer_from_array(constant(0))
    increment = device.compile_kernel(INCREMENT)
    with device.new_stream() as stream:
        increment(x, grid=5)
    gone = weakref.ref(stream)
    del stream
    assert (x.read() == 1).all()
    gc.collect()
    assert gone() is None


def test_memory_is_free_at_once_where_one_stream_is_left() -> None:
    """With one stream, the order of its commands is enough; pins would cost memory."""
    device = Device.null()
    increment = device.compile_kernel(INCREMENT)

    def released_while_recorded() -> bool:
        device.trim()
        x = device.buffer(f32, COUNT)
        handle = x.storage.handle
        increment(x, grid=1)
        x.release()
        return device.buffer(f32, COUNT).storage.handle is handle

    assert released_while_recorded()
    side = device.new_stream()
    assert not released_while_recorded()
    del side
    assert released_while_recorded()


def test_a_graph_is_captured_on_a_stream_of_its_own(device: Device) -> None:
    x = device.buffer_from_array(constant(0))
    increment = device.compile_kernel(INCREMENT)
    side = device.new_stream()
    with side, device.capture() as graph:
        increment(x, grid=5)
        with pytest.raises(CaptureError, match="captured on one stream"):
            device.new_stream().__enter__()
        with pytest.raises(CaptureError, match="inside device"):
            device.new_event().record()
    assert not x.read().any()
    graph.replay()
    assert (x.read() == 1).all()


def test_profiles_and_regions_span_streams() -> None:
    device = Device.null()
    increment = device.compile_kernel(INCREMENT)
    x, side = device.buffer(f32, COUNT), device.new_stream()
    with device.profile() as profile, device.region("outer"):
        increment(x, grid=1)
        with side, device.region("inner"):
            increment(x, grid=1)
        with device.new_stream():
            increment(x, grid=1)
    assert [record.region for record in profile.records] == ["outer", "outer/inner", "outer"]
    assert side.send == device.engine.submit


def test_an_event_is_reached(device: Device) -> None:
    hashed, x = device.compile_kernel(HASH), device.buffer(u32, 4096)
    event = device.new_event()
    assert not event.is_complete
    assert "not recorded" in repr(event)
    hashed(x, {"rounds": 20000}, grid=64)
    assert event.record() is event
    event.wait()
    assert event.is_complete
    assert repr(event) == f"Event(complete, on {device.name})"


def test_a_wait_lasts_as_long_as_the_work(device: Device) -> None:
    """A read after it has nothing left to wait for (some submissions block, too)."""
    hashed, x = device.compile_kernel(HASH), device.buffer(u32, 4096)
    x.read()
    with device.capture() as graph:
        hashed(x, {"rounds": 40_000 if device.is_cpu else 5_000_000}, grid=64)
    events = []
    start = time.perf_counter()
    for _ in range(3):
        graph.replay()
        events.append(device.new_event().record())
    for event in events:
        event.wait()
    end = time.perf_counter()
    x.read()
    assert time.perf_counter() - end < (end - start) / 6


def test_events_have_times(device: Device) -> None:
    if "timestamps" not in device.features:
        pytest.skip("no timestamps")
    hashed, x = device.compile_kernel(HASH), device.buffer(u32, 4096)
    start, middle, end = (device.new_event(timing=True) for _ in range(3))
    hashed(x, {"rounds": 1}, grid=64)
    start.record()
    hashed(x, {"rounds": 30000}, grid=64)
    middle.record()
    hashed(x, {"rounds": 10}, grid=1)
    end.record()
    long, short, both = (
        middle.seconds_since(start),
        end.seconds_since(middle),
        end.seconds_since(start),
    )
    assert 0 < short < long < both < 60
    assert "timed" in repr(end)


def test_events_without_times_refuse(device: Device) -> None:
    plain, other = device.new_event().record(), device.new_event().record()
    with pytest.raises(FeatureError, match=r"no time.*timing=True"):
        plain.seconds_since(other)
    with pytest.raises(ArgumentError, match="clocks cannot be compared"):
        plain.seconds_since(Event(Device.null()))


def test_a_device_without_timestamps_refuses() -> None:
    device = Device.null()
    features = device.info.features - {"timestamps"}
    object.__setattr__(device.info, "features", features)
    with pytest.raises(FeatureError, match=r"null device.*no timestamps.*Device.list"):
        device.new_event(timing=True)


def test_times_that_nobody_wrote_are_refused() -> None:
    device = Device.null()
    start, end = (device.new_event(timing=True).record() for _ in range(2))
    with pytest.raises(GpuError, match="no valid timestamps"):
        end.seconds_since(start)


def test_an_event_that_was_never_recorded(device: Device) -> None:
    event = device.new_event()
    for use in (event.wait, lambda: device.stream.wait(event)):
        with pytest.raises(ArgumentError, match=r"call event\.record\(\) first"):
            use()


def test_an_event_of_another_device_is_waited_for(device: Device) -> None:
    """Only the host can order two devices."""
    other = Device.null()
    hashed, x = device.compile_kernel(HASH), device.buffer(u32, 4096)
    hashed(x, {"rounds": 20000}, grid=64)
    event = device.new_event().record()
    other.stream.wait(event)
    assert event.is_complete


def test_a_stream_tells_what_it_holds() -> None:
    device = Device.null()
    x, increment = device.buffer(f32, 4), device.compile_kernel(INCREMENT)
    stream: Stream = device.new_stream()
    with stream:
        increment(x, grid=1)
    assert repr(stream) == "Stream('stream 1', 1 commands not submitted)"
    with device.capture():
        assert repr(device.stream).startswith("Stream('main', capturing a graph")


def test_an_event_is_for_streams_of_its_device(device: Device) -> None:
    other = Device.null()
    with pytest.raises(ArgumentError, match=r"no stream of this device"):
        device.new_event().record(other.stream)
    side = other.new_stream()
    assert other.new_event().record(side).is_complete


def test_an_event_recorded_twice_means_the_later_point(device: Device) -> None:
    """The event's earlier fence is freed."""
    if "timestamps" not in device.features:
        pytest.skip("no timestamps")
    hashed, x = device.compile_kernel(HASH), device.buffer(u32, 4096)
    device.trim()
    start, end = (device.new_event(timing=True) for _ in range(2))
    for rounds in (20000, 1):
        hashed(x, {"rounds": rounds}, grid=64)
        start.record()
        hashed(x, {"rounds": rounds}, grid=64)
        end.record(device.new_stream())
        end.record()
    short = end.seconds_since(start)
    assert 0 < short < 60
    del start, end
    assert device.staging.nbytes == device.staging.idle


def test_tasks_that_await_inside_are_told(device: Device) -> None:
    increment, x = device.compile_kernel(INCREMENT), device.buffer_from_array(constant(0))

    async def record() -> None:
        with device.new_stream():
            await asyncio.sleep(0)
            increment(x, grid=5)

    async def both() -> list[BaseException | None]:
        return await asyncio.gather(record(), record(), return_exceptions=True)

    for error in asyncio.run(both()):
        assert isinstance(error, GpuError)
        assert "do not await inside" in str(error)
    assert device.stream is device.streams[0]
    assert (x.read() == 2).all()


def test_an_error_inside_goes_back_to_the_stream_before(device: Device) -> None:
    increment, x = device.compile_kernel(INCREMENT), device.buffer_from_array(constant(0))
    side = device.new_stream()

    def fail() -> None:
        increment(x, grid=5)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), side:
        fail()
    assert device.stream is device.streams[0]
    with pytest.raises(ZeroDivisionError), side, device.capture():
        fail()
    assert device.stream is device.streams[0]
    with side:
        increment(x, grid=5)
    assert (x.read() == 2).all()
