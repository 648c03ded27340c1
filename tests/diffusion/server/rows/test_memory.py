"""What jobs and clients may keep in memory: H1, H5, L1."""

from __future__ import annotations

import base64
import gc
import io
import os
import re
import socket
import sys
import time
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import requests
from PIL import Image

from tests.diffusion.server.live_server import Live, run_on_thread, wait_until


def picture(side: int, *, noise: bool = False) -> str:
    """Return a picture as base64 of a PNG."""
    image = Image.new("RGB", (side, side), (0, 90, 0))
    if noise:
        image = Image.frombytes("RGB", (side, side), os.urandom(3 * side * side))
    file = io.BytesIO()
    image.save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def from_picture(side: int, **fields: Any) -> dict[str, Any]:
    """Return a request that starts from a picture and a mask."""
    given = picture(side)
    init = {"image": given, "strength": 0.5, "inpaint": {"mask": given}}
    return {"prompt": "x", "steps": 1, "init_image": init, **fields}


def test_an_ended_job_lets_its_pictures_go(live: Live) -> None:
    """The last 200 jobs can still be looked at; their init images would be gigabytes."""
    live.engine.released.clear()
    number = live.post("/api/v1/jobs", from_picture(64, prompt="hold")).json()["id"]
    live.wait_for(number, "running")
    job = live.server.services.scheduler.jobs[number]
    assert job.settings.init_image is not None
    assert job.picture_bytes > 2 * 4 * 64 * 64
    image = weakref.ref(job.settings.init_image.image)
    wait_until(lambda: live.engine.drawn)
    live.engine.drawn.clear()
    live.engine.released.set()
    live.wait_for(number, "done")
    assert job.picture_bytes < 100
    assert job.request.init_image is None
    live.engine.tasks.clear()  # the fake one keeps what it drew
    live.engine._tasks.clear()

    def is_gone() -> bool:
        gc.collect()
        return image() is None

    wait_until(is_gone)
    assert live.get(f"/api/v1/jobs/{number}/result").ok


def test_the_info_of_a_picture_from_a_picture_is_whole(live: Live) -> None:
    body = {"init_images": [picture(64)], "denoising_strength": 0.25, "steps": 2}
    answer = live.post("/sdapi/v1/img2img", body)
    assert '"denoising_strength": 0.25' in answer.json()["info"]


def test_jobs_that_wait_take_only_so_much_memory(tmp_path: Path) -> None:
    """Pictures of 512x512 take 1 MiB each; without pictures there is room still."""
    with run_on_thread(tmp_path, queue_memory="5MiB") as live:
        held = live.submit("hold")
        live.wait_for(held, "running")
        body = from_picture(512, prompt="hold")
        answers = [live.post("/api/v1/jobs", body) for _ in range(4)]
        assert [each.status_code for each in answers] == [202, 202, 429, 429]
        assert int(answers[-1].headers["retry-after"]) >= 1
        assert "pictures" in answers[-1].json()["detail"]
        assert 'diffusion_jobs_refused_total{why="memory_full"} 2.0' in live.get("/metrics").text
        waiting = [live.submit("x"), *(each.json()["id"] for each in answers[:2])]
        live.engine.released.set()
        for number in waiting:
            live.wait_for(number, "done")
        assert live.post("/api/v1/jobs", body).status_code == 202


def test_a_client_that_takes_nothing_is_cut_off(tmp_path: Path) -> None:
    """H1, the other way round: the rest of an answer would stay in memory for ever."""
    with run_on_thread(tmp_path, send_seconds=3) as live:
        number = live.submit("x")
        live.wait_for(number, "done")
        file = next(tmp_path.rglob("*.png"))
        file.write_bytes(os.urandom(24 << 20))
        ask = f"GET /api/v1/jobs/{number}/result HTTP/1.1\r\nhost: localhost\r\n\r\n"
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", live.port))
            client.sendall(ask.encode())
            client.recv(1)
            wait_until(lambda: not live.server.server_state.connections)
        whole = requests.get(f"{live.url}/api/v1/jobs/{number}/result", timeout=30).content
        assert whole == file.read_bytes()


def test_a_stream_that_says_nothing_is_left_open(tmp_path: Path) -> None:
    """Who waits for events has taken all there is."""
    with run_on_thread(tmp_path, send_seconds=0.05) as live:
        number = live.submit("hold")
        live.wait_for(number, "running")
        url = f"{live.url}/api/v1/jobs/{number}/events"
        with requests.get(url, stream=True, timeout=30) as stream:
            lines = stream.iter_lines(chunk_size=1)
            next(lines)
            for _ in range(20):
                assert live.get("/healthz").ok
            live.engine.released.set()
            assert b"event: end" in b"\n".join(lines)


def allow_files(count: int) -> None:
    """Let this process open so many files where it may: shells often give it 1,024."""
    if sys.platform != "win32":
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != resource.RLIM_INFINITY and soft < count:
            resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


def test_five_hundred_idle_connections_are_closed_and_cost_little(tmp_path: Path) -> None:
    """H1: others are answered meanwhile. Both ends of each connection are files here."""
    allow_files(2048)
    process = psutil.Process()
    with run_on_thread(tmp_path, head_seconds=4) as live:
        assert live.get("/healthz").ok
        before = process.memory_info().rss
        idle = [socket.create_connection(("127.0.0.1", live.port), 30) for _ in range(250)]
        slow = [socket.create_connection(("127.0.0.1", live.port), 30) for _ in range(250)]
        for each in slow:
            with suppress(ConnectionError):  # one that was closed already
                each.sendall(b"GET /healthz HTTP/1.1\r\nhost: local")
        assert live.get("/healthz").ok
        assert process.memory_info().rss - before < 50 << 20
        wait_until(lambda: not live.server.server_state.connections)
        for each in (*idle, *slow):
            with each, suppress(ConnectionError):
                assert each.recv(10) == b""


def test_metrics_tell_how_late_the_loop_is(live: Live) -> None:
    """H6: something holds the loop for 60 ms, and that is counted."""

    def late() -> float:
        text = live.get("/metrics").text
        found = dict(re.findall(r'loop_lag_seconds_bucket\{le="([^"]+)"\} ([\d.]+)', text))
        return float(found["+Inf"]) - float(found["0.02"])

    before = late()
    live.call(time.sleep, 0.15)
    wait_until(lambda: late() > before)
