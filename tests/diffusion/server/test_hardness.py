"""What a server must bear: hostile heads and names, large bodies, cut connections, full disks."""

from __future__ import annotations

import base64
import io
import json
import os
import socket
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
import uvicorn
from PIL import Image

from diffusion.errors import SettingsError
from diffusion.server.launch import SWITCH_SECONDS, make_server
from diffusion.server.logs import configure_logs
from diffusion.server.pictures import decode_base64
from diffusion.server.settings import load_settings
from tests.diffusion.server.fake_engine import FakeEngine
from tests.diffusion.server.live_server import Live, run_on_thread, wait_until

HEAD = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n"

POST = b"POST /api/v1/jobs HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"


def send(live: Live, data: bytes) -> bytes:
    """Send bytes on a connection of their own; return the first line of the answer."""
    with socket.create_connection(("127.0.0.1", live.port), timeout=20) as client:
        try:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            return client.recv(4096).partition(b"\r\n")[0]
        except OSError:
            return b"reset"


# ------------------------------------------------------------------ H: HTTP


def test_large_heads_are_refused(live: Live) -> None:
    """H2: one long header, many headers, a long path. The server goes on."""
    long_header = HEAD + b"x: " + b"y" * (2 << 20) + b"\r\n\r\n"
    many = HEAD + b"".join(b"x-%d: y\r\n" % n for n in range(100_000)) + b"\r\n"
    path = b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nhost: localhost\r\n\r\n"
    for data in (long_header, many, path):
        answer = send(live, data)
        assert answer == b"reset" or answer.split()[1] in (b"400", b"431"), answer[:80]
    assert live.get("/healthz").ok


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x00\xa5",
        b"GET / HTTP/9.9\r\n\r\n",
        HEAD + b"content-length: -5\r\n\r\n",
        POST + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        HEAD + b"content-length: 1\r\ncontent-length: 2\r\n\r\nx",
        b"POST /txt2img HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nhost: evil.example\r\n\r\n",
    ],
)
def test_requests_that_are_no_http_are_refused(live: Live, data: bytes) -> None:
    answer = send(live, data)
    assert answer in (b"", b"reset") or answer.split()[1][:1] == b"4", answer
    assert live.get("/healthz").ok


def test_a_body_of_another_length_is_no_request(live: Live) -> None:
    """H3: a lying Content-Length; a body said to be gzip is not unpacked."""
    assert send(live, POST + b'content-length: 900\r\n\r\n{"prompt": "x"}') != b"HTTP/1.1 202"
    answer = requests.post(
        f"{live.url}/api/v1/jobs",
        data=b"\x1f\x8b" + bytes(50),
        headers={"content-type": "application/json", "content-encoding": "gzip"},
        timeout=30,
    )
    assert answer.status_code == 422
    assert live.get("/api/v1/jobs").json() == {"jobs": []}


def test_ranges_change_nothing(live: Live) -> None:
    """H7: a thousand ranges are not answered one by one."""
    number = live.submit("x")
    live.wait_for(number, "done")
    ranges = "bytes=" + ",".join(f"{n}-{n + 5}" for n in range(1000))
    answer = live.get(f"/api/v1/jobs/{number}/result", headers={"range": ranges})
    assert answer.status_code in (200, 400, 416)
    assert len(answer.content) < 100_000


def test_health_is_answered_while_large_pictures_come_in(live: Live) -> None:
    """H6: two bodies of 6 MiB are parsed and decoded; health is asked all the time."""
    file = io.BytesIO()
    Image.frombytes("RGB", (1250, 1200), os.urandom(1250 * 1200 * 3)).save(
        file, "PNG", compress_level=0
    )
    picture = base64.b64encode(file.getvalue()).decode()
    body = {"prompt": "x", "steps": 1, "init_images": [picture], "width": 64, "height": 64}
    answers: list[int] = []
    asked = 0

    def draw() -> None:
        answers.append(live.post("/sdapi/v1/img2img", body).status_code)

    threads = [threading.Thread(target=draw) for _ in range(2)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert live.get("/healthz").ok
        asked += 1
    assert answers == [200, 200]
    assert asked >= 5, "the loop was free in between"


def test_text_and_base64_in_pieces_is_what_it_was() -> None:
    data = os.urandom((3 << 20) + 7)
    text = base64.b64encode(data).decode()
    assert decode_base64(text, "image") == data
    lines = "\r\n".join(text[i : i + 76] for i in range(0, len(text), 76))
    assert decode_base64(f"data:image/png;base64, {lines}", "image") == data
    assert decode_base64(text.rstrip("="), "image") == data


@pytest.mark.parametrize("place", [0, 100, (1 << 20) - 4, (1 << 20), (1 << 21) + 2])
@pytest.mark.parametrize("wrong", ["=", "==", "-", "\x00", "é"])
def test_what_is_no_base64_is_refused_wherever_it_stands(place: int, wrong: str) -> None:
    text = "QUJD" * (3 << 18)
    with pytest.raises(SettingsError, match="must be a picture as base64"):
        decode_base64(text[:place] + wrong + text[place:], "image")


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"prompt": ' * 10_000,
        '{"prompt": "\\ud800"}',
        '{"prompt": "x", "width": 1e400}',
        '{"prompt": "x", "seed": ' + "9" * 5000 + "}",
        '{"prompt": "x",}',
        "",
        "null",
        "[]",
        '"x"',
    ],
)
def test_odd_json_is_refused(live: Live, text: str) -> None:
    headers = {"content-type": "application/json"}
    for path in ("/api/v1/jobs", "/sdapi/v1/txt2img"):
        answer = requests.post(live.url + path, data=text, headers=headers, timeout=30)
        assert answer.status_code == 422, (path, answer.text)
    assert live.engine.drawn == []


def test_metrics_have_few_series_and_no_prompt(live: Live) -> None:
    """H10."""
    for n in range(5):
        live.wait_for(live.submit(f"secret-word {n}"), "done")
    text = live.get("/metrics").text
    assert "secret-word" not in text
    assert len([line for line in text.splitlines() if line[:1] != "#"]) <= 200


# ------------------------------------------------------------------ B, F: browsers and names


@pytest.mark.parametrize(
    "name",
    [
        "../../../etc/passwd",
        "..%2f..%2fetc%2fpasswd",
        "%2e%2e/history.sqlite",
        "..\\history.sqlite",
        "/etc/passwd",
        "a\x00b",
        "CON",
        "x" * 300,
        "é",
    ],
)
def test_no_name_in_a_request_opens_a_file(live: Live, name: str) -> None:
    """F1: an audit hook, which stays for ever but is idle later, sees every file that is opened."""
    opened: list[str] = []
    watching = threading.Event()
    watching.set()

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and watching.is_set() and isinstance(arguments[0], str):
            opened.append(arguments[0])

    sys.addaudithook(watch)
    statuses = [
        live.get(f"/api/v1/jobs/{each}{end}").status_code
        for each in (name.replace("\x00", "%00"), quote(name, safe=""))
        for end in ("", "/pictures/0", "/result", "/preview", "/events")
    ]
    for path, body in (
        ("/api/v1/jobs", {"prompt": "x", "model": name}),
        ("/sdapi/v1/txt2img", {"prompt": "x", "override_settings": {"sd_model_checkpoint": name}}),
        ("/api/v1/models/load", {"model": name}),
    ):
        statuses.append(live.post(path, body).status_code)
    watching.clear()
    assert set(statuses) <= {400, 403, 404, 422}
    wrong = ("passwd", "history.sqlite", "CON")
    assert [each for each in opened if each.endswith(wrong)] == []


def test_markup_in_texts_comes_back_as_data(live: Live) -> None:
    """B3, R6: answers that hold a client's text are no HTML, and no header is forged."""
    evil = "<img src=x onerror=alert(1)>\r\nset-cookie: a=b"
    for path, body in (
        ("/api/v1/jobs", {"prompt": "x", "model": evil}),
        ("/sdapi/v1/txt2img", {"prompt": "x", "styles": [evil]}),
        ("/sdapi/v1/txt2img", {"prompt": "x", "script_name": evil}),
    ):
        answer = live.post(path, body)
        assert answer.headers["content-type"].startswith("application/json")
        assert "set-cookie" not in answer.headers
    number = live.submit(evil)
    live.wait_for(number, "done")
    picture = live.get(f"/api/v1/jobs/{number}/result")
    assert picture.headers["content-type"] == "image/png"
    assert picture.headers["x-content-type-options"] == "nosniff"
    assert "\r" not in picture.headers["content-disposition"]


# ------------------------------------------------------------------ W: disks


def test_a_folder_that_cannot_be_written_fails_jobs_and_not_the_server(live: Live) -> None:
    """W2: the day's folder is a file; once it is gone, the next job works."""
    folder = live.server.services.outputs.folder
    day = time.strftime("%Y-%m-%d")
    (folder / day).write_text("in the way")
    job = live.wait_for(live.submit("first"), "failed")
    assert str(folder) not in job["message"]
    (folder / day).unlink()
    live.wait_for(live.submit("second"), "done")


def test_a_full_disk_of_the_history_refuses_jobs(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    """W2: what could not be written is not acknowledged."""
    configure_logs(as_json=False)  # the default draws all values of a traceback

    def full(*arguments: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(live.server.services.history, "add_job", full)
    assert live.post("/api/v1/jobs", {"prompt": "x"}).status_code == 503
    monkeypatch.undo()
    live.wait_for(live.submit("x"), "done")
    assert len(live.get("/api/v1/jobs").json()["jobs"]) == 1


# ------------------------------------------------------------------ H8, H9: streams that stay open


@pytest.fixture
def draining(tmp_path: Path) -> Iterator[Live]:
    with run_on_thread(tmp_path / "out", drain_seconds=60) as live:
        yield live


def test_streams_end_where_the_server_stops(draining: Live) -> None:
    """H9: an open stream of events does not keep the server."""
    number = draining.submit("hold on")
    draining.wait_for(number, "running")
    url = f"{draining.url}/api/v1/jobs/{number}/events"
    with requests.get(url, stream=True, timeout=30) as stream:
        lines = stream.iter_lines(chunk_size=1)
        assert next(lines).startswith(b"id: ")
        draining.call(draining.server.drain, "a test")
        wait_until(lambda: draining.server.services.scheduler.draining)
        refused = draining.post("/api/v1/jobs", {"prompt": "x"})
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        draining.engine.released.set()
        rest = b"\n".join(lines)
    assert b"event: end" in rest
    assert json.loads(rest.rpartition(b"data: ")[2])["state"] == "done"


def test_threads_change_often_while_the_server_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else each read and write waits five milliseconds for a thread that decodes a picture."""
    before, found = sys.getswitchinterval(), list[float]()
    settings = load_settings(None, {"output": tmp_path, "port": 0})
    server = make_server(settings, [FakeEngine()])
    monkeypatch.setattr(uvicorn.Server, "run", lambda *_: found.append(sys.getswitchinterval()))
    server.run()
    assert found == [pytest.approx(SWITCH_SECONDS)]
    assert sys.getswitchinterval() == before
