"""Run ``avila batch`` with a `FakeEngine`: ``python -m … POINT FILE FOLDER``.

The process is killed, as by ``kill -9``, at its write of number POINT in the folder: before a file
is opened or renamed, or after a record is written and before it is on the disk. 0 kills nothing.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
from pathlib import Path
from typing import Any

from diffusion.cli import main
from diffusion.server.batch.options import BatchOptions
from tests.diffusion.server.fake_engine import FakeEngine


def kill_at(point: int, folder: Path) -> None:
    """Kill this process at a write of a number, counted from 1."""
    left = itertools.count(point, -1)

    def count() -> None:
        if next(left) == 1:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if event in ("open", "os.rename") and str(arguments[0]).startswith(str(folder)):
            count()

    def sync(file: Any, own: Any = os.fsync) -> None:
        count()
        own(file)

    os.fsync = sync  # type: ignore[assignment]
    sys.addaudithook(watch)


if __name__ == "__main__":
    point, file, folder = sys.argv[1:]
    if int(point):
        kill_at(int(point), Path(folder))
    BatchOptions.engines = lambda _: [FakeEngine()]  # type: ignore[method-assign, assignment]
    main(["batch", file, "--output", folder, "--set", "steps=1"])
