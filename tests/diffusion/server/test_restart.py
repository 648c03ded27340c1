"""The server's own end: ``kill -9`` loses nothing that was acknowledged, and SIGTERM drains."""

from __future__ import annotations

import signal
import sqlite3
import sys
from pathlib import Path

import pytest
import requests
from PIL import Image

from diffusion.server.errors import ConfigurationError
from diffusion.server.jobs.history import History
from tests.diffusion.server.live_server import (
    SECONDS,
    Live,
    ServerProcess,
    run_on_thread,
    wait_until,
)


def submit(server: ServerProcess, prompt: str) -> str:
    answer = requests.post(f"{server.url}/api/v1/jobs", json={"prompt": prompt}, timeout=30)
    assert answer.status_code == 202
    return str(answer.json()["id"])


def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """The server is killed while it writes; each number it gave out is drawn in the end."""
    server = ServerProcess(tmp_path, step_seconds=0.002)
    numbers = [submit(server, f"picture {i}") for i in range(30)]
    seeds = {
        number: requests.get(f"{server.url}/api/v1/jobs/{number}", timeout=30).json()["seed"]
        for number in numbers
    }
    server.kill()
    (tmp_path / ".avila-rest.part").write_bytes(b"half a picture")
    with run_on_thread(tmp_path) as live:
        assert not (tmp_path / ".avila-rest.part").exists()
        for number in numbers:
            done = live.wait_for(number, "done")
            assert [each["seed"] for each in done["pictures"]] == [seeds[number]]
            assert live.get(f"/api/v1/jobs/{number}/result").ok
    for file in tmp_path.rglob("*.png"):
        Image.open(file).verify()
    with sqlite3.connect(tmp_path / "history.sqlite") as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert database.execute("SELECT count(*) FROM jobs").fetchone() == (30,)
    database.close()


FEW = (2, 7)
POINTS = [*FEW, *(pytest.param(n, marks=pytest.mark.slow) for n in range(1, 41) if n not in FEW)]


@pytest.mark.parametrize("point", POINTS)
def test_kill_9_at_any_write_loses_nothing_that_was_acknowledged(
    tmp_path: Path, point: int
) -> None:
    """The process ends before a file is opened or renamed, or a statement of the history runs."""
    server = ServerProcess(tmp_path, kill_at=point)
    numbers: list[str] = []
    for number in range(8):
        try:
            numbers.append(submit(server, f"picture {number}"))
        except requests.RequestException:
            break
    assert server.process.wait(SECONDS) == -signal.SIGKILL
    with run_on_thread(tmp_path) as live:
        jobs = live.get("/api/v1/jobs").json()["jobs"]
        assert set(numbers) <= {job["id"] for job in jobs}
        for job in jobs:  # one more may have been written that was not acknowledged
            live.wait_for(job["id"], "done")
            assert live.get(f"/api/v1/jobs/{job['id']}/result").ok
    assert list(tmp_path.rglob("*.part")) == []
    for file in tmp_path.rglob("*.png"):
        Image.open(file).verify()
    with sqlite3.connect(tmp_path / "history.sqlite") as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    database.close()


def test_a_job_whose_client_waited_is_not_drawn_after_a_restart(tmp_path: Path) -> None:
    with run_on_thread(tmp_path) as live, live.asking("/txt2img", {"prompt": "hold"}):
        wait_until(lambda: live.get("/api/v1/jobs").json()["jobs"])
        kept = live.submit("hold on")
    with run_on_thread(tmp_path) as live:
        live.engine.released.set()
        live.wait_for(kept, "done")
        states = {job["id"]: job["state"] for job in live.get("/api/v1/jobs").json()["jobs"]}
        assert sorted(states.values()) == ["cancelled", "done"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to handle")
def test_sigterm_lets_the_running_job_end_and_keeps_the_rest(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path)
    numbers = [submit(server, f"hold {i}") for i in range(3)]
    job = f"{server.url}/api/v1/jobs/{numbers[0]}"
    wait_until(lambda: requests.get(job, timeout=30).json()["state"] == "running")
    server.process.send_signal(signal.SIGTERM)
    url = f"{server.url}/readyz"
    wait_until(lambda: requests.get(url, timeout=30).status_code == 503)
    assert requests.get(url, timeout=30).json()["reasons"] == ["the server is stopping"]
    refused = requests.post(f"{server.url}/api/v1/jobs", json={"prompt": "x"}, timeout=30)
    assert refused.status_code == 503
    server.process.send_signal(signal.SIGUSR1)
    assert server.process.wait(SECONDS) == 0
    history = History(tmp_path)
    try:
        assert len(list(tmp_path.rglob("*.png"))) == 1
    finally:
        history.close()
    with run_on_thread(tmp_path) as live:
        live.engine.released.set()
        for number in numbers:
            live.wait_for(number, "done")


def test_one_server_at_a_time_has_a_folder(live: Live) -> None:
    folder = live.server.services.outputs.folder
    with pytest.raises(ConfigurationError, match="another server has it open"):
        History(folder)
