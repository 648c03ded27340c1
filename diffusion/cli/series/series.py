"""What a command line draws: one request, each prompt of a file, or a grid."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from diffusion.cli.job import Job, Task
from diffusion.cli.output import Output
from diffusion.cli.requests import CommandLine, Request
from diffusion.cli.series.grid import Grid
from diffusion.cli.series.prompts_file import PromptsFile
from diffusion.errors import SettingsError

__all__ = ["Series", "find_series"]


class Series(Protocol):
    """Requests in the order in which they are drawn."""

    def requests(self) -> Iterator[Request]:
        """Yield all requests, for checks before any work. Raises `SettingsError`."""

    def tasks(self) -> Iterator[Task]:
        """Yield what is still to be drawn. Raises `OutputError`."""

    def finish(self, job: Job, complete: bool) -> None:
        """Do what is left at the end; not ``complete`` after Ctrl-C. Raises `OutputError`."""


class Single:
    """One request."""

    def __init__(self, line: CommandLine) -> None:
        self._request = line.request()

    def requests(self) -> Iterator[Request]:
        """Yield the request."""
        yield self._request

    def tasks(self) -> Iterator[Task]:
        """Yield the request as a task."""
        yield Task(self._request)

    def finish(self, job: Job, complete: bool) -> None:
        """Do nothing."""


def find_series(line: CommandLine, output: Output) -> Series:
    """Return what a command line draws. Raises `SettingsError`."""
    options = line.options.series
    if options.grid and options.prompts is not None:
        raise SettingsError("grid", options.grid[0], "must not be given with --prompts")
    if options.restart and options.prompts is None:
        raise SettingsError("restart", True, "needs --prompts FILE")
    if options.keep_pictures and not options.grid:
        raise SettingsError("grid pictures", True, "needs --grid AXIS=VALUES")
    if options.prompts is not None:
        return PromptsFile(line, options.prompts, output, restart=options.restart)
    return Grid(line, options.grid, keep=options.keep_pictures) if options.grid else Single(line)
