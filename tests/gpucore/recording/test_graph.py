"""Graphs are captured once and replayed with new inputs, and nobody else uses their memory."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import numpy as np
import pytest

from gpucore import Buffer, CaptureError, Device, Graph, Kernel, f32
from gpucore.backends import Launch
from tests.gpucore.kernels import AFFINE, INCREMENT

COUNT = 1000
PARAMETERS = {"count": COUNT, "factor": 2, "shift": 1}


@pytest.fixture
def affine(device: Device) -> Kernel:
    device.trim()
    return device.compile_kernel(AFFINE)


@pytest.fixture
def own_device(device: Device) -> Iterator[Device]:
    """Open another device on the same adapter, so that no other graphs have memory there."""
    opened = Device.open(device.info)
    yield opened
    opened.close()


def constant(value: float) -> np.ndarray:
    return np.full(COUNT, value, np.float32)


def chain(device: Device, affine: Kernel, x: Buffer[f32], length: int) -> Buffer[f32]:
    """Apply y = 2 x + 1 ``length`` times, each into a buffer of its own."""
    for _ in range(length):
        y = device.buffer(f32, COUNT)
        affine(x, y, PARAMETERS, grid=16)
        x = y
    return x


def test_capture_records_and_replay_runs(device: Device, affine: Kernel) -> None:
    x = device.buffer_from_array(constant(1))
    y = device.buffer_from_array(constant(-1))
    with device.capture() as graph:
        affine(x, y, PARAMETERS, grid=16)
    assert len(graph) == 1
    assert (y.read() == -1).all()
    for value in (1, 5, -3):
        x.write(constant(value))
        graph.replay()
        assert (y.read() == 2 * value + 1).all()


def test_work_recorded_before_runs_before(device: Device, affine: Kernel) -> None:
    x = device.buffer_from_array(constant(1))
    y = device.buffer(f32, COUNT)
    affine(x, y, PARAMETERS, grid=16)
    with device.capture() as graph:
        affine(y, x, PARAMETERS, grid=16)
    affine(x, y, PARAMETERS, grid=16)
    assert (y.read() == 3).all()
    graph.replay()
    assert (x.read() == 7).all()


def test_copies_and_many_launches_are_captured(device: Device) -> None:
    """More commands than a stream records before it submits stay one graph."""
    increment = device.compile_kernel(INCREMENT)
    x, kept = device.buffer_from_array(constant(0)), device.buffer(f32, COUNT)
    with device.capture() as graph:
        for _ in range(600):
            increment(x, grid=16)
        kept.copy_from(x)
        increment(x, grid=16)
    assert len(graph) == 602
    graph.replay()
    graph.replay()
    assert (kept.read() == 601 + 600).all()
    assert (x.read() == 1202).all()


def test_an_output_holds_new_values_after_each_replay(device: Device, affine: Kernel) -> None:
    x = device.buffer_from_array(constant(0))
    with device.capture() as graph:
        y = chain(device, affine, x, 6)
    for value in (0.0, 1.0):
        x.write(constant(value))
        graph.replay()
        assert (y.read() == 64 * value + 63).all()


def test_a_replay_makes_no_objects_of_the_engines_python_interface(
    device: Device, affine: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """wgpu-py's and wgpudawn's own encoders and passes cost more than the launches."""
    if device.info.engine in ("cuda", "hip"):
        pytest.skip("has no Python interface of an engine between")
    x = device.buffer_from_array(constant(0))
    with device.capture() as graph:
        y = chain(device, affine, x, 6)
    raw = device.engine._device  # type: ignore[attr-defined]
    encoder = raw.create_command_encoder()
    compute = encoder.begin_compute_pass()
    classes = [type(each) for each in (raw, raw.queue, encoder, compute)]
    compute.end()

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("called")

    for name in ("create_command_encoder", "submit", "begin_compute_pass", "finish", "end"):
        for each in classes:
            if hasattr(each, name):
                monkeypatch.setattr(each, name, refuse)
    for name in ("set_pipeline", "set_bind_group", "dispatch_workgroups"):
        monkeypatch.setattr(classes[-1], name, refuse)
    graph.replay()
    assert (y.read() == 63).all()


def test_a_replay_that_was_encoded_ahead_runs_as_any_other(device: Device) -> None:
    """On Dawn, recordings that were replayed again are encoded while the host waits."""
    increment = device.compile_kernel(INCREMENT)
    x, kept = device.buffer_from_array(constant(0)), device.buffer(f32, COUNT)
    with device.capture() as graph:
        increment(x, grid=16)
        kept.copy_from(x)
        increment(x, grid=16)
    assert graph._arena is not None
    (part,), _ = graph._bind(graph._arena)
    graph.replay()
    device.engine.encode_ahead()
    assert part.ahead is None
    graph.replay()
    device.engine.encode_ahead()
    assert (part.ahead is not None) == (device.info.engine == "dawn")
    x.write(constant(10))
    graph.replay()
    assert part.ahead is None
    graph.replay()
    assert (x.read() == 14).all()
    assert (kept.read() == 13).all()
    graph.replay()
    graph.release()
    del part
    device.engine.encode_ahead()
    assert (x.read() == 16).all()


def test_buffers_of_a_graph_share_memory(own_device: Device) -> None:
    """A chain of 40 needs the memory of two buffers, and its result its own."""
    affine = own_device.compile_kernel(AFFINE)
    x = own_device.buffer_from_array(constant(0))
    before = own_device.memory.reserved
    with own_device.capture() as graph:
        y = chain(own_device, affine, x, 40)
    assert own_device.memory.reserved - before == 3 * 4096
    graph.replay()
    assert np.isfinite(y.read()).all()


def test_memory_of_a_graph_is_given_to_nobody_else(device: Device, affine: Kernel) -> None:
    """Buffers made between replays neither read nor change the graph's memory."""
    x = device.buffer_from_array(constant(1))
    with device.capture() as graph:
        y = chain(device, affine, x, 5)
    others = [device.buffer_from_array(constant(-i)) for i in range(10)]
    graph.replay()
    assert (y.read() == 63).all()
    for i, other in enumerate(others):
        assert (other.read() == -i).all()


def test_inputs_are_pinned(device: Device, affine: Kernel) -> None:
    """The graph keeps what it reads and writes, even where nobody else does."""
    x, weights = device.buffer_from_array(constant(1)), device.buffer_from_array(constant(7))
    with device.capture() as graph:
        affine(weights, x, PARAMETERS, grid=16)
    del weights
    gc.collect()
    device.buffer_from_array(constant(99))
    graph.replay()
    assert (x.read() == 15).all()


def test_release_gives_the_memory_back(own_device: Device) -> None:
    affine = own_device.compile_kernel(AFFINE)
    x = own_device.buffer_from_array(constant(1))
    live, reserved = own_device.memory.live, own_device.memory.reserved
    with own_device.capture() as graph:
        y = chain(own_device, affine, x, 5)
    graph.replay()
    graph.release()
    assert (y.read() == 63).all()
    with pytest.raises(CaptureError, match="released"):
        graph.replay()
    y.release()
    assert own_device.memory.live == live
    assert own_device.trim() >= 2 * 4096
    assert own_device.memory.reserved <= reserved


def test_a_graph_that_is_dropped_is_released(own_device: Device) -> None:
    affine = own_device.compile_kernel(AFFINE)
    x = own_device.buffer_from_array(constant(1))
    own_device.trim()
    reserved = own_device.memory.reserved
    with own_device.capture() as graph:
        chain(own_device, affine, x, 3)
    assert own_device.memory.reserved == reserved + 2 * 4096
    del graph
    assert own_device.trim() == 2 * 4096


def test_a_graph_that_is_dropped_inside_its_capture_ends_it(own_device: Device) -> None:
    graph = own_device.capture()
    graph.__enter__()
    del graph
    gc.collect()
    x = own_device.buffer_from_array(np.arange(3, dtype=np.float32))
    assert x.read().tolist() == [0.0, 1.0, 2.0]


def test_host_access_is_refused_inside(device: Device, affine: Kernel) -> None:
    x = device.buffer_from_array(constant(1))
    y = device.buffer(f32, COUNT)

    def write() -> None:
        x.write(constant(2))

    for access in (x.read, write, device.synchronize, device.trim):
        with device.capture() as graph:
            affine(x, y, PARAMETERS, grid=16)
            with pytest.raises(CaptureError, match=r"inside device\.capture\(\).*move host"):
                access()
        graph.replay()
        assert (y.read() == 3).all()


def test_a_capture_inside_a_capture_is_refused(device: Device, affine: Kernel) -> None:
    x, y = device.buffer_from_array(constant(1)), device.buffer(f32, COUNT)

    def nest() -> None:
        with device.capture():
            pass

    with device.capture() as graph:
        with pytest.raises(CaptureError, match="already being captured"):
            nest()
        affine(x, y, PARAMETERS, grid=16)
    graph.replay()
    assert (y.read() == 3).all()


def test_an_error_inside_ends_the_capture(device: Device, affine: Kernel) -> None:
    x, y = device.buffer_from_array(constant(1)), device.buffer(f32, COUNT)

    def fail() -> Graph:
        with device.capture() as graph:
            affine(x, y, PARAMETERS, grid=16)
            raise ValueError("stop")
        return graph

    with pytest.raises(ValueError, match="stop"):
        fail()
    affine(x, y, PARAMETERS, grid=16)
    assert (y.read() == 3).all()


def test_replay_submits_the_same_commands() -> None:
    """The backend gets the same list object at each replay: no Python work per launch."""
    device = Device.null()
    kernel = device.compile_kernel(INCREMENT)
    x = device.buffer(f32, COUNT)
    with device.capture() as graph:
        kernel(x, grid=1)
        kernel(x, grid=2)
    assert device.engine.submitted == []
    graph.replay()
    graph.replay()
    first, second = device.engine.submitted
    assert [command.grid for command in first] == [(1, 1, 1), (2, 1, 1)]
    assert all(a is b for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize(("length", "sizes"), [(287, [287]), (288, [48, 240])])
def test_a_long_graph_begins_with_a_short_submission(length: int, sizes: list[int]) -> None:
    """The graph is one submission where the device has as many commands to do before."""
    device = Device.null()
    kernel = device.compile_kernel(INCREMENT)
    x, y = device.buffer(f32, COUNT), device.buffer(f32, COUNT)
    with device.capture() as graph:
        y.copy_from(x)
        for index in range(1, length):
            kernel(x, grid=index)
    graph.replay()
    device.engine.under_way = length - 1
    graph.replay()
    device.engine.under_way = length
    graph.replay()
    assert [len(commands) for commands in device.engine.submitted] == [*sizes, *sizes, length]
    grids = [c.grid[0] for part in device.engine.submitted for c in part if isinstance(c, Launch)]
    assert grids == [*range(1, length)] * 3
    assert len(graph) == length


def test_what_was_recorded_before_goes_with_a_replay() -> None:
    device = Device.null()
    kernel = device.compile_kernel(INCREMENT)
    x = device.buffer(f32, COUNT)
    with device.capture() as graph:
        kernel(x, grid=1)
        kernel(x, grid=2)
    kernel(x, grid=3)
    graph.replay()
    (commands,) = device.engine.submitted
    assert [command.grid[0] for command in commands] == [3, 1, 2]


def test_commands_are_under_way_until_somebody_has_waited(device: Device) -> None:
    increment = device.compile_kernel(INCREMENT)
    x = device.buffer_from_array(constant(0))
    device.synchronize()
    assert device.engine.under_way == 0
    with device.capture() as graph:
        for _ in range(3):
            increment(x, grid=1)
    graph.replay()
    event = device.new_event().record()
    graph.replay()
    assert device.engine.under_way == 6
    event.wait()
    assert device.engine.under_way == 3
    x.read()
    assert device.engine.under_way == 0


def test_a_capture_anew_lets_the_former_one_go() -> None:
    device = Device.null()
    affine = device.compile_kernel(AFFINE)
    x = device.buffer(f32, COUNT)
    device.trim()
    reserved = device.memory.reserved
    graph = device.capture()
    for _ in range(3):
        with graph:
            y = device.buffer(f32, 100 * COUNT)
            affine(x, y, {"count": 1, "factor": 1, "shift": 0}, grid=1)
        del y
    assert len(graph) == 1
    graph.release()
    device.trim()
    assert device.memory.reserved == reserved


def test_a_replay_inside_a_capture_is_refused(device: Device) -> None:
    with device.capture() as graph:
        pass
    with pytest.raises(CaptureError, match="replay or synchronize inside"), device.capture():
        graph.replay()
    graph.replay()
