"""Memory that graphs share: assigned by use, one set for all graphs, never used by anybody else."""

from __future__ import annotations

import gc
import itertools
import weakref
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpucore import Buffer, Device, Graph, Kernel, OutOfMemoryError, ReleasedBufferError, f32
from gpucore.memory.sharing import PlannedHandle, Slot, assign_slots
from tests.gpucore.kernels import AFFINE, INCREMENT

COUNT = 1000
BYTES = 4096

Lives = list[tuple[int, int, int]]


def used(nbytes: int, first: int, last: int) -> PlannedHandle:
    planned = PlannedHandle(nbytes)
    planned.use(first)
    planned.use(last)
    return planned


@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(0, 30), st.integers(0, 30)), max_size=40),
)
def test_what_is_in_use_together_lies_apart(lives: Lives) -> None:
    each = [used(nbytes, min(a, b), max(a, b)) for nbytes, a, b in lives]
    slots = assign_slots(each)
    assert [slot.nbytes for slot in slots] == sorted((s.nbytes for s in slots), reverse=True)
    for index, one in enumerate(each):
        assert isinstance(one.slot, Slot)
        assert one.slot.nbytes >= one.nbytes
        for other in each[:index]:
            (a, b), (c, d) = (p.span or (0, 0) for p in (one, other))
            assert one.slot is not other.slot or a > d or c > b


def test_a_chain_takes_two() -> None:
    assert len(assign_slots([used(10, i, i + 1) for i in range(39)])) == 2


def test_what_no_command_uses_gets_no_memory() -> None:
    unused = PlannedHandle(5)
    assert assign_slots([unused]) == []
    assert unused.slot is None


@pytest.fixture
def own_device(device: Device) -> Iterator[Device]:
    """Open another device on the same adapter, so that no other graphs count."""
    opened = Device.open(device.info)
    yield opened
    opened.close()


@pytest.fixture
def affine(own_device: Device) -> Kernel:
    return own_device.compile_kernel(AFFINE)


def chain(affine: Kernel, x: Buffer[f32], length: int) -> tuple[Graph, Buffer[f32]]:
    """Capture y = 2 x + 1 applied ``length`` times, each into a buffer of its own."""
    device, parameters = x.device, {"count": x.size, "factor": 2, "shift": 1}
    with device.capture() as graph:
        for _ in range(length):
            y = device.buffer(f32, x.size)
            affine(x, y, parameters, grid=-(-x.size // 64))
            x = y
    return graph, x


def constant(device: Device, value: float, count: int = COUNT) -> Buffer[f32]:
    return device.buffer_from_array(np.full(count, value, np.float32))


def test_graphs_share_what_passes_and_keep_what_lasts(own_device: Device, affine: Kernel) -> None:
    inputs = [constant(own_device, value) for value in (0, 1, 2)]
    before = own_device.memory.reserved
    graphs = [chain(affine, x, 5) for x in inputs]
    assert own_device.memory.reserved - before == (3 + 2) * BYTES, (
        "three results, memory of one for the rest"
    )
    for graph, _ in graphs:
        graph.replay()
    for value, (_, y) in enumerate(graphs):
        assert (y.read() == 32 * value + 31).all()
    inputs[1].write(np.full(COUNT, 5, np.float32))
    graphs[1][0].replay()
    assert [y.read()[-1] for _, y in graphs] == [31, 191, 95]


def test_a_larger_graph_takes_the_place_of_smaller_memory(
    own_device: Device, affine: Kernel
) -> None:
    """Each graph finds its memory again, and none is kept that is too small for all."""
    small, large = constant(own_device, 1), constant(own_device, 1, 4 * COUNT)
    before = own_device.memory.reserved
    first, y = chain(affine, small, 6)
    assert own_device.memory.reserved - before == 3 * BYTES
    first.replay()
    second, z = chain(affine, large, 6)
    assert own_device.memory.reserved - before == BYTES + 3 * storage(4 * COUNT)
    for _ in range(2):
        for value in (1, 2):
            small.write(np.full(COUNT, value, np.float32))
            large.write(np.full(4 * COUNT, value, np.float32))
            first.replay()
            second.replay()
            assert (y.read() == 64 * value + 63).all()
            assert (z.read() == 64 * value + 63).all()


def storage(count: int) -> int:
    return -(-4 * count // 256) * 256


def test_what_a_graph_leaves_is_lent_and_not_written_over(
    own_device: Device, affine: Kernel
) -> None:
    """The larger graph ends: its memory is idle, and the smaller one no longer uses it."""
    small, large = constant(own_device, 1), constant(own_device, 1, 4 * COUNT)
    first, y = chain(affine, small, 6)
    second, z = chain(affine, large, 6)
    second.replay()
    second.release()
    z.release()
    lent = [constant(own_device, -i, 4 * COUNT) for i in range(3)]
    idle = [constant(own_device, -i) for i in range(3)]
    for _ in range(2):
        first.replay()
        assert (y.read() == 127).all()
    for i in range(3):
        assert (lent[i].read() == -i).all()
        assert (idle[i].read() == -i).all()


def test_all_comes_back_with_the_last_graph(own_device: Device, affine: Kernel) -> None:
    x = constant(own_device, 1)
    reserved = own_device.memory.reserved
    graphs = [chain(affine, x, length)[0] for length in (2, 5, 9)]
    gc.collect()
    for graph in graphs:
        graph.replay()
    del graph
    while graphs:
        assert own_device.memory.reserved > reserved
        graphs.pop()
    own_device.trim()
    assert own_device.memory.reserved == reserved


def test_what_is_made_inside_and_written_later_keeps_its_numbers(
    own_device: Device, affine: Kernel
) -> None:
    x = constant(own_device, 1)
    with own_device.capture() as graph:
        kept = own_device.buffer(f32, COUNT)
        y = x
        for _ in range(5):
            z = own_device.buffer(f32, COUNT)
            affine(y, z, {"count": COUNT, "factor": 2, "shift": 1}, grid=16)
            y = z
    kept.write(np.full(COUNT, 7, np.float32))
    graph.replay()
    assert (kept.read() == 7).all()
    assert (y.read() == 63).all()


def test_what_is_made_inside_and_read_later_holds_what_the_host_wrote(
    own_device: Device, affine: Kernel
) -> None:
    """Its first command runs after others, which must not have used its memory."""
    x, same = constant(own_device, 1), {"count": COUNT, "factor": 2, "shift": 1}
    with own_device.capture() as graph:
        kept, y = own_device.buffer(f32, COUNT), x
        for _ in range(4):
            z = own_device.buffer(f32, COUNT)
            affine(y, z, same, grid=16)
            y = z
        del z
        out = own_device.buffer(f32, COUNT)
        affine(kept, out, same, grid=16)
    del y
    kept.write(np.full(COUNT, 7, np.float32))
    for _ in range(2):
        graph.replay()
        assert (out.read() == 15).all()


def test_what_is_made_inside_keeps_its_numbers_from_replay_to_replay(
    own_device: Device, affine: Kernel
) -> None:
    increment = own_device.compile_kernel(INCREMENT)
    x, same = constant(own_device, 1), {"count": COUNT, "factor": 2, "shift": 1}
    with own_device.capture() as graph:
        total, y = own_device.buffer(f32, COUNT), x
        for _ in range(4):
            z = own_device.buffer(f32, COUNT)
            affine(y, z, same, grid=16)
            y = z
        increment(total, grid=16)
    total.write(np.zeros(COUNT, np.float32))
    for _ in range(3):
        graph.replay()
    assert (total.read() == 3).all()


def test_a_capture_that_is_broken_off_leaves_buffers_released(
    own_device: Device, affine: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error during the last allocation ends the capture; buffers without memory are released."""

    def interrupted(nbytes: int) -> None:
        raise KeyboardInterrupt

    def capture() -> None:
        with own_device.capture():
            kept.append(own_device.buffer(f32, COUNT))
            affine(x, kept[0], {"count": COUNT, "factor": 2, "shift": 1}, grid=16)
            monkeypatch.setattr(own_device.engine, "allocate", interrupted)

    x, kept = constant(own_device, 1), list[Buffer[f32]]()
    own_device.trim()
    with pytest.raises(KeyboardInterrupt):
        capture()
    monkeypatch.undo()
    assert kept[0].is_released
    with pytest.raises(ReleasedBufferError):
        kept[0].copy_from(x)
    assert (x.read() == 1).all()


def test_what_outlives_a_failed_capture_has_memory(own_device: Device, affine: Kernel) -> None:
    x, kept = constant(own_device, 1), list[Buffer[f32]]()

    def fail() -> None:
        with own_device.capture():
            kept.append(own_device.buffer(f32, COUNT))
            affine(x, kept[0], {"count": COUNT, "factor": 2, "shift": 1}, grid=16)
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        fail()
    kept[0].write(np.full(COUNT, 3, np.float32))
    assert (kept[0].read() == 3).all()


def test_a_graph_that_finds_no_room_leaves_the_others_theirs(
    own_device: Device, affine: Kernel
) -> None:
    small, large = constant(own_device, 1), constant(own_device, 1, 4 * COUNT)
    first, y = chain(affine, small, 6)
    own_device.pool.limit = own_device.memory.reserved + BYTES
    with pytest.raises(OutOfMemoryError, match="no room"):
        chain(affine, large, 6)
    first.replay()
    assert (y.read() == 127).all()
    own_device.pool.limit = None
    second, z = chain(affine, large, 6)
    own_device.pool.limit = own_device.memory.reserved
    first.replay()
    second.replay()
    assert (y.read() == 127).all()
    assert (z.read() == 127).all()


def test_what_is_bound_goes_with_the_memory() -> None:
    """Commands whose memory was freed are dropped, so that nobody can submit them again."""
    device = Device.null()
    affine = device.compile_kernel(AFFINE)
    first, _ = chain(affine, constant(device, 1), 6)
    first.replay()
    seen = weakref.ref(first._bind(first._arena)[0][0])  # type: ignore[arg-type]
    assert seen() is not None
    chain(affine, constant(device, 1, COUNT), 6)[0].release()
    assert seen() is not None
    second, _ = chain(affine, constant(device, 1, 4 * COUNT), 6)
    device.engine.submitted.clear()  # type: ignore[attr-defined]
    assert seen() is None
    second.replay()


def test_a_replay_binds_anew_only_when_memory_moved() -> None:
    device = Device.null()
    affine = device.compile_kernel(AFFINE)
    first, _ = chain(affine, constant(device, 1), 6)
    for _ in range(2):
        first.replay()
    second, _ = chain(affine, constant(device, 1, 4 * COUNT), 6)
    for _ in range(2):
        first.replay()
    second.release()
    third, _ = chain(affine, constant(device, 1), 4)
    for _ in range(2):
        first.replay()
        third.replay()
    runs = [commands for commands in device.engine.submitted if len(commands) == 6]
    assert [one[0] is other[0] for one, other in itertools.pairwise(runs)] == [
        True,
        False,
        True,
        False,
        True,
    ]
