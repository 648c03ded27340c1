"""Progress bars on stderr, and a clock for the phases and steps of a run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Self, TypeVar

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text

__all__ = ["PATIENCE", "Clock", "ProgressBar", "rate_text", "show_download", "show_progress"]

T = TypeVar("T")

SAMPLING = "sampling"
PATIENCE = 1.0
"""Seconds before a bar is shown for what is usually quick."""


class RateColumn(ProgressColumn):
    """A column that shows steps a second, or seconds a step where one takes longer."""

    def render(self, task: Task) -> Text:
        """Return the rate of the last half minute."""
        return Text(rate_text(task.speed), style="progress.data.speed")


def rate_text(rate: float | None) -> str:
    """Return ``4.20 it/s``, or ``2.50 s/it`` where a step takes longer than a second."""
    if not rate:
        return "-.-- it/s"
    return f"{rate:.2f} it/s" if rate >= 1 else f"{1 / rate:.2f} s/it"


class ProgressBar:
    """A bar on stderr that is gone at the end.

    It is not shown where stderr is no terminal, or where ``shown`` is false.
    """

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
            redirect_stdout=False,
        )
        self._task = self._progress.add_task("loading", total=None)
        self._total = (0, "")

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

    def step(self, done: int, total: int, name: str = SAMPLING) -> None:
        """Show that ``done`` of ``total`` steps are made; the first step starts the bar's clock.

        ``name``: what they are steps of; the text of the bar.
        """
        name = name or SAMPLING
        if (total, name) != self._total:
            self._total = total, name
            self._progress.reset(self._task, total=total, description=name)
        self._progress.update(self._task, completed=done, description=name)

    def print(self, line: str) -> None:
        """Print a line to stdout at once, above the bar where both go to one terminal."""
        self._progress.stop()
        print(line, flush=True)
        self._progress.start()


def show_progress(items: Sequence[T], description: str, patience: float = PATIENCE) -> Iterator[T]:
    """Yield the items, and show a bar on stderr once they have taken ``patience`` seconds.

    The bar is gone at the end, and not shown where stderr is no terminal.
    """
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    bar = Progress(*columns, console=console, transient=True, disable=not console.is_interactive)
    task, begun = bar.add_task(description, total=len(items)), time.perf_counter()
    try:
        for item in items:
            yield item
            bar.advance(task)
            if time.perf_counter() - begun > patience:
                bar.start()  # once: a bar that has started goes on
    finally:
        bar.stop()


@contextmanager
def show_download(sizes: Mapping[str, int]) -> Iterator[Callable[[str, int], None]]:
    """Show a bar on stderr for files of these bytes; call what it yields with a name and bytes.

    The bar is gone at the end, and not shown where stderr is no terminal.
    """
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_interactive,
    )
    with bar:
        tasks: dict[str, TaskID] = {}

        def show(name: str, done: int) -> None:
            if name not in tasks:
                for task in tasks.values():
                    bar.update(task, visible=False)
                tasks[name] = bar.add_task(escape(name), total=sizes[name])
            bar.update(tasks[name], completed=done)

        yield show


class Clock:
    """The seconds spent in each phase, and the rate of the steps."""

    def __init__(self) -> None:
        self._start = self._since = time.perf_counter()
        self._phase = "loading"
        self._seconds: dict[str, float] = {}
        self._intervals: list[float] = []
        self._last_step: float | None = None

    def phase(self, name: str) -> None:
        """End the phase before and begin this one. The times of a phase that comes back add up."""
        now = time.perf_counter()
        self._seconds[self._phase] = self._seconds.get(self._phase, 0.0) + now - self._since
        self._phase, self._since = name, now
        self._last_step = None

    def step(self) -> None:
        """Count a finished step. The first of each pass has no time, as it waits for compiling."""
        now = time.perf_counter()
        if self._phase != SAMPLING:
            self.phase(SAMPLING)
        elif self._last_step is not None:
            self._intervals.append(now - self._last_step)
        self._last_step = now

    def resume(self) -> None:
        """Go on with sampling after another phase between two steps."""
        self.phase(SAMPLING)
        self._last_step = self._since

    @property
    def rate(self) -> float | None:
        """Return steps a second without the first of each batch; None for a single step."""
        spent = sum(self._intervals)
        return len(self._intervals) / spent if spent > 0 else None

    def seconds(self) -> dict[str, float]:
        """Return the seconds of each phase up to now, and of all together as ``total``."""
        self.phase(self._phase)
        total = time.perf_counter() - self._start
        return {name: round(s, 4) for name, s in self._seconds.items()} | {"total": round(total, 4)}
