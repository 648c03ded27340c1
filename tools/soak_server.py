"""Let a server work for long, with everything that goes wrong, and count what is lost.

    python -m tools.soak_server --minutes 10
    python -m tools.soak_server --minutes 10 --engine bundled --device dawn --kills 0 --restarts 0

Clients send jobs, wrong requests and cancels, follow events, and fetch pictures, thumbnails and zip
files. Meanwhile the worker is killed (``--kills``), and near the end the server is ended by SIGTERM
and started again (``--restarts``). Nothing that was accepted may be lost, no answer may be a
mistake of ours, and memory must not grow: its slope is that of Theil and Sen over the pictures
made, without the first tenth, of the server and of its worker.

``--engine fake`` has a worker process that paints rectangles; ``bundled`` one that draws. It prints
the numbers, writes them with ``--json``, and ends with status 1 where something was lost.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil

from tools.load_server import (
    PATIENCE,
    Connection,
    kill_worker,
    start_server,
    wait_until_ready,
    worker_of,
)
from tools.measure_server import machine_of

CLIENTS: Final = 4
MOST_WAITING: Final = 20
SAMPLES: Final = 150
WRONG: Final[Sequence[dict[str, Any]]] = (
    {"width": 63},
    {"sampler": "no"},
    {"steps": 0},
    {"prompt": 5},
    {"unknown": 1},
    {"init_image": {"image": "no picture"}},
)


@dataclass
class Sample:
    """The bytes that a process has for itself, its files and threads, after some pictures."""

    pictures: int
    process: str
    own: int
    files: int
    threads: int


@dataclass
class Soak:
    """A run: what was asked, what came of it, and the memory on the way."""

    folder: Path
    options: argparse.Namespace
    server: subprocess.Popen[bytes]
    port: int
    accepted: list[str] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)
    samples: list[Sample] = field(default_factory=list)
    pictures: int = 0
    kills: int = 0
    restarts: int = 0
    calm: asyncio.Event = field(default_factory=asyncio.Event)
    busy: int = 0
    draw: random.Random = field(default_factory=lambda: random.Random(11))

    async def run(self) -> None:
        """Let clients ask until the time is over, while things go wrong; then wait for all."""
        self.calm.set()
        await self._ready()
        begun, length = time.monotonic(), 60 * self.options.minutes
        clients = [asyncio.create_task(self._ask_until(begun + length)) for _ in range(CLIENTS)]
        planned = sorted(
            [(0.9 * (n + 1) / (self.options.kills + 1), "kill") for n in range(self.options.kills)]
            + [(0.9 + 0.02 * n, "restart") for n in range(self.options.restarts)]
            + [(n / SAMPLES, "sample") for n in range(SAMPLES)]
        )
        for share, what in planned:
            await asyncio.sleep(max(0.0, begun + share * length - time.monotonic()))
            if what == "kill":
                self.kills += kill_worker(psutil.Process(self.server.pid))
            elif what == "restart":
                await self._restart()
            elif not self.restarts:
                self._sample()
        await asyncio.gather(*clients)

    async def _ready(self) -> None:
        async with Connection(self.port) as connection:
            await wait_until_ready(connection)

    async def _restart(self) -> None:
        """End the server between two requests, and start another one."""
        self.calm.clear()
        while self.busy:
            await asyncio.sleep(0.01)
        self.server.terminate()
        await asyncio.to_thread(self.server.wait, PATIENCE)
        self.server, self.port = await asyncio.to_thread(
            start_server, self.folder, self.options.kind, self.options.device
        )
        self.restarts += 1
        self.calm.set()

    def _sample(self) -> None:
        server = psutil.Process(self.server.pid)
        for name, process in (("server", server), ("worker", worker_of(server))):
            if process is not None:
                facts = process.memory_full_info().uss, process.num_fds(), process.num_threads()
                self.samples.append(Sample(self.pictures, name, *facts))

    async def _ask_until(self, end: float) -> None:
        while time.monotonic() < end:
            await self.calm.wait()
            self.busy += 1
            try:
                async with Connection(self.port) as connection:
                    await self._act(connection)
            except (OSError, EOFError) as error:
                self.faults.append(f"{type(error).__name__}: {error}")
            finally:
                self.busy -= 1

    async def _act(self, connection: Connection) -> None:
        """Do one thing that a client does."""
        chance = self.draw.random()
        if chance < 0.5 or not self.accepted:
            await self._submit(connection, {})
        elif chance < 0.6:
            await self._submit(connection, self.draw.choice(WRONG))
        elif chance < 0.7:
            job = self.draw.choice(self.accepted[-15:])
            await self._ask(connection, "DELETE", f"/api/v1/jobs/{job}")
        elif chance < 0.8:
            job = self.draw.choice(self.accepted[-50:])
            await self._ask(connection, "GET", f"/api/v1/jobs/{job}/result", (404,))
        elif chance < 0.9:
            await self._look(connection)
        else:
            await self._paint(connection)

    async def _submit(self, connection: Connection, wrong: dict[str, Any]) -> None:
        body = {"prompt": "a cat", "steps": self.draw.randint(1, 4), "width": 64, "height": 64}
        status, answer = await self._ask(
            connection, "POST", "/api/v1/jobs", (422, 429) if wrong else (429,), {**body, **wrong}
        )
        if status == 202:
            self.accepted.append(json.loads(answer)["id"])
        waiting = json.loads((await connection.ask("GET", "/api/v1/queue"))[1])["waiting"]
        if waiting > MOST_WAITING:
            await asyncio.sleep(0.2)

    async def _look(self, connection: Connection) -> None:
        _, answer = await self._ask(connection, "GET", "/api/v1/gallery?limit=5&search=cat")
        chosen = [each["id"] for each in json.loads(answer)["pictures"]]
        self.pictures = max(self.pictures, json.loads(answer)["total"])
        for number in chosen[:1]:
            await self._ask(connection, "GET", f"/api/v1/gallery/{number}/thumbnail")
        for path in ("/api/v1/jobs", "/metrics", "/sdapi/v1/progress", "/sdapi/v1/options"):
            await self._ask(connection, "GET", path)

    async def _paint(self, connection: Connection) -> None:
        body = {"prompt": "a cat", "steps": 1, "width": 64, "height": 64}
        await self._ask(connection, "POST", "/sdapi/v1/txt2img", (409,), body)

    async def _ask(
        self,
        connection: Connection,
        method: str,
        path: str,
        expected: tuple[int, ...] = (),
        body: Any = None,
    ) -> tuple[int, bytes]:
        """Ask, and note an answer that is neither good nor expected. 503 is that of a restart."""
        status, answer = await connection.ask(method, path, body)
        self.statuses[status] += 1
        if status >= 300 and status not in (*expected, 503):
            self.faults.append(f"{method} {path}: {status} {answer[:200].decode('latin-1')}")
        return status, answer

    async def ends(self) -> Counter[str]:
        """Return how the accepted jobs have ended, once all have; some may be "missing"."""
        deadline, states = time.monotonic() + PATIENCE, Counter[str]()
        async with Connection(self.port) as connection:
            for job in self.accepted:
                while True:
                    status, answer = await connection.ask("GET", f"/api/v1/jobs/{job}")
                    state = json.loads(answer).get("state", "missing")
                    late = time.monotonic() > deadline
                    if status != 200 or late or state not in ("queued", "running"):
                        break
                    await asyncio.sleep(0.05)
                states[state if status == 200 else "missing"] += 1
                if state == "failed":
                    self.failures[json.loads(answer)["message"]] += 1
        return states


def slope(samples: Sequence[Sample]) -> float:
    """Return the bytes a picture takes for good: the median slope of all pairs (Theil, Sen)."""
    pairs = itertools.combinations(samples, 2)
    slopes = [
        (b.own - a.own) / (b.pictures - a.pictures) for a, b in pairs if b.pictures > a.pictures
    ]
    return statistics.median(slopes) if slopes else 0.0


def summary(soak: Soak, ends: Counter[str]) -> dict[str, object]:
    """Return the numbers of a run."""
    found: dict[str, object] = {
        "minutes": soak.options.minutes,
        "engine": soak.options.engine,
        "requests": soak.statuses.total(),
        "statuses": {str(status): count for status, count in sorted(soak.statuses.items())},
        "pictures": soak.pictures,
        "accepted": len(soak.accepted),
        "ends": dict(ends),
        "reasons_of_failures": dict(soak.failures),
        "worker_kills": soak.kills,
        "restarts": soak.restarts,
        "faults": soak.faults[:20],
    }
    for name in ("server", "worker"):
        own = [each for each in soak.samples if each.process == name]
        calm = own[len(own) // 10 :]
        if calm:
            found[name] = {
                "bytes_a_picture": round(slope(calm)),
                "mib": [round(each.own / 2**20, 1) for each in (calm[0], calm[-1])],
                "files": [calm[0].files, calm[-1].files],
                "threads": [calm[0].threads, calm[-1].threads],
            }
    return found


def main() -> int:
    """Run what the command line asks for; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--engine", choices=["fake", "bundled"], default="fake")
    parser.add_argument("--device", help="of the engine bundled, as in avila serve")
    parser.add_argument("--kills", type=int, default=4, help="of the worker")
    parser.add_argument("--restarts", type=int, default=2, help="of the server")
    parser.add_argument("--json", type=Path, help="a file for the numbers")
    options = parser.parse_args()
    options.kind = "bundled" if options.engine == "bundled" else "process"
    with tempfile.TemporaryDirectory() as name:
        server, port = start_server(Path(name), options.kind, options.device)
        soak = Soak(Path(name), options, server, port)
        try:
            ends = asyncio.run(_run(soak))
        finally:
            soak.server.terminate()
            soak.server.wait(PATIENCE)
    numbers = summary(soak, ends)
    print(json.dumps(numbers, indent=1))
    if options.json is not None:
        found = {"machine": machine_of(options.device), "results": numbers}
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    finished = sum(ends[state] for state in ("done", "cancelled", "failed"))
    return 0 if finished == len(soak.accepted) and not soak.faults else 1


async def _run(soak: Soak) -> Counter[str]:
    await soak.run()
    return await soak.ends()


if __name__ == "__main__":
    sys.exit(main())
