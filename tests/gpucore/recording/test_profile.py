"""Profiles: each launch once, with plausible times on engines; tables, traces, bad timestamps."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from gpucore import (
    CaptureError,
    Device,
    FeatureError,
    Kernel,
    Profile,
    Roof,
    Timing,
    Work,
    f32,
)
from gpucore.backends import Command, null
from tests.gpucore.kernels import AFFINE, INCREMENT

COUNT = 1000
SPIN = """\
override rounds: u32;
@group(0) @binding(0) var<storage, read_write> x: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    var value = x[id.x];
    for (var i = 0u; i < rounds; i += 1u) {
        value = fract(value * 1.5 + 0.25);
    }
    x[id.x] = value;
}
"""


class ScriptedTimes:
    """Timestamps that the test gives."""

    def __init__(self, times: list[tuple[int, int]]) -> None:
        self._times = times

    def wait(self) -> list[tuple[int, int]]:
        return self._times


class ScriptedBackend(null.NullBackend):
    """A null device whose launches take the times in ``script``, one after the other."""

    script: list[tuple[int, int]]

    def submit_timed(self, commands: Sequence[Command]) -> ScriptedTimes:  # type: ignore[override]
        count = len(super().submit_timed(commands).wait())
        times, self.script = self.script[:count], self.script[count:]
        return ScriptedTimes(times)


def scripted(*times: tuple[int, int]) -> tuple[Device, Profile]:
    """Profile launches of ``one`` and ``two`` in turn that take ``times``."""
    backend = ScriptedBackend(null.adapters()[0])
    backend.script = list(times)
    device = Device(backend)
    kernels = [device.compile_kernel(INCREMENT, label=label) for label in ("one", "two")]
    x = device.buffer(f32, COUNT)
    with device.profile() as profile:
        for index in range(len(times)):
            with device.region("even" if index % 2 == 0 else "odd"):
                kernels[index % 2](x, grid=index + 1)
    return device, profile


@pytest.fixture
def timed(device: Device) -> Device:
    if "timestamps" not in device.features:
        pytest.skip(f"{device.info.backend} has no timestamps here")
    return device


@pytest.fixture
def increment(timed: Device) -> Kernel:
    return timed.compile_kernel(INCREMENT, label="increment")


def test_every_launch_inside_is_timed_and_none_outside(timed: Device, increment: Kernel) -> None:
    x = timed.buffer_from_array(np.zeros(COUNT, np.float32))
    increment(x, grid=1)
    with timed.profile() as profile:
        for size in (16, 8, 16):
            increment(x, grid=size)
    increment(x, grid=1)
    assert [r.grid for r in profile.records] == [(16, 1, 1), (8, 1, 1), (16, 1, 1)]
    assert {r.label for r in profile.records} == {"increment"}
    assert [float(value) for value in x.read()[[0, 511, 999]]] == [5, 3, 2]


def test_a_read_inside_takes_kernels_that_never_ran(timed: Device, increment: Kernel) -> None:
    """Such kernels are launched once more first, with a buffer that goes when they are submitted.

    The read and what it waits for are one submission: the buffer must not go before it.
    """
    new = timed.compile_kernel(SPIN, constants={"rounds": 0}, label="new")
    x = timed.buffer_from_array(np.zeros(COUNT, np.float32))
    with timed.profile() as profile:
        increment(x, grid=16)
        new(x, grid=16)
        assert x.read().tolist() == [1] * COUNT
    assert [record.label for record in profile.records] == ["increment", "new"]


def test_times_are_sane(timed: Device) -> None:
    """Times are in order, within the host's time, and grow with the work."""
    short, long = (timed.compile_kernel(SPIN, constants={"rounds": n}) for n in (10, 100_000))
    x = timed.buffer_from_array(np.full(64 * 16, 0.5, np.float32))
    for kernel in (short, long):
        kernel(x, grid=16)
    timed.synchronize()
    begin = time.perf_counter_ns()
    with timed.profile() as profile:
        short(x, grid=16)
        long(x, grid=16)
    spent = time.perf_counter_ns() - begin
    first, second = profile.records
    assert first.start_ns == 0
    assert first.duration_ns is not None
    assert second.duration_ns is not None
    assert second.start_ns is not None
    assert second.start_ns >= 0
    # Ten thousand times the work.
    assert first.duration_ns < second.duration_ns
    assert profile.span_ns == second.start_ns + second.duration_ns <= spent


def test_compiling_is_no_launchs_time(timed: Device, increment: Kernel) -> None:
    """Mesa compiles at the first launch; a text of its own is in no cache. Nothing runs twice."""
    tag = time.time_ns() % 10**9
    count = 30 if timed.info.engine in ("cuda", "hip") else 300  # compilers are slow
    lines = "".join(f"value = 0.5 * value + sin(value * {tag}.5 + {i}.25);\n" for i in range(count))
    text = SPIN.replace("value = fract(value * 1.5 + 0.25);", lines)
    text = text.replace("x[id.x] = value", "x[id.x] += select(1.0, 2.0, value > 100.0)")
    kernel = timed.compile_kernel(text, constants={"rounds": 1})
    x = timed.buffer_from_array(np.zeros(64, np.float32))
    kernel.wait()
    with timed.profile():  # an engine's first takes longer
        increment(timed.buffer(f32, COUNT), grid=1)
    begin = time.perf_counter_ns()
    with timed.profile() as profile:
        kernel(x, grid=1)
        kernel(x, grid=1)
    spent = time.perf_counter_ns() - begin
    first, second = profile.records
    assert first.duration_ns is not None
    assert second.duration_ns is not None
    # Where compiling counted it was nearly all of the time that the host saw. On a quick engine the
    # launches themselves are a good part of it, but they are alike.
    assert first.duration_ns - second.duration_ns < spent / 4
    assert (x.read() == 2).all()


def test_replays_count_each_time_with_the_regions_of_the_capture(
    timed: Device, increment: Kernel
) -> None:
    x = timed.buffer_from_array(np.zeros(COUNT, np.float32))
    kept = timed.buffer(f32, COUNT)
    with timed.capture() as graph, timed.region("unet"):
        increment(x, grid=16)
        kept.copy_from(x)
        with timed.region("mid"):
            increment(x, grid=16)
    graph.replay()
    with timed.profile() as profile:
        graph.replay()
        with timed.region("not of the graph"):
            graph.replay()
    graph.replay()
    assert [r.region for r in profile.records] == ["unet", "unet/mid"] * 2
    assert profile.untimed == 0
    assert (x.read() == 8).all()
    assert (kept.read() == 7).all()


def test_more_launches_than_a_query_set_holds(timed: Device, increment: Kernel) -> None:
    x = timed.buffer_from_array(np.zeros(COUNT, np.float32))
    with timed.capture() as graph:
        for size in range(2051):
            increment(x, grid=16 if size % 2 else 1)
    with timed.profile() as profile:
        graph.replay()
    assert [r.grid[0] for r in profile.records] == [16 if i % 2 else 1 for i in range(2051)]
    assert profile.untimed == 0
    assert x.read()[0] == 2051


def test_copies_alone_and_nothing_at_all(timed: Device) -> None:
    x = timed.buffer_from_array(np.ones(COUNT, np.float32))
    y = timed.buffer_from_array(np.zeros(COUNT, np.float32))
    with timed.profile() as profile:
        y.copy_from(x)
    assert profile.records == []
    assert (y.read() == 1).all()
    with timed.profile() as profile:
        pass
    assert profile.table().endswith("0 launches, 0.000 ms of 0.000 ms in all")


def test_an_error_inside_ends_the_profile(timed: Device, increment: Kernel) -> None:
    x = timed.buffer_from_array(np.zeros(COUNT, np.float32))
    profile = timed.profile()

    def fail() -> None:
        with profile:
            increment(x, grid=16)
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        fail()
    assert profile.records == []
    assert (x.read() == 1).all()
    with profile:
        increment(x, grid=16)
    assert len(profile.records) == 1


def test_profiles_do_not_nest(timed: Device, increment: Kernel) -> None:
    x = timed.buffer_from_array(np.zeros(COUNT, np.float32))
    with timed.profile() as outer:
        with pytest.raises(CaptureError, match="already under way"), timed.profile():
            pass
        increment(x, grid=16)
    assert len(outer.records) == 1


def test_a_device_without_timestamps_refuses() -> None:
    info = null.adapters()[0]
    blind = dataclasses.replace(info, features=info.features - {"timestamps"})
    with pytest.raises(FeatureError, match=r"null device \(null-null\) has no timestamps"):
        Device(null.NullBackend(blind)).profile()


def test_the_null_device_counts_and_invents_no_times() -> None:
    device = Device.null()
    kernel = device.compile_kernel(AFFINE)
    x, y = device.buffer(f32, COUNT), device.buffer(f32, COUNT)
    with device.profile() as profile:
        kernel(x, y, {"count": COUNT, "factor": 1, "shift": 0}, grid=(4, 3, 2))
    assert profile.records == [Timing("main", "", (4, 3, 2), Work(0, 8 * COUNT), None, None)]
    assert profile.untimed == 1
    assert profile.groups()[0].share is None
    assert "1 of them without valid timestamps" in profile.table()


def test_groups_add_up() -> None:
    _, profile = scripted((1000, 1300), (1300, 2000), (2500, 3000))
    one, two = profile.groups()
    assert (one.name, one.count, one.total_ns, one.mean_ns) == ("one", 2, 800, 400)
    assert (two.name, two.count, two.total_ns, two.mean_ns) == ("two", 1, 700, 700)
    assert (one.share, two.share) == (pytest.approx(8 / 15), pytest.approx(7 / 15))
    assert [(g.name, g.total_ns) for g in profile.groups("region")] == [("even", 800), ("odd", 700)]
    rows = [line.split() for line in profile.table().splitlines()]
    assert rows[1] == ["even", "2", "0.001", "0.40", "53.3%", "-", "10", "-"]
    assert rows[5] == ["one", "2", "0.001", "0.40", "53.3%", "-", "10", "-"]
    assert profile.table().endswith("3 launches, 0.002 ms of 0.002 ms in all")
    assert (profile.total_ns, profile.span_ns) == (1500, 2000)


def test_work_makes_rates_and_shares_of_the_roof() -> None:
    """16000 FLOP and 1000 bytes in 400 ns, no FLOP and 4000 bytes in 1600 ns."""
    backend = ScriptedBackend(null.adapters()[0])
    backend.script = [(1000, 1400), (1400, 3000), (0, 0)]
    device = Device(backend)
    kernel = device.compile_kernel(INCREMENT, label="increment")
    x = device.buffer(f32, COUNT)
    with device.capture() as graph, device.region("unet"):
        for name, work in ("conv", Work(16000, 1000)), ("add", None), ("add", Work(9e9, 9e9)):
            with device.region(name):
                kernel(x, grid=1, work=work)
    with device.profile() as profile:
        graph.replay()
    assert [record.work for record in profile.records] == graph.works
    assert [record.work for record in profile.records[:2]] == [Work(16000, 1000), Work(0, 4000)]
    assert profile.groups()[0].of_roof is None
    # At the roof 16000 FLOP take 160 ns, 4000 bytes 400 ns.
    profile.roof = Roof(flops_per_second=1e11, bytes_per_second=1e10)
    (whole,) = profile.groups()
    add, conv = profile.groups("region")
    # What was not timed is in no rate.
    assert (add.name, add.count, add.work) == ("unet/add", 2, Work(0, 4000))
    assert (conv.flops_per_second, conv.bytes_per_second) == (40e9, 2.5e9)
    assert (conv.of_roof, add.of_roof, whole.of_roof) == pytest.approx((0.4, 0.25, 0.28))
    assert [group.name for group in profile.groups("region", depth=1)] == ["unet"]
    rows = [line.split() for line in profile.table().splitlines()]
    assert rows[5] == ["unet/conv", "1", "0.000", "0.40", "20.0%", "0.04", "2.5", "40.0%"]
    head, *_, roof, _ = profile.table().splitlines()
    assert head.endswith("GB/s    of roof")
    assert roof == "roof: 0.1 TFLOP/s, 10 GB/s"
    profile.roof = Roof(1e11, 1e10, "of roof: share of the best card")
    *_, head, about, _ = profile.table().splitlines()
    assert (head, about) == (roof, "of roof: share of the best card")


def test_the_table_counts_the_layers_that_it_leaves_out() -> None:
    device = Device.null()
    kernel = device.compile_kernel(INCREMENT)
    x = device.buffer(f32, COUNT)
    with device.profile() as profile:
        for index in range(9):
            with device.region("unet"), device.region(f"layer{index}"):
                kernel(x, grid=1)
    text = profile.table(layers=7)
    assert text.count("unet/layer") == 7
    assert "and 2 more, 0.000 ms" in text
    assert "more" not in profile.table(layers=9)


def test_overlapping_times_are_told() -> None:
    _, profile = scripted((1000, 3000), (1500, 4000))
    assert (profile.total_ns, profile.span_ns) == (4500, 3000)
    assert "times overlap" in profile.table()
    assert "times overlap" not in scripted((1000, 2000), (2000, 3000))[1].table()


def test_timestamps_that_are_none_are_in_no_time() -> None:
    """Zero means not written, and an end before its begin is a fault; equal ones are valid."""
    times = (0, 0), (5000, 4000), (9000, 9500), (0, 7000), (8000, 8000), (6000, 0)
    _, profile = scripted(*times)
    assert [(r.start_ns, r.duration_ns) for r in profile.records] == [
        (None, None),
        (None, None),
        (1000, 500),
        (None, None),
        (0, 0),
        (None, None),
    ]
    assert (profile.total_ns, profile.untimed) == (500, 4)
    assert [(g.name, g.count, g.timed, g.mean_ns) for g in profile.groups()] == [
        ("one", 3, 2, 250),
        ("two", 3, 0, None),
    ]


def test_the_trace_holds_the_timed_launches(tmp_path: Path) -> None:
    _, profile = scripted((2**63, 2**63 + 1500), (0, 0), (2**63 + 2000, 2**63 + 2250))
    profile.write_trace(tmp_path / "trace.json")
    trace = json.loads((tmp_path / "trace.json").read_text())
    about, spans = trace["traceEvents"][:3], trace["traceEvents"][3:]
    assert [event["args"]["name"] for event in about] == ["null device", "null-null", "regions"]
    # Between both launches of the region one was not timed: it parts nothing.
    region = spans.pop()
    assert (region["name"], region["tid"], region["ts"], region["dur"]) == ("even", 2, 0, 2.25)
    assert [(e["ph"], e["name"], e["cat"], e["ts"], e["dur"]) for e in spans] == [
        ("X", "one", "even", 0, 1.5),
        ("X", "one", "even", 2, 0.25),
    ]
    assert spans[1]["args"] == {"grid": [3, 1, 1], "region": "even", "flops": 0, "bytes": 4000}
    assert {(e["pid"], e["tid"]) for e in spans} == {(1, 1)}
    assert trace["otherData"] == {"driver": "", "launches": 3, "untimed": 1}


def test_without_a_profile_the_backend_gets_the_lists_itself() -> None:
    """Runs without a profile must not pay for it."""
    device = Device.null()
    assert device.stream.send == device.engine.submit
    with device.profile():
        assert device.stream.send != device.engine.submit
    assert device.stream.send == device.engine.submit


def test_a_full_disk_leaves_no_half_trace(
    device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trace of an earlier run stays as it was."""
    with device.profile() as profile:
        pass
    earlier = tmp_path / "trace.json"
    earlier.write_text("earlier", encoding="utf-8")
    write = Path.write_text

    def write_half(path: Path, text: str, encoding: str) -> None:
        write(path, text[: len(text) // 2], encoding)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", write_half)
    with pytest.raises(OSError, match="No space left"):
        profile.write_trace(earlier)
    assert [path.name for path in tmp_path.iterdir()] == ["trace.json"]
    assert earlier.read_text(encoding="utf-8") == "earlier"
