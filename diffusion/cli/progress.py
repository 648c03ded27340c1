"""Progress on stderr: phases, steps, iterations a second, time left; and the times for later."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

__all__ = ["Clock", "ProgressBar", "slowly"]

T = TypeVar("T")

SAMPLING = "sampling"
_PATIENCE = 1.0
"""Seconds."""


class RateColumn(ProgressColumn):
    """Steps a second, or seconds a step where one takes longer."""

    def render(self, task: Task) -> Text:
        """The rate of the last half minute."""
        return Text(rate_text(task.speed), style="progress.data.speed")


def rate_text(rate: float | None) -> str:
    """``4.20 it/s``, or ``2.50 s/it`` where a step takes longer than a second."""
    if not rate:
        return "-.-- it/s"
    return f"{rate:.2f} it/s" if rate >= 1 else f"{1 / rate:.2f} s/it"


class ProgressBar:
    """A bar on stderr, gone at the end. Shows nothing where ``shown`` is false or no one looks."""

    def __init__(self, shown: bool) -> None:
        console = Console(stderr=True)
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            RateColumn(),
            TextColumn("ETA"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not (shown and console.is_terminal),
        )
        self._task = self._progress.add_task("loading", total=None)
        self._total = 0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def phase(self, name: str) -> None:
        """Show what is being done now."""
        self._progress.update(self._task, description=name)

    def step(self, done: int, total: int) -> None:
        """Show the sampling at ``done`` of ``total`` steps; the first starts the clock."""
        if total != self._total:
            self._total = total
            self._progress.reset(self._task, total=total, description=SAMPLING)
        self._progress.update(self._task, completed=done, description=SAMPLING)


def slowly(items: Sequence[T], told: str) -> Iterator[T]:
    """The items; a bar on stderr once they have taken a second, gone at the end, where one looks.

    ``told``: what is being done with them.
    """
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    bar = Progress(*columns, console=console, transient=True, disable=not console.is_interactive)
    task, begun = bar.add_task(told, total=len(items)), time.perf_counter()
    try:
        for item in items:
            yield item
            bar.advance(task)
            if time.perf_counter() - begun > _PATIENCE:
                bar.start()  # once: a bar that has started goes on
    finally:
        bar.stop()


class Clock:
    """Seconds spent in each phase, and the rate of the steps."""

    def __init__(self) -> None:
        self._start = self._since = time.perf_counter()
        self._phase = "loading"
        self._seconds: dict[str, float] = {}
        self._intervals: list[float] = []
        self._last_step: float | None = None

    def phase(self, name: str) -> None:
        """A phase begins, and the one before ends. A phase may come back: its times add up."""
        now = time.perf_counter()
        self._seconds[self._phase] = self._seconds.get(self._phase, 0.0) + now - self._since
        self._phase, self._since = name, now
        self._last_step = None

    def step(self) -> None:
        """A step of the sampler is done; the first of each pass waits for what is compiled."""
        now = time.perf_counter()
        if self._phase != SAMPLING:
            self.phase(SAMPLING)
        elif self._last_step is not None:
            self._intervals.append(now - self._last_step)
        self._last_step = now

    def resume(self) -> None:
        """Sampling goes on after another phase between two steps."""
        self.phase(SAMPLING)
        self._last_step = self._since

    @property
    def rate(self) -> float | None:
        """Steps a second, the first of each batch left out; None for a single step."""
        spent = sum(self._intervals)
        return len(self._intervals) / spent if spent > 0 else None

    def seconds(self) -> dict[str, float]:
        """Seconds for each phase up to now, and for all together as ``total``."""
        self.phase(self._phase)
        total = time.perf_counter() - self._start
        return {name: round(s, 4) for name, s in self._seconds.items()} | {"total": round(total, 4)}
