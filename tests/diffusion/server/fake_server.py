"""Run a server with a `FakeEngine`: ``python -m … FOLDER PORT STEP_SECONDS [POINT]``.

It prints its port, which it has chosen where PORT is 0. SIGUSR1 releases the jobs that hold.

With POINT the process is killed, as by ``kill -9``, at its write of that number after the first job
has come: before a file is opened or renamed in the folder, or before a statement of the history.
"""

from __future__ import annotations

import itertools
import os
import signal
import socket
import sys
import threading
from pathlib import Path

from diffusion.server.jobs.history import History
from diffusion.server.jobs.job import Job
from diffusion.server.launch import make_server
from diffusion.server.logs import configure_logs
from diffusion.server.settings import load_settings
from tests.diffusion.server.fake_engine import FakeEngine


def kill_at(point: int, folder: Path) -> None:
    """Kill this process at a write of a number, counted from 1."""
    left = itertools.count(point, -1)
    first_job = threading.Event()
    adding, opening = History.add_job, History._open

    def count(*arguments: object) -> None:
        if first_job.is_set() and next(left) == 1:
            os.kill(os.getpid(), signal.SIGKILL)

    def add_job(self: History, job: Job, digest: str) -> None:
        first_job.set()
        adding(self, job, digest)

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if event in ("open", "os.rename") and str(arguments[0]).startswith(str(folder)):
            count()

    def open_counting(self: History) -> None:
        opening(self)
        self._db.set_trace_callback(count)

    History._open, History.add_job = open_counting, add_job  # type: ignore[method-assign]
    sys.addaudithook(watch)


if __name__ == "__main__":
    if sys.argv[4:]:
        kill_at(int(sys.argv[4]), Path(sys.argv[1]))
    configure_logs(as_json=False)
    engine = FakeEngine()
    engine.step_seconds = float(sys.argv[3])
    options = {"output": Path(sys.argv[1]), "drain_seconds": 600}
    if hasattr(signal, "SIGUSR1"):
        signal.signal(signal.SIGUSR1, lambda *_: engine.released.set())
    with socket.create_server(("127.0.0.1", int(sys.argv[2]))) as listening:
        print(listening.getsockname()[1], flush=True)
        make_server(load_settings(None, options), [engine]).run([listening])
