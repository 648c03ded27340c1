"""`Profile`: the time of every launch on the device, from timestamp queries."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from gpucore.backends import Command, Launch, PendingTimes
from gpucore.errors import CaptureError, FeatureError

if TYPE_CHECKING:
    from gpucore.device import Device

__all__ = ["Group", "Profile", "Timing"]


@dataclass(frozen=True, slots=True)
class Timing:
    """One launch: its kernel's label, its region, its grid, and nanoseconds.

    ``start_ns`` counts from the first launch of the profile. Both times are None where the
    device's timestamps are no measurement: one is zero (not written), or the end precedes the
    begin.
    """

    label: str
    region: str
    grid: tuple[int, int, int]
    start_ns: int | None
    duration_ns: int | None


@dataclass(frozen=True, slots=True)
class Group:
    """Launches of one label or region: how many, how many of them timed, nanoseconds together.

    ``share`` is the part of the profile's timed nanoseconds, None where there are none.
    """

    name: str
    count: int
    timed: int
    total_ns: int
    share: float | None

    @property
    def mean_ns(self) -> float | None:
        """Of a timed launch; None where none was timed."""
        return self.total_ns / self.timed if self.timed else None


class Profile:
    """Made by ``with device.profile() as profile:``; times what is submitted inside.

    Replays of graphs count, whenever they were captured. Each launch runs in a compute pass of its
    own between two timestamps, so that the whole takes longer than without a profile. Copies run
    and are not timed. The records are there after the block; none are if it ends with an error.

    When a begin is written is the engine's affair: a launch that waits for the one before may
    count the wait. Where `total_ns` is above `span_ns`, times overlap.

    Raises `FeatureError` where the device has no timestamps, `CaptureError` for a profile inside
    another.
    """

    def __init__(self, device: Device) -> None:
        if "timestamps" not in device.features:
            raise FeatureError(
                f"{device.name} ({device.info.backend}) has no timestamps, so that launches cannot "
                "be timed: take another device or engine (Device.list() shows their features)"
            )
        self.records: list[Timing] = []
        self._device = device
        self._pending: list[tuple[list[Launch], PendingTimes]] = []

    def __enter__(self) -> Self:
        stream = self._device.stream
        if stream.send != self._device.engine.submit:
            raise CaptureError("a profile is already under way on this device: end it first")
        stream.submit()
        self.records, self._pending = [], []
        stream.send = self._send
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        stream = self._device.stream
        try:
            if error is None:
                stream.submit()
                self.records = list(_records(self._pending))
        finally:
            self._pending = []
            stream.send = self._device.engine.submit

    def _send(self, commands: Sequence[Command]) -> None:
        launches = [command for command in commands if isinstance(command, Launch)]
        self._pending.append((launches, self._device.engine.submit_timed(commands)))

    @property
    def total_ns(self) -> int:
        """Nanoseconds of all timed launches together, the gaps between them left out."""
        return sum(record.duration_ns or 0 for record in self.records)

    @property
    def span_ns(self) -> int:
        """Nanoseconds from the first begin to the last end, the gaps between launches included."""
        return max(((r.start_ns or 0) + (r.duration_ns or 0) for r in self.records), default=0)

    @property
    def untimed(self) -> int:
        """How many launches have no valid timestamps."""
        return sum(record.duration_ns is None for record in self.records)

    def groups(self, by: Literal["label", "region"] = "label") -> list[Group]:
        """The launches by kernel or by region, those with the most time first."""
        members: dict[str, list[Timing]] = {}
        for record in self.records:
            members.setdefault(getattr(record, by), []).append(record)
        whole = self.total_ns
        groups = [_group(name, records, whole) for name, records in members.items()]
        return sorted(groups, key=lambda group: (-group.total_ns, -group.count, group.name))

    def table(self) -> str:
        """Text for people: a row for each kernel, and one for each region where there are any."""
        kernels = self.groups()
        lines = _rows("kernel", kernels)
        if any(record.region for record in self.records):
            lines += ["", *_rows("region", self.groups("region"))]
        times = f"{self.total_ns / 1e6:.3f} ms of {self.span_ns / 1e6:.3f} ms in all"
        lines += ["", f"{len(self.records)} launches, {times}"]
        if self.total_ns > self.span_ns:
            lines.append("times overlap: launches ran together, or waits count as theirs")
        if self.untimed:
            lines.append(f"{self.untimed} of them without valid timestamps, in no time above")
        return "\n".join(lines)

    def write_trace(self, path: str | Path) -> None:
        """Write the timed launches as JSON that Perfetto and Chrome's about:tracing open.

        (Trace Event Format: complete events, microseconds.)
        """
        info = self._device.info
        events: list[dict[str, Any]] = [
            {"ph": "M", "name": "process_name", "pid": 1, "args": {"name": info.name}},
            {"ph": "M", "name": "thread_name", "pid": 1, "tid": 1, "args": {"name": info.backend}},
            *_events(self.records),
        ]
        about = {"driver": info.driver, "launches": len(self.records), "untimed": self.untimed}
        trace = {"traceEvents": events, "displayTimeUnit": "ns", "otherData": about}
        Path(path).write_text(json.dumps(trace) + "\n", encoding="utf-8")


def _records(submissions: list[tuple[list[Launch], PendingTimes]]) -> Iterator[Timing]:
    """Records in the order of submission, from the first valid begin on."""
    timed = [
        (launch, begin, end)
        for launches, pending in submissions
        for launch, (begin, end) in zip(launches, pending.wait(), strict=True)
    ]
    origin = min((begin for _, begin, end in timed if _is_valid(begin, end)), default=0)
    for launch, begin, end in timed:
        valid = _is_valid(begin, end)
        start, duration = (begin - origin, end - begin) if valid else (None, None)
        yield Timing(launch.program.label, launch.region, launch.grid, start, duration)


def _is_valid(begin: int, end: int) -> bool:
    return 0 < begin <= end


def _group(name: str, records: list[Timing], whole: int) -> Group:
    durations = [record.duration_ns for record in records if record.duration_ns is not None]
    total = sum(durations)
    return Group(name, len(records), len(durations), total, total / whole if whole else None)


def _rows(title: str, groups: list[Group]) -> list[str]:
    width = max(len(title), *(len(group.name) for group in groups), 0)
    rows = [f"{title:<{width}}{'count':>8}{'total ms':>12}{'mean us':>12}{'share':>8}"]
    for group in groups:
        total = f"{group.total_ns / 1e6:.3f}" if group.timed else "-"
        mean = "-" if group.mean_ns is None else f"{group.mean_ns / 1e3:.2f}"
        share = "-" if group.share is None else f"{group.share:.1%}"
        rows.append(f"{group.name or '-':<{width}}{group.count:>8}{total:>12}{mean:>12}{share:>8}")
    return rows


def _events(records: list[Timing]) -> Iterator[dict[str, Any]]:
    for record in records:
        if record.start_ns is None or record.duration_ns is None:
            continue
        yield {
            "ph": "X",
            "name": record.label,
            "cat": record.region or "kernel",
            "pid": 1,
            "tid": 1,
            "ts": record.start_ns / 1000,
            "dur": record.duration_ns / 1000,
            "args": {"grid": list(record.grid), "region": record.region},
        }
