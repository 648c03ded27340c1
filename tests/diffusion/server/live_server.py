"""A server that listens while a test runs: on a thread, or as a process that can be killed."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from diffusion.server.engine.interface import Engine
from diffusion.server.launch import DrainingServer, make_server
from diffusion.server.settings import load_settings
from tests.diffusion.server.fake_engine import FakeEngine
from tests.processes import environment

__all__ = ["SECONDS", "Live", "ServerProcess", "run_on_thread", "wait_until"]

SECONDS = 120.0
"""How long a test waits for what must come. A machine may be busy with much else."""


def wait_until(condition: Any, seconds: float = SECONDS) -> Any:
    """Return the first true value of ``condition()``; fail where it never comes."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.01)
    raise AssertionError("it did not come true in time")


@dataclass
class Live:
    """A running server and its address."""

    server: DrainingServer
    port: int
    loop: asyncio.AbstractEventLoop

    def call(self, function: Any, *arguments: Any) -> None:
        """Call a function in the server's event loop."""
        self.loop.call_soon_threadsafe(function, *arguments)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def engine(self) -> FakeEngine:
        engine = self.server.services.engines[0]
        assert isinstance(engine, FakeEngine)
        return engine

    def get(self, path: str, **options: Any) -> requests.Response:
        return requests.get(self.url + path, timeout=SECONDS, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> requests.Response:
        return requests.post(self.url + path, json=body, timeout=SECONDS, **options)

    def patch(self, path: str, body: Any, **options: Any) -> requests.Response:
        return requests.patch(self.url + path, json=body, timeout=SECONDS, **options)

    def put(self, path: str, body: Any, **options: Any) -> requests.Response:
        return requests.put(self.url + path, json=body, timeout=SECONDS, **options)

    def delete(self, path: str, **options: Any) -> requests.Response:
        return requests.delete(self.url + path, timeout=SECONDS, **options)

    @contextmanager
    def asking(self, path: str, body: Any) -> Iterator[None]:
        """Send a request, and leave without its answer; what is inside runs before that."""
        data = json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        with socket.create_connection(("127.0.0.1", self.port), SECONDS) as client:
            client.sendall(f"{head}content-length: {len(data)}\r\n\r\n".encode() + data)
            yield

    def submit(self, prompt: str, **fields: Any) -> str:
        """Submit a job; return its number."""
        answer = self.post("/api/v1/jobs", {"prompt": prompt, **fields})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def job(self, number: str) -> dict[str, Any]:
        found: dict[str, Any] = self.get(f"/api/v1/jobs/{number}").json()
        return found

    def wait_for(self, number: str, *states: str) -> dict[str, Any]:
        """Return a job once it is in one of the states."""
        found: dict[str, Any] = wait_until(
            lambda: job if (job := self.job(number))["state"] in states else None
        )
        return found


@contextmanager
def run_on_thread(
    folder: Path, engines: Sequence[Engine] | None = None, **options: Any
) -> Iterator[Live]:
    """Run a server on a thread, by default with a `FakeEngine`."""
    settings = load_settings(None, {"output": folder, "port": 0, **options})
    server = make_server(settings, [FakeEngine()] if engines is None else engines)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_until_complete, args=[server.serve()], daemon=True)
    thread.start()
    wait_until(lambda: server.started or not thread.is_alive())
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield Live(server, port, loop)
    finally:
        server.should_exit = True
        thread.join(SECONDS)
        loop.close()


class ServerProcess:
    """A server with a `FakeEngine` in a process of its own. ``port``: None for a free one."""

    def __init__(
        self,
        folder: Path,
        step_seconds: float = 0.0,
        *,
        kill_at: int = 0,
        port: int | None = None,
    ) -> None:
        command = [sys.executable, "-m", "tests.diffusion.server.fake_server"]
        arguments = [str(folder), str(port or 0), str(step_seconds)]
        arguments += [str(kill_at)] if kill_at else []
        self.process = subprocess.Popen(
            [*command, *arguments], env=environment(), stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        with self.process.stdout as output:
            self.port = int(output.readline())  # it has the port already: no other can take it
        self.url = f"http://127.0.0.1:{self.port}"
        wait_until(self.answers)

    def answers(self) -> bool:
        assert self.process.poll() is None, "the server has ended"
        try:
            return requests.get(f"{self.url}/healthz", timeout=1).ok
        except requests.RequestException:
            return False

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(SECONDS)
