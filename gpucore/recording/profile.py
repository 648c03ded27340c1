"""`Profile`: the device's time for every launch, from timestamp queries."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from gpucore.backends import Command, Launch, PendingTimes
from gpucore.backends.work import Roof, Work
from gpucore.errors import CaptureError, FeatureError
from gpucore.recording.stream import RecordingDevice

__all__ = ["Group", "Profile", "Timing"]


@dataclass(frozen=True, slots=True)
class Timing:
    """One launch: its kernel's label, its region, its grid, its work, and nanoseconds.

    ``start_ns`` counts from the first launch of the profile. Both times are None where the device's
    timestamps are not valid: one is zero (not written), or the end precedes the begin.
    """

    label: str
    region: str
    grid: tuple[int, int, int]
    work: Work
    start_ns: int | None
    duration_ns: int | None


@dataclass(frozen=True, slots=True)
class Group:
    """Launches of one label or region: how many, and the nanoseconds and work of the timed ones.

    ``share`` is their part of the profile's timed nanoseconds, None where there are none.
    ``of_roof`` is the time that the launches would need at the roof, divided by the time that they
    took; None without a roof or a time.
    """

    name: str
    count: int
    timed: int
    total_ns: int
    work: Work
    share: float | None
    of_roof: float | None

    @property
    def mean_ns(self) -> float | None:
        """The mean time of a timed launch; None where none was timed."""
        return self.total_ns / self.timed if self.timed else None

    @property
    def flops_per_second(self) -> float | None:
        """FLOP/s of the timed launches; None where nothing was timed."""
        return self.work.flops / self.total_ns * 1e9 if self.total_ns else None

    @property
    def bytes_per_second(self) -> float | None:
        """Bytes per second of the timed launches; None where nothing was timed."""
        return self.work.bytes / self.total_ns * 1e9 if self.total_ns else None


class Profile:
    """The times of launches, made by ``with device.profile() as profile:``.

    It times what is submitted inside the ``with`` block, by any thread, also replays of graphs that
    were captured before. Each launch runs in a compute pass of its own between two timestamps, so
    that everything takes longer than without a profile. Copies are timed where a kernel does them
    (see `gpucore.copying`). The records are there after the block; there are none if it ends with
    an error.

    Drivers that compile at a program's first launch (Mesa) do so before it is timed. This time is
    part of `span_ns` alone.

    The engine decides when it writes the begin: a launch that waits for the one before may include
    the wait. Where `total_ns` is above `span_ns`, times overlap.

    A ``roof``, given here or set before the results are read, adds shares of it.

    >>> kernel = device.compile_kernel(INCREMENT)
    >>> with device.profile() as profile, device.region("twice"):
    ...     for _ in range(2):
    ...         kernel(device.buffer(f32, 64), grid=1)
    >>> [(timing.region, timing.grid) for timing in profile.records]
    [('twice', (1, 1, 1)), ('twice', (1, 1, 1))]

    Raises `FeatureError` where the device has no timestamps, `CaptureError` for a profile inside
    another.
    """

    def __init__(self, device: RecordingDevice, roof: Roof | None = None) -> None:
        if "timestamps" not in device.features:
            raise FeatureError(
                f"{device.name} ({device.info.backend}) has no timestamps, so that launches cannot "
                "be timed: take another device or engine (Device.list() shows their features)"
            )
        self.roof = roof
        self.records: list[Timing] = []
        self._device = device
        self._pending: list[tuple[list[Launch], PendingTimes]] = []

    def __enter__(self) -> Self:
        with self._device.lock:
            stream = self._device.stream
            if stream.send != stream.queue.submit:
                raise CaptureError("a profile is already under way on this device: end it first")
            stream.submit_all()
            self.records, self._pending = [], []
            self._redirect()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._device.lock:
            try:
                if error is None:
                    self._device.submit()
                    self.records = list(_records(self._pending))
            finally:
                self._pending = []
                for stream in self._device.streams:
                    stream.send = stream.queue.submit

    def _redirect(self) -> None:
        for stream in self._device.streams:
            stream.send = self._send

    def _send(self, *lists: Sequence[Command]) -> None:
        for commands in lists:
            launches = [command for command in commands if isinstance(command, Launch)]
            self._pending.append((launches, self._device.engine.submit_timed(commands)))

    @property
    def total_ns(self) -> int:
        """Nanoseconds of all timed launches together, without the gaps between them."""
        return sum(record.duration_ns or 0 for record in self.records)

    @property
    def span_ns(self) -> int:
        """Nanoseconds from the first begin to the last end, with the gaps between launches."""
        return max(((r.start_ns or 0) + (r.duration_ns or 0) for r in self.records), default=0)

    @property
    def untimed(self) -> int:
        """The number of launches without valid timestamps."""
        return sum(record.duration_ns is None for record in self.records)

    def groups(
        self, by: Literal["label", "region"] = "label", depth: int | None = None
    ) -> list[Group]:
        """Return the launches grouped by kernel or by region, those with the most time first.

        With ``depth``, regions that begin with the same ``depth`` names are one group.
        """
        members: dict[str, list[Timing]] = {}
        for record in self.records:
            name: str = getattr(record, by)
            if by == "region" and depth is not None:
                name = "/".join(name.split("/")[:depth])
            members.setdefault(name, []).append(record)
        groups = [self._group(name, records) for name, records in members.items()]
        return sorted(groups, key=lambda group: (-group.total_ns, -group.count, group.name))

    def _group(self, name: str, records: list[Timing]) -> Group:
        timed = [record for record in records if record.duration_ns is not None]
        total = sum(record.duration_ns or 0 for record in timed)
        work = sum((record.work for record in timed), Work(0, 0))
        of_roof = None
        if self.roof is not None and total:
            of_roof = sum(map(self.roof.seconds, (r.work for r in timed))) / total * 1e9
        share = total / self.total_ns if self.total_ns else None
        return Group(name, len(records), len(timed), total, work, share, of_roof)

    def table(self, layers: int = 25) -> str:
        """Return a text table with a row for each outermost region, layer and kernel.

        A layer is a region inside others; only the ``layers`` that take the most time have rows.
        """
        lines: list[str] = []
        if any(record.region for record in self.records):
            lines += [*_rows("region", self.groups("region", depth=1)), ""]
        if inner := [group for group in self.groups("region") if "/" in group.name]:
            lines += [*_rows("layer", inner, layers), ""]
        lines += [*_rows("kernel", self.groups()), ""]
        times = f"{self.total_ns / 1e6:.3f} ms of {self.span_ns / 1e6:.3f} ms in all"
        lines.append(f"{len(self.records)} launches, {times}")
        if self.roof is not None:
            lines += [f"roof: {self.roof}", *filter(None, [self.roof.about])]
        if self.total_ns > self.span_ns:
            lines.append("times overlap: launches ran together, or their times include waits")
        if self.untimed:
            lines.append(
                f"{self.untimed} of them without valid timestamps, counted in no time above"
            )
        return "\n".join(lines)

    def write_trace(self, path: str | Path) -> None:
        """Write the timed launches as JSON that Perfetto and Chrome's about:tracing open.

        One track shows the launches, one the regions: neighbouring launches of a region are one
        span. (Trace Event Format: complete events, microseconds.)
        """
        info = self._device.info
        events: list[dict[str, Any]] = [
            {"ph": "M", "name": "process_name", "pid": 1, "args": {"name": info.name}},
            {"ph": "M", "name": "thread_name", "pid": 1, "tid": 1, "args": {"name": info.backend}},
            {"ph": "M", "name": "thread_name", "pid": 1, "tid": 2, "args": {"name": "regions"}},
            *_events(self.records),
            *_spans(self.records),
        ]
        about = {"driver": info.driver, "launches": len(self.records), "untimed": self.untimed}
        trace = {"traceEvents": events, "displayTimeUnit": "ns", "otherData": about}
        _replace_text(Path(path), json.dumps(trace) + "\n")


def _replace_text(path: Path, text: str) -> None:
    """Write a file, whole or not at all: it is renamed over ``path`` once it is complete."""
    path = path.resolve()
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _records(submissions: list[tuple[list[Launch], PendingTimes]]) -> Iterator[Timing]:
    """Yield the records in the order of submission; times count from the first valid begin."""
    timed = [
        (launch, begin, end)
        for launches, pending in submissions
        for launch, (begin, end) in zip(launches, pending.wait(), strict=True)
    ]
    origin = min((begin for _, begin, end in timed if _is_valid(begin, end)), default=0)
    for launch, begin, end in timed:
        valid = _is_valid(begin, end)
        start, duration = (begin - origin, end - begin) if valid else (None, None)
        label, region = launch.program.label, launch.region
        yield Timing(label, region, launch.grid, launch.work, start, duration)


def _is_valid(begin: int, end: int) -> bool:
    return 0 < begin <= end


def _rows(title: str, groups: list[Group], limit: int | None = None) -> list[str]:
    """Return a head, a row for each of the first ``limit`` groups, and a line for the others."""
    shown = groups[:limit]
    width = max(len(title), *(len(group.name) for group in shown), 0)
    heads = "total ms", "mean us", "share", "TFLOP/s", "GB/s", "of roof"
    rows = [f"{title:<{width}}{'count':>8}" + "".join(map(_cell, heads))]
    for group in shown:
        cells = (
            f"{group.total_ns / 1e6:.3f}" if group.timed else "-",
            _number(group.mean_ns, 1e3, ".2f"),
            _number(group.share, 1, ".1%"),
            _number(group.flops_per_second if group.work.flops else None, 1e12, ".4g"),
            _number(group.bytes_per_second, 1e9, ".4g"),
            _number(group.of_roof, 1, ".1%"),
        )
        rows.append(f"{group.name or '-':<{width}}{group.count:>8}" + "".join(map(_cell, cells)))
    if rest := groups[len(shown) :]:
        total = sum(group.total_ns for group in rest)
        rows.append(f"and {len(rest)} more, {total / 1e6:.3f} ms")
    return rows


def _cell(text: str) -> str:
    return f"{text:>11}"


def _number(value: float | None, unit: float, form: str) -> str:
    return "-" if value is None else format(value / unit, form)


def _events(records: list[Timing]) -> Iterator[dict[str, Any]]:
    for record in records:
        if record.start_ns is None or record.duration_ns is None:
            continue
        yield {
            "ph": "X",
            "name": record.label,
            "cat": record.region.partition("/")[0] or "kernel",
            "pid": 1,
            "tid": 1,
            "ts": record.start_ns / 1000,
            "dur": record.duration_ns / 1000,
            "args": {
                "grid": list(record.grid),
                "region": record.region,
                "flops": record.work.flops,
                "bytes": record.work.bytes,
            },
        }


def _spans(records: list[Timing]) -> Iterator[dict[str, Any]]:
    timed = [record for record in records if record.duration_ns is not None and record.region]
    for region, members in itertools.groupby(timed, key=lambda record: record.region):
        times = [(r.start_ns or 0, (r.start_ns or 0) + (r.duration_ns or 0)) for r in members]
        begin, end = min(times)[0], max(end for _, end in times)
        yield {
            "ph": "X",
            "name": region,
            "cat": "region",
            "pid": 1,
            "tid": 2,
            "ts": begin / 1000,
            "dur": (end - begin) / 1000,
        }
