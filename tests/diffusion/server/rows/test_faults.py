"""Faults of disks, signals and devices, and full queues: D1, D2, F1, H5, H8, H9, W2, W4."""

from __future__ import annotations

import io
import os
import signal
import socket
import sqlite3
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image

from diffusion import Pipeline, Settings
from diffusion.server.engine.process import Patience, ProcessEngine
from diffusion.server.jobs.history import _TABLES, History
from diffusion.server.worker.process import WorkerOptions
from gpucore import Device
from tests.diffusion.server.fake_studio import FakeStudio
from tests.diffusion.server.live_server import (
    SECONDS,
    Live,
    ServerProcess,
    run_on_thread,
    wait_until,
)
from tests.diffusion.server.watched_engine import WatchedEngine
from tests.gpucore.losing import lose

# ------------------------------------------------------------------ H5, H8: the queue


def test_exactly_as_many_jobs_wait_as_may(tmp_path: Path) -> None:
    """H5: 300 requests of 12 clients; what is accepted is done in the end, the rest was told."""
    with run_on_thread(tmp_path, queue=20) as live:
        held = live.submit("hold")
        live.wait_for(held, "running")
        accepted, refused = [held], list[dict[str, str]]()

        def ask() -> None:
            with requests.Session() as session:
                for _ in range(25):
                    url = f"{live.url}/api/v1/jobs"
                    answer = session.post(url, json={"prompt": "x", "steps": 1}, timeout=30)
                    if answer.status_code == 202:
                        accepted.append(answer.json()["id"])
                    else:
                        assert answer.status_code == 429
                        refused.append(dict(answer.headers))

        threads = [threading.Thread(target=ask) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (len(accepted), len(refused)) == (21, 280)
        assert all(int(headers["retry-after"]) >= 1 for headers in refused)
        live.engine.released.set()
        states = Counter(live.wait_for(number, "done")["state"] for number in accepted)
        assert states == {"done": 21}


def test_a_job_leaves_at_once_and_as_often_as_asked(live: Live) -> None:
    """H8: one that waits, one that runs, one that has ended; by both routes."""
    running, waiting = live.submit("hold"), live.submit("hold")
    live.wait_for(running, "running")
    for route in ("", "/cancel"):
        ask = live.delete if route == "" else live.post
        assert ask(f"/api/v1/jobs/{waiting}{route}").json()["state"] == "cancelled"
    for _ in range(3):
        assert live.delete(f"/api/v1/jobs/{running}").status_code == 200
    assert live.wait_for(running, "cancelled")["pictures"] == []
    assert live.delete(f"/api/v1/jobs/{running}").json()["state"] == "cancelled"
    done = live.submit("x")
    live.wait_for(done, "done")
    assert live.delete(f"/api/v1/jobs/{done}").json()["state"] == "done"


# ------------------------------------------------------------------ H9: signals


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to handle")
def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    """H9: the job that ran is drawn by the next server."""
    server = ServerProcess(tmp_path, step_seconds=3600)
    answer = requests.post(f"{server.url}/api/v1/jobs", json={"prompt": "x"}, timeout=30)
    number = answer.json()["id"]
    url = f"{server.url}/api/v1/jobs/{number}"
    wait_until(lambda: requests.get(url, timeout=30).json()["state"] == "running")
    server.process.send_signal(signal.SIGTERM)
    ready = f"{server.url}/readyz"
    wait_until(lambda: requests.get(ready, timeout=30).status_code == 503)
    assert server.process.poll() is None, "it drains"
    server.process.send_signal(signal.SIGTERM)
    server.process.wait(SECONDS)  # a drain takes ten minutes
    assert list(tmp_path.rglob("*.p*")) == []
    with run_on_thread(tmp_path) as live:
        live.wait_for(number, "done")


# ------------------------------------------------------------------ W2, W4, F1: files


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux sets limits of other processes")
def test_a_server_without_free_files_fails_jobs_and_lives(tmp_path: Path) -> None:
    """W2: EMFILE, for pictures and for connections."""
    import resource

    server = ServerProcess(tmp_path)
    pid = server.process.pid
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    try:
        with requests.Session() as session:

            def draw() -> Any:
                url = f"{server.url}/api/v1/jobs"
                number = session.post(url, json={"prompt": "x"}, timeout=30).json()["id"]

                def ended() -> Any:
                    job = session.get(f"{url}/{number}", timeout=30).json()
                    return job if job["state"] in ("done", "failed") else None

                return wait_until(ended)

            assert draw()["state"] == "done"
            # 0, 1 and 2 stay open, so that nothing at all can be opened. With as many files as were
            # open just now, one that is closed a moment later makes room for another.
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, hard))
            failed = draw()
            assert failed["state"] == "failed"
            assert "files" in failed["message"]
            assert str(tmp_path) not in failed["message"]
            address = ("127.0.0.1", server.port)
            others = [socket.create_connection(address, 10) for _ in range(8)]
            assert session.get(f"{server.url}/healthz", timeout=30).ok
            for other in others:
                other.close()
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
            assert draw()["state"] == "done"
        wait_until(server.answers)
    finally:
        server.kill()


def test_a_folder_that_became_read_only_fails_jobs_and_not_the_server(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    """W2: EROFS; no half file stays."""

    def refuse(self: Path, data: bytes) -> int:
        self.touch()
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "write_bytes", refuse)
    job = live.wait_for(live.submit("first"), "failed")
    assert "Read-only file system" in job["message"]
    monkeypatch.undo()
    live.wait_for(live.submit("second"), "done")
    assert list(live.server.services.outputs.folder.rglob("*.part")) == []


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_no_link_in_the_output_folder_leads_out(live: Live, tmp_path: Path) -> None:
    """F1: a picture that somebody replaced by a link, and a day's folder that is one."""
    number = live.submit("x")
    live.wait_for(number, "done")
    outputs = live.server.services.outputs
    secret = tmp_path / "secret.png"
    file = next(outputs.folder.rglob("*.png"))
    file.rename(secret)

    def assert_closed() -> None:
        for path in (
            f"/api/v1/jobs/{number}/result",
            f"/api/v1/jobs/{number}/pictures/0?format=webp",
            f"/api/v1/gallery/{number}-0/thumbnail",
        ):
            assert live.get(path).status_code == 404
        archive = live.post("/api/v1/gallery/zip", {"pictures": [f"{number}-0"]}).content
        assert b"IHDR" not in archive

    file.symlink_to(secret)
    assert_closed()
    file.unlink()
    day = file.parent
    day.rmdir()
    (tmp_path / "day").mkdir()
    secret.rename(tmp_path / "day" / file.name)
    day.symlink_to(tmp_path / "day")
    assert_closed()
    assert live.delete(f"/api/v1/gallery/{number}-0").status_code == 404
    assert (tmp_path / "day" / file.name).exists()


# ------------------------------------------------------------------ W1: older versions

FIRST_TABLES = """
CREATE TABLE jobs (
  id TEXT PRIMARY KEY, user TEXT NOT NULL, interface TEXT NOT NULL, acknowledged INT NOT NULL,
  priority INT NOT NULL, key TEXT, digest TEXT NOT NULL, model TEXT NOT NULL, request TEXT,
  seed TEXT NOT NULL, count INT NOT NULL, state TEXT NOT NULL, message TEXT NOT NULL DEFAULT '',
  attempts INT NOT NULL DEFAULT 0, created REAL NOT NULL, ended REAL
) STRICT;
CREATE UNIQUE INDEX jobs_by_key ON jobs (user, key) WHERE key IS NOT NULL;
CREATE INDEX jobs_by_user ON jobs (user, id);
CREATE TABLE pictures (
  job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE, number INT NOT NULL,
  file TEXT NOT NULL, seed TEXT NOT NULL, width INT NOT NULL, height INT NOT NULL,
  infotext TEXT NOT NULL, partial INT NOT NULL, PRIMARY KEY (job, number)
) STRICT;
CREATE TABLE options (user TEXT PRIMARY KEY, chosen TEXT NOT NULL) STRICT;
CREATE TABLE hashes (
  path TEXT PRIMARY KEY, size INT NOT NULL, changed INT NOT NULL, sha256 TEXT NOT NULL
) STRICT;
"""
"""The tables of the first version."""

DEADLINES = """
CREATE TABLE deadlines (
  job TEXT PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE, at REAL NOT NULL
) STRICT;
"""
"""What the second version had besides."""

A_JOB = (
    "INSERT INTO jobs (id, user, interface, acknowledged, priority, key, digest, model, request,"
    " seed, count, state, created, ended) VALUES (?,'local','jobs',1,0,?,'','emoji',?,'7',1,?,?,?)"
)
SETTINGS = "Steps: 4, Sampler: Euler, CFG scale: 7, Seed: 7, Size: 64x48"
WAITING, DONE, UNKNOWN = "1" * 24, "0" * 24, "2" * 24


@pytest.mark.parametrize("tables", [FIRST_TABLES, FIRST_TABLES + DEADLINES])
def test_the_history_of_older_versions_is_read(tmp_path: Path, tables: str) -> None:
    """Jobs that waited are drawn; one whose request cannot be read any more fails with a reason."""
    (tmp_path / "2026-01-01").mkdir()
    with sqlite3.connect(tmp_path / "history.sqlite") as database:
        database.executescript(f"PRAGMA journal_mode = WAL; {tables} PRAGMA user_version = 1;")
        database.execute(A_JOB, (DONE, "k", None, "done", 1.0, 2.0))
        database.execute(A_JOB, (WAITING, None, '{"prompt":"x","steps":1}', "queued", 3.0, None))
        database.execute(A_JOB, (UNKNOWN, None, '{"prompt":"x","gone":1}', "running", 4.0, None))
        picture = (DONE, 0, "2026-01-01/x.png", "7", 64, 48, f"a cat\n{SETTINGS}", 0)
        database.execute("INSERT INTO pictures VALUES (?,?,?,?,?,?,?,?)", picture)
        database.execute("INSERT INTO options VALUES ('local', '{\"clip_skip\": 3}')")
    database.close()
    with run_on_thread(tmp_path) as live:
        live.wait_for(WAITING, "done")
        assert "cannot go on" in live.wait_for(UNKNOWN, "failed")["message"]
        jobs = live.get("/api/v1/jobs").json()["jobs"]
        assert [job["id"] for job in jobs] == [UNKNOWN, WAITING, DONE]
        assert jobs[-1]["prompt"] == "a cat"
        found = live.get("/api/v1/gallery", params={"search": "CAT"}).json()
        assert [each["job"] for each in found["pictures"]] == [DONE]
        assert live.get("/sdapi/v1/options").json()["CLIP_stop_at_last_layers"] == 3
        until = live.post("/api/v1/jobs?deadline=60", {"prompt": "x"}).json()["id"]
        live.wait_for(until, "done")
    history = History(tmp_path)
    history.close()


def test_the_tables_are_those_of_the_last_version_that_is_tested() -> None:
    """Who changes a table adds the old ones above, and a step that brings them to the new."""
    made = sqlite3.connect(":memory:")
    made.executescript(_TABLES)
    older = sqlite3.connect(":memory:")
    older.executescript(FIRST_TABLES + DEADLINES)
    query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
    for (name,) in older.execute(query).fetchall():
        columns = f"SELECT name, type FROM pragma_table_info('{name}')"
        assert older.execute(columns).fetchall() == made.execute(columns).fetchall(), name
    made.close()
    older.close()


# ------------------------------------------------------------------ D1, D2: devices


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows stops no process")
def test_a_worker_that_is_stopped_is_replaced(tmp_path: Path) -> None:
    """D1, D2: SIGSTOP, as a driver that hangs; the job is drawn by the next one."""
    engine = WatchedEngine("worker", FakeStudio(), Patience(load=4, step=4))
    with run_on_thread(tmp_path, [engine]) as live:
        wait_until(lambda: live.get("/readyz").ok)
        number = live.submit("slow", steps=100)
        wait_until(lambda: live.job(number)["step"] >= 2)
        stopped = engine.process_id
        assert stopped is not None
        os.kill(stopped, signal.SIGSTOP)
        wait_until(lambda: engine.losses)
        assert "hung" in engine.losses[0].lost.reason
        live.wait_for(number, "done")
        assert engine.process_id != stopped
        text = live.get("/metrics").text
        assert 'diffusion_worker_restarts_total{worker="worker"} 1.0' in text


@dataclass(frozen=True)
class LosingStudio(WorkerOptions):
    """A worker whose device is destroyed once, after a model was loaded; ``mark``: a file."""

    mark: Path = Path()

    def load(self, model: Path, device: Device) -> Pipeline:
        pipeline = super().load(model, device)
        if not self.mark.exists():
            self.mark.touch()
            lose(device)
        return pipeline


@pytest.fixture
def losing(tmp_path: Path, first: Device) -> Iterator[Live]:
    name = first.info.backend.partition("-")[0]
    engine = ProcessEngine("worker", LosingStudio(name, mark=tmp_path / "mark"))
    broken = tmp_path / "models" / "broken.safetensors"
    broken.parent.mkdir()
    broken.write_bytes(b"\x08\0\0\0\0\0\0\0{}      ")
    options = {"models": broken.parent}
    with run_on_thread(tmp_path / "out", [engine], **options) as live:
        wait_until(lambda: live.get("/readyz").ok)
        yield live


@pytest.mark.slow
def test_a_destroyed_device_is_opened_again_and_draws_the_same_bits(
    losing: Live, first: Device, tmp_path: Path
) -> None:
    """D1 with a real device. Before: a model file that is none fails its job, and tells no path."""
    wrong = losing.wait_for(losing.submit("x", model="broken"), "failed")
    assert str(tmp_path) not in wrong["message"]
    (tmp_path / "mark").unlink(missing_ok=True)
    losing.post("/api/v1/models/unload", {"model": "emoji"})
    fields: dict[str, Any] = {"seed": 4, "steps": 2, "width": 64, "height": 64}
    number = losing.submit("a red apple", **fields)
    losing.wait_for(number, "done")
    assert losing.get("/readyz").json()["engines"][0]["restarts"] == 1
    picture = Pipeline.load(device=first).draw(Settings("a red apple", **fields))[0]
    kept = losing.get(f"/api/v1/jobs/{number}/result").content
    with Image.open(io.BytesIO(kept)) as image:
        assert image.tobytes() == picture.tobytes()
