"""W1, W2: a file system that is really full, and ``kill -9`` meanwhile. Only root can mount one."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image

from tests.diffusion.server.live_server import SECONDS, ServerProcess, run_on_thread, wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="tmpfs is Linux's")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Return a folder on a file system of 4 MB of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path) -> Path:
    """Write a file until no byte is free; return it."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (4096, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                pass
    return filler


class Client:
    """Sends jobs. ``taken``: the numbers that were given out; ``refused``: how many were not."""

    def __init__(self, server: ServerProcess) -> None:
        self.url, self.taken, self.refused = f"{server.url}/api/v1/jobs", list[str](), 0

    def submit(self, prompt: str) -> str | None:
        body = {"prompt": prompt, "steps": 1, "width": 1024, "height": 1024}
        answer = requests.post(self.url, json=body, timeout=SECONDS)
        if answer.status_code == 503:
            assert "disk" in answer.json()["detail"], answer.text
            self.refused += 1
            return None
        assert answer.status_code == 202, answer.text
        self.taken.append(str(answer.json()["id"]))
        return self.taken[-1]

    def ended(self, number: str) -> dict[str, Any] | None:
        job = requests.get(f"{self.url}/{number}", timeout=SECONDS).json()
        return job if job["state"] in ("done", "failed") else None


def test_kill_9_on_a_full_disk_loses_nothing_that_was_acknowledged(disk: Path) -> None:
    server = ServerProcess(disk)
    try:
        client = Client(server)
        first = client.submit("with room")
        assert first is not None
        done = wait_until(lambda: client.ended(first))
        assert done["state"] == "done"
        filler, states = fill(disk), list[str]()
        for number in range(20):
            name = client.submit(f"without room {number}")
            if name is not None:
                ended = wait_until(lambda n=name: client.ended(n))
                states.append(ended["state"])
                assert "space" in ended["message"] or "disk" in ended["message"], ended
        assert set(states) <= {"failed"}
        assert client.refused + len(states) == 20
        assert requests.get(f"{server.url}/healthz", timeout=SECONDS).ok
    finally:
        server.kill()
    filler.unlink()
    with run_on_thread(disk) as live:
        for number in client.taken:
            job = live.wait_for(number, "done", "failed")
            assert job["state"] == "done" or number != first
        assert live.get(f"/api/v1/jobs/{first}/result").ok
        live.wait_for(live.submit("with room again"), "done")
    assert list(disk.rglob("*.part")) == []
    for file in disk.rglob("*.png"):
        Image.open(file).verify()
    with sqlite3.connect(disk / "history.sqlite") as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    database.close()
