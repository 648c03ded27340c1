"""Run a batch from a file to a folder, and tell how it goes."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from diffusion.errors import SettingsError
from diffusion.server.batch.drawing import LocalDrawing
from diffusion.server.batch.folder import BatchFolder, Record
from diffusion.server.batch.lines import BadLine, BatchFile
from diffusion.server.batch.options import BatchOptions
from diffusion.server.batch.pool import EnginePool
from diffusion.server.batch.run import BatchRun, DrawWork
from diffusion.server.errors import ConfigurationError

__all__ = ["BatchReporter", "BatchWork", "run_batch"]


class BatchReporter(Protocol):
    """An observer of a batch. ``stopping`` tells whether no more is to begin."""

    def warn(self, text: str) -> None: ...

    def begin(self, left: int, total: int) -> None: ...

    def count_picture(self) -> None: ...

    def tell(self, record: Record) -> None: ...

    def stopping(self) -> bool: ...


class BatchWork:
    """The lines to draw, and the folder. ``changes``: fields of lines that do not give them.

    ``strict``: a wrong line stops all; ``restart``, ``retry``: as of `BatchFolder`.
    """

    def __init__(
        self,
        file: Path,
        folder: Path | None,
        changes: Mapping[str, Any],
        *,
        strict: bool = False,
        restart: bool = False,
        retry: bool = False,
    ) -> None:
        self.file, self.changes, self.strict = file, changes, strict
        self.name = "stdin" if str(file) == "-" else file.name
        place = Path(Path(self.name).stem or self.name) if folder is None else folder
        self.folder = BatchFolder(place, self.name, restart=restart, retry=retry)


def run_batch(work: BatchWork, options: BatchOptions, reporter: BatchReporter) -> Mapping[str, int]:
    """Draw what is left of a batch; return its lines by state: done, failed, left.

    Raises `DiffusionError` where it cannot begin or go on; what is finished stays.
    """
    options.check()
    with _open_lines(work.file) as lines:
        source = BatchFile(lines, work.changes, options.model_names(), options.identity)
        found = list(source.lines())
        if not found:
            raise SettingsError("file", str(work.file), "it has no lines with jobs")
        bad = [each for each in found if isinstance(each, BadLine)]
        for each in bad:
            reporter.warn(f"{work.name} line {each.number}: {each.reason}")
        if work.strict and bad:
            raise ConfigurationError(
                f"{len(bad)} of {len(found)} lines are wrong; nothing is drawn"
            )
        with work.folder.hold_open():
            run = BatchRun(source, work.folder, found, reporter.tell)
            reporter.begin(run.left, run.total)
            with _open_drawing(options, reporter, needed=run.left > 0) as draw:
                run.run(draw, reporter.count_picture)
            return run.states()


@contextmanager
def _open_drawing(
    options: BatchOptions, reporter: BatchReporter, needed: bool
) -> Iterator[DrawWork]:
    """Start what draws, here or on a cluster; nothing where nothing is ``needed``."""
    if not needed:
        yield lambda _: iter(())
    elif options.ray is not None:
        from diffusion.server.ray.data import RayDrawing

        with RayDrawing(options, reporter.stopping) as drawing:
            yield drawing.draw
    else:
        with EnginePool(options.engines(), reporter.stopping) as pool:
            yield LocalDrawing(pool, options.model_names()).draw


@contextmanager
def _open_lines(file: Path) -> Iterator[BinaryIO]:
    """Open a file, or what stdin holds to its end. Raises `SettingsError`."""
    try:
        if str(file) != "-":
            with file.expanduser().open("rb") as opened:
                if not opened.seekable():
                    raise SettingsError("file", str(file), "must be a file, or - for stdin")
                yield opened
            return
        with tempfile.TemporaryFile() as copy:
            shutil.copyfileobj(sys.stdin.buffer, copy)
            yield copy
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise SettingsError("file", str(file), f"it cannot be read: {error.strerror}") from error
