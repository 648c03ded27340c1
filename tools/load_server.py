"""Put load on a server on this machine, and report what it bears.

    python -m tools.load_server                  # both parts
    python -m tools.load_server speed --seconds 20 --clients 8
    python -m tools.load_server jobs --count 1000

``speed``: clients ask ``/sdapi/v1/txt2img`` for 512x512 pictures of an engine that takes no time,
so that the server's own work alone counts. It reports requests a second, and latencies of these
and of ``/healthz`` meanwhile. The server is a process of its own.

``jobs``: jobs for a worker process with a fake model, with cancels and bad requests among them,
while the worker is killed twice. Every accepted job must end as done, cancelled or failed.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import io
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np
import psutil
from PIL import Image

from diffusion.infotext.files import png_info
from diffusion.infotext.from_settings import infotext_from_settings
from diffusion.server.engine.interface import EngineState, EngineStatus, Listener
from diffusion.server.engine.messages import Command, Draw, Drawn, Finished, Ready, Started
from diffusion.server.engine.process import Patience, ProcessEngine
from diffusion.server.launch import make_server
from diffusion.server.logs import configure_logs
from diffusion.server.settings import load_settings
from diffusion.settings import Defaults
from tests.diffusion.server.fake_studio import FakeStudio
from tests.processes import environment

SIDE = 512
BODY = {"prompt": "a red apple", "steps": 20, "width": SIDE, "height": SIDE, "seed": 3}
PATIENCE = 120.0
EVERY = 0.02


class InstantEngine:
    """An engine that answers at once with a picture that it made before."""

    name = "instant"
    capacity = 8

    def __init__(self) -> None:
        self.status = EngineStatus(EngineState.READY, device="none")
        rows = np.arange(SIDE, dtype=np.uint8)
        image = np.stack([rows[:, None] ^ rows, rows[:, None] + rows, 0 * rows[:, None] + rows], 2)
        noise = np.random.default_rng(0).integers(0, 16, image.shape, np.uint8)
        self._image = Image.fromarray(image // 16 * 16 + noise)

    async def start(self, listener: Listener) -> None:
        """Be ready."""
        self._listener = listener
        settings = Defaults(SIDE, SIDE)
        self._defaults = settings
        self._text = ""
        self._png = b""
        listener(Ready("none"))

    def send(self, command: Command) -> None:
        """Answer a job in the next turn of the event loop."""
        if isinstance(command, Draw):
            asyncio.get_running_loop().call_soon(self._draw, command)

    def _draw(self, task: Draw) -> None:
        if not self._png:
            settings = task.settings.with_defaults(self._defaults)
            self._text = infotext_from_settings(settings, 0, "none", "0123456789", "Avila", {})
            file = io.BytesIO()
            self._image.save(file, "PNG", pnginfo=png_info(self._text))
            self._png = file.getvalue()
        self._listener(Started(task.job))
        self._listener(Drawn(task.job, 0, self._png, 3, SIDE, SIDE, self._text))
        self._listener(Finished(task.job))

    async def close(self) -> None:
        """Do nothing."""


def run_server(folder: Path, port: int, kind: str, device: str | None = None) -> None:
    """Serve with an engine of a kind, until a signal comes."""
    configure_logs(as_json=False)
    options = {"output": folder, "port": port, "queue": 2000, "device": device}
    settings = load_settings(None, options)
    if kind == "instant":
        make_server(settings, [InstantEngine()]).run()
    elif kind == "bundled":
        make_server(settings).run()
    else:
        worker = ProcessEngine("worker", FakeStudio(), Patience(load=20, step=20))
        make_server(settings, [worker]).run()


class Connection:
    """A connection that is kept: one request at a time, with little work for the client."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def __aenter__(self) -> Self:
        """Connect."""
        self._in, self._out = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(self, *error: object) -> None:
        """Close."""
        self._out.close()

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
        """Send a request; return status and body."""
        return await self.send(method, path, b"" if body is None else json.dumps(body).encode())

    async def send(self, method: str, path: str, data: bytes) -> tuple[int, bytes]:
        """Send a request with a body that is JSON already; return status and body."""
        head = f"{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(data)}\r\n"
        self._out.write(head.encode() + b"content-type: application/json\r\n\r\n" + data)
        lines = (await self._in.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
        length = next(int(each[15:]) for each in lines if each.startswith(b"content-length:"))
        return int(lines[0].split()[1]), await self._in.readexactly(length)


def percentile(times: list[float], share: float) -> float:
    """Return a percentile in milliseconds."""
    return sorted(times)[min(len(times) - 1, int(share * len(times)))] * 1e3


async def watch_health(port: int, is_over: Callable[[], bool]) -> list[float]:
    """Ask ``/healthz`` 50 times a second until it is over; return the latencies in seconds."""
    times: list[float] = []
    async with Connection(port) as connection:
        while not is_over():
            start = time.monotonic()
            assert (await connection.ask("GET", "/healthz"))[0] == 200
            times.append(time.monotonic() - start)
            await asyncio.sleep(EVERY)
    return times


async def measure_speed(port: int, server: int, clients: int, seconds: float) -> None:
    """Print requests a second, the server's own time for each, and latencies."""
    times: list[float] = []
    end = time.monotonic() + seconds

    async def draw() -> None:
        async with Connection(port) as connection:
            while time.monotonic() < end:
                start = time.monotonic()
                status, answer = await connection.ask("POST", "/sdapi/v1/txt2img", BODY)
                assert status == 200, answer[:300]
                times.append(time.monotonic() - start)

    async with Connection(port) as connection:  # the first one makes the picture
        answer = json.loads((await connection.ask("POST", "/sdapi/v1/txt2img", BODY))[1])
    print(f"{len(base64.b64decode(answer['images'][0])) / 1024:.0f} KiB a picture")
    process = psutil.Process(server)
    before, busy_before = time.monotonic(), sum(process.cpu_times()[:2])
    watching = watch_health(port, lambda: time.monotonic() > end)
    drawing = asyncio.gather(*(draw() for _ in range(clients)))
    health, _ = await asyncio.gather(watching, drawing)
    rate = len(times) / (time.monotonic() - before)
    busy = (sum(process.cpu_times()[:2]) - busy_before) / len(times) * 1e3
    print(f"{rate:.1f} requests a second with {clients} clients, {busy:.2f} ms of a core for each")
    for name, found in (("txt2img", times), ("/healthz", health)):
        numbers = [f"p{share * 100:.0f} {percentile(found, share):.1f} ms" for share in (0.5, 0.99)]
        print(f"{name}: {', '.join(numbers)}, {len(found)} requests")


async def run_jobs(port: int, count: int, server: int) -> bool:
    """Send jobs, cancel some, kill the worker twice; print and return whether all add up."""
    draw = random.Random(7)
    accepted: list[str] = []
    refused: Counter[int] = Counter()
    kills = {count // 3, 2 * count // 3}
    process = psutil.Process(server)
    async with Connection(port) as connection:
        await wait_until_ready(connection)
        memory = [process.memory_info().rss]
        for number in range(count):
            body: Any = {"prompt": "a cat", "steps": draw.randint(1, 8), "width": 64, "height": 48}
            if draw.random() < 0.1:
                wrong = [{"width": 63}, {"sampler": "no"}, {"steps": 0}, {"prompt": 5}, {"x": 1}]
                body |= draw.choice(wrong)
            status, answer = await connection.ask("POST", "/api/v1/jobs", body)
            if status == 202:
                accepted.append(json.loads(answer)["id"])
            else:
                refused[status] += 1
            if draw.random() < 0.2 and accepted:
                chosen = draw.choice(accepted[-20:])
                assert (await connection.ask("DELETE", f"/api/v1/jobs/{chosen}"))[0] == 200
            if number in kills:
                kill_worker(process)
            if number % 100 == 99:
                memory.append(process.memory_info().rss)
        ends = await _ends(connection, accepted)
        memory.append(process.memory_info().rss)
    print(f"{len(accepted)} accepted, refused: {dict(refused)}, ends: {dict(ends)}")
    print("server's memory in MiB:", ", ".join(f"{each >> 20}" for each in memory))
    adds_up = sum(ends[state] for state in ("done", "cancelled", "failed")) == len(accepted)
    print("accepted = done + cancelled + failed" if adds_up else "JOBS ARE MISSING")
    return adds_up and set(refused) <= {422}


async def wait_until_ready(connection: Connection, workers: int = 1) -> None:
    """Return once so many workers of the server are ready to draw."""
    deadline = time.monotonic() + PATIENCE
    while await _count_ready(connection) < workers:
        assert time.monotonic() < deadline, "a worker does not come, or does not come back"
        await asyncio.sleep(0.05)


async def _count_ready(connection: Connection) -> int:
    engines = json.loads((await connection.ask("GET", "/readyz"))[1])["engines"]
    return sum(each["state"] == "ready" for each in engines)


def worker_of(server: psutil.Process) -> psutil.Process | None:
    """Return the worker: the child that has most memory; None where there is none."""
    children = server.children(recursive=True)
    return max(children, key=lambda each: each.memory_info().rss, default=None)


def kill_worker(server: psutil.Process) -> bool:
    """Kill the worker; tell whether there was one."""
    worker = worker_of(server)
    if worker is not None:
        os.kill(worker.pid, signal.SIGKILL)
    return worker is not None


async def _ends(connection: Connection, jobs: list[str]) -> Counter[str]:
    """Return how many jobs have ended in which state, once all have."""
    deadline = time.monotonic() + PATIENCE
    states: dict[str, str] = {}
    while time.monotonic() < deadline and len(states) < len(jobs):
        for job in jobs:
            if job not in states:
                state = json.loads((await connection.ask("GET", f"/api/v1/jobs/{job}"))[1])["state"]
                if state in ("queued", "running"):
                    break
                states[job] = state
        await asyncio.sleep(0.05)
    return Counter(states.values())


def start_server(
    folder: Path, kind: str, device: str | None = None
) -> tuple[subprocess.Popen[bytes], int]:
    """Start a server of a kind as a process of its own; return it and its port."""
    tail = [kind, *([device] if device else [])]
    return start_program(lambda port: ["tools.load_server", "serve", str(folder), str(port), *tail])


def start_program(
    command: Callable[[int], list[str]], log: int | BinaryIO = subprocess.DEVNULL
) -> tuple[subprocess.Popen[bytes], int]:
    """Start a module of Python with arguments; return it and its port, once it listens.

    ``command`` takes the port. ``log``: what it prints goes there.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", *command(port)], env=environment(), stderr=log, stdout=log
    )
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return process, port
        except OSError:
            time.sleep(0.1)
    process.kill()
    raise RuntimeError("the server does not start")


def main() -> int:
    """Run what the command line asks for; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", nargs="?", choices=["speed", "jobs", "both", "serve"])
    parser.add_argument("server", nargs="*", help="for serve: FOLDER PORT KIND [DEVICE]")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--count", type=int, default=1000)
    options = parser.parse_args()
    if options.part == "serve":
        folder, port, kind, *device = options.server
        run_server(Path(folder), int(port), kind, *device)
        return 0
    works = True
    for part, kind in (("speed", "instant"), ("jobs", "process")):
        if options.part not in (None, "both", part):
            continue
        with tempfile.TemporaryDirectory() as name:
            process, port = start_server(Path(name), kind)
            try:
                if part == "speed":
                    asyncio.run(measure_speed(port, process.pid, options.clients, options.seconds))
                else:
                    works = asyncio.run(run_jobs(port, options.count, process.pid))
            finally:
                process.terminate()
                process.wait(PATIENCE)
    return 0 if works else 1


if __name__ == "__main__":
    sys.exit(main())
