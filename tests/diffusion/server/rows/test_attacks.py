"""What somebody could try who may not, or who may and wants more: B1, B2, U1, H1."""

from __future__ import annotations

import pickle
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from diffusion.server.access.sessions import read_cookie
from diffusion.server.app import create_app
from diffusion.server.logs import configure_logs
from tests.diffusion.server.live_server import Live, run_on_thread, wait_until
from tests.diffusion.server.rows.users import TOKENS, ask_as, bearer, write_users

# ------------------------------------------------------------------ B2: sessions and tokens


def sign_in(live: Live, name: str) -> dict[str, str]:
    return {
        each.name: each.value or ""
        for each in live.post("/api/v1/session", headers=bearer(name)).cookies
    }


def test_a_session_does_not_renew_itself(guarded: Live) -> None:
    """A stolen cookie would be good for ever: only the token gives a new one."""
    cookie = sign_in(guarded, "bo")
    again = guarded.post("/api/v1/session", cookies=cookie)
    assert again.status_code == 200
    assert "set-cookie" not in again.headers


def test_who_signs_out_ends_the_session_for_all_that_have_its_cookie(tmp_path: Path) -> None:
    """It stays ended after a restart; another session of the same user goes on."""
    users = write_users(tmp_path)
    with run_on_thread(tmp_path / "out", users=users) as live:
        cookie = sign_in(live, "bo")
        wait_until(lambda: sign_in(live, "bo") != cookie)  # its end is counted in seconds
        other = sign_in(live, "bo")
        left = requests.delete(f"{live.url}/api/v1/session", cookies=cookie, timeout=30)
        assert left.status_code == 200
        assert live.get("/api/v1/session", cookies=cookie).status_code == 401
        assert live.get("/api/v1/session", cookies=other).status_code == 200
    with run_on_thread(tmp_path / "out", users=users) as live:
        assert live.get("/api/v1/session", cookies=cookie).status_code == 401
        assert live.get("/api/v1/session", cookies=other).status_code == 200


@pytest.mark.parametrize(
    ("header", "cookie"),
    [
        ("avila-session=x-1", "x-1"),
        ('other={"a": 1}; avila-session=x', "x"),
        ("a b c;; =; avila-session=x;", "x"),
        ("avila-sessions=y; AVILA-SESSION=z", None),
        ("", None),
    ],
)
def test_the_session_is_found_among_cookies_of_other_programs(
    header: str, cookie: str | None
) -> None:
    assert read_cookie(header) == cookie


def test_a_cookie_of_backslashes_is_read_at_once(
    guarded: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python's parser of cookies needs 8 s for these 60,000 bytes, and nobody had signed in."""

    def refuse(value: str) -> str:
        raise AssertionError("a cookie was parsed")

    monkeypatch.setattr("http.cookies._unquote", refuse)
    headers = {"cookie": 'avila-session="' + "\\" * 60_000 + '"'}
    assert guarded.get("/api/v1/jobs", headers=headers).status_code == 401
    assert guarded.get("/api/v1/jobs", headers={**headers, **bearer("bo")}).status_code == 200


def test_tokens_and_prompts_are_not_logged(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """B2, H10, R6: neither in the log, where right and where wrong; and no text forges a line."""
    configure_logs(as_json=False)
    with run_on_thread(tmp_path / "out", users=write_users(tmp_path)) as live:
        wrong = {"authorization": "Bearer wrong-wrong-wrong"}
        assert live.get("/api/v1/jobs", headers=wrong).status_code == 401
        body = {"prompt": "secret prompt %s {x} \x1b[31m\r\nforged"}
        for path in ("/api/v1/jobs", "/sdapi/v1/txt2img", "/v1/images/generations"):
            ask_as(live, "bo", "POST", path, json=body)
        ask_as(live, "bo", "GET", "/api/v1/jobs/\x1b[31m%0d%0aforged")
    text = "".join(capfd.readouterr())
    for word in (TOKENS["bo"], "wrong-wrong", "secret", "\x1b", "forged"):
        assert word not in text


# ------------------------------------------------------------------ B2: scopes and users

ADMIN_WORDS = ("load", "unload", "refresh", "download", "checkpoint", "sysinfo")
"""Words in the paths of routes that change the server for all, or tell about its machine."""


def routes(live: Live) -> list[tuple[str, str]]:
    """Return method and path of every route."""
    paths = create_app(live.server.services).inner.openapi()["paths"]
    return [(method.upper(), path) for path, methods in paths.items() for method in methods]


def test_routes_that_change_the_server_need_the_scope(guarded: Live) -> None:
    """Every route whose path has such a word: a new one is found by its name."""
    asked = [
        (method, re.sub(r"\{\w+\}", "0" * 24, path))
        for method, path in routes(guarded)
        if any(word in path for word in ADMIN_WORDS)
    ]
    assert len(asked) >= 12
    bodies = {"/api/v1/models/download": {"model": "a/b"}}
    open_ones = []
    for method, path in asked:
        body = bodies.get(path, {"model": "emoji"})
        status = ask_as(guarded, "bo", method, path, json=body).status_code
        if status not in (403, 501):
            open_ones.append((method, path, status))
    assert open_ones == []


def test_nothing_of_another_user_is_seen_or_changed(guarded: Live) -> None:
    """Every route that names a job or a picture, asked by another user, knows no such thing."""
    job = ask_as(guarded, "bo", "POST", "/api/v1/jobs", json={"prompt": "mine"}).json()["id"]
    wait_until(
        lambda: ask_as(guarded, "bo", "GET", f"/api/v1/jobs/{job}").json()["state"] == "done"
    )
    asked = [
        (
            method,
            path.replace("{job}", job).replace("{place}", "0").replace("{picture}", f"{job}-0"),
        )
        for method, path in routes(guarded)
        if "{job}" in path or "{picture}" in path
    ]
    assert len(asked) >= 11
    for method, path in asked:
        answer = ask_as(guarded, "cleo", method, path, json={"place": 0})
        assert answer.status_code == 404, (method, path)
        assert "mine" not in answer.text
    chosen = {"pictures": [f"{job}-0"]}
    for path in ("/api/v1/gallery/zip", "/api/v1/gallery/delete"):
        assert ask_as(guarded, "cleo", "POST", path, json=chosen).status_code == 404
    lists = ("/api/v1/jobs", "/api/v1/gallery", "/api/v1/queue", "/internal/pending-tasks")
    for path in (*lists, "/sdapi/v1/progress", "/metrics", "/readyz"):
        answer = ask_as(guarded, "cleo", "GET", path)
        assert answer.status_code == 200
        assert job not in answer.text
        assert "mine" not in answer.text
    task = {"id_task": job}
    shown = ask_as(guarded, "cleo", "POST", "/internal/progress", json=task).json()
    assert (shown["active"], shown["queued"], shown["completed"]) == (False, False, False)
    assert ask_as(guarded, "bo", "GET", f"/api/v1/jobs/{job}").json()["pictures"]


def test_the_same_key_of_two_users_makes_two_jobs(guarded: Live) -> None:
    jobs = [
        ask_as(
            guarded,
            name,
            "POST",
            "/api/v1/jobs",
            json={"prompt": "x"},
            headers={"idempotency-key": "k"},
        ).json()["id"]
        for name in ("bo", "cleo", "bo")
    ]
    assert jobs[0] == jobs[2] != jobs[1]


def test_interrupt_ends_ones_own_jobs_alone(guarded: Live) -> None:
    job = ask_as(guarded, "bo", "POST", "/api/v1/jobs", json={"prompt": "hold on"}).json()["id"]

    def state() -> str:
        return str(ask_as(guarded, "bo", "GET", f"/api/v1/jobs/{job}").json()["state"])

    wait_until(lambda: state() == "running")
    for path in ("/sdapi/v1/interrupt", "/sdapi/v1/skip"):
        assert ask_as(guarded, "cleo", "POST", path).ok
    services = guarded.server.services
    assert services.scheduler.jobs[job].stop is None
    guarded.engine.released.set()
    wait_until(lambda: state() == "done")
    assert services.scheduler.jobs[job].pictures[0].partial is False


# ------------------------------------------------------------------ B1: pages of other sites


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1.evil.example"])
def test_no_route_lets_a_page_of_another_site_change_something(live: Live, origin: str) -> None:
    """Every route that changes something, and some that do not exist."""
    found = [each for each in routes(live) if each[0] != "GET"]
    assert len(found) > 30
    unknown = [(method, "/nothing") for method in ("POST", "PUT", "PATCH", "DELETE")]
    for method, path in (*found, *unknown):
        url = live.url + re.sub(r"\{\w+\}", "0" * 24, path)
        answer = requests.request(method, url, headers={"origin": origin}, timeout=30)
        assert answer.status_code == 403, path
    assert live.engine.drawn == []


def test_a_form_of_another_page_is_no_json(live: Live) -> None:
    """``text/plain`` needs no leave of the browser, and is not read as JSON."""
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        answer = requests.post(
            f"{live.url}/api/v1/jobs",
            data='{"prompt": "x"}',
            headers={"content-type": kind},
            timeout=30,
        )
        assert answer.status_code == 422, kind
    assert live.engine.drawn == []


def test_there_are_no_web_sockets(live: Live) -> None:
    head = (
        "GET /api/v1/jobs HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\n"
        "upgrade: websocket\r\nsec-websocket-version: 13\r\n"
        "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\norigin: http://evil.example\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", live.port), timeout=20) as client:
        client.sendall(head.encode())
        assert b" 101 " not in client.recv(4096).partition(b"\r\n")[0]


def test_no_answer_lets_another_origin_read_it(live: Live) -> None:
    for path in ("/healthz", "/api/v1/jobs", "/openapi.json", "/", "/metrics"):
        headers = live.get(path, headers={"origin": "http://evil.example"}).headers
        assert "access-control-allow-origin" not in headers
        assert headers["cross-origin-resource-policy"] == "same-origin"


# ------------------------------------------------------------------ U1: addresses in requests

URLS = [
    "http://127.1:{port}/x",
    "http://0x7f000001:{port}/x",
    "http://2130706433:{port}/x",
    "http://[::ffff:127.0.0.1]:{port}/x",
    "http://%6cocalhost:{port}/x",
    "http://user@localhost:{port}/x",
    "http://localhost.:{port}/x",
    "http:\\\\localhost:{port}\\x",
    "HTTP://localhost:{port}/x",
    " http://localhost:{port}/x",
    "//localhost:{port}/x",
    "ftp://localhost:{port}/x",
    "gopher://localhost:{port}/x",
    "file:///etc/passwd",
    "/etc/passwd",
    "data:text/plain,x",
]


@pytest.fixture
def canary() -> Iterator[tuple[int, list[object]]]:
    """Return a port, and a list that gets a line for each connection to it."""
    heard: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def listen() -> None:
            while True:
                try:
                    connection, address = listening.accept()
                except OSError:
                    return
                heard.append(address)
                connection.close()

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        yield listening.getsockname()[1], heard
        listening.shutdown(socket.SHUT_RDWR)
    thread.join(10)


def test_no_address_in_a_request_is_asked(live: Live, canary: tuple[int, list[object]]) -> None:
    """Every field for a picture, with addresses in all disguises; a canary hears nothing."""
    port, heard = canary
    for form in URLS:
        url = form.format(port=port)
        bodies = {
            "/sdapi/v1/img2img": {"init_images": [url]},
            "/sdapi/v1/png-info": {"image": url},
            "/sdapi/v1/extra-single-image": {"image": url, "upscaler_1": "None"},
            "/api/v1/jobs": {"prompt": "x", "init_image": {"image": url}},
            "/api/v1/gallery/read": {"image": url},
        }
        for path, body in bodies.items():
            answer = live.post(path, body)
            assert answer.status_code == 422, (path, url, answer.text)
            assert "root:" not in answer.text
    assert heard == []
    socket.create_connection(("127.0.0.1", port)).close()
    wait_until(lambda: heard)  # the canary would have sung


def test_no_answer_tells_a_folder_of_the_server(tmp_path: Path) -> None:
    """F1: a model's file that is none, where its tokens are counted. A job says as much."""
    models = tmp_path / "models"
    models.mkdir()
    (models / "broken.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{}      ")
    with run_on_thread(tmp_path / "out", models=models) as live:
        answer = live.post("/api/v1/tokens", {"model": "broken", "prompts": ["x"]})
        assert answer.status_code == 422, "who asks may name another model"
        assert "broken.safetensors" in answer.json()["detail"]
        assert str(tmp_path) not in answer.text
        for path in ("/api/v1/models", "/sdapi/v1/sd-models", "/sdapi/v1/cmd-flags"):
            assert str(tmp_path) not in live.get(path).text


class Canary:
    """Makes a file where it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.trace,)


def test_a_pickle_among_models_and_loras_is_not_run(tmp_path: Path) -> None:
    """P1, P2, P6: it is listed under its name, and what reads it refuses it."""
    trace, folders = tmp_path / "trace", [tmp_path / "models", tmp_path / "loras"]
    data = pickle.dumps(Canary(trace))
    for folder in folders:
        folder.mkdir()
        for name in ("evil.safetensors", "evil.ckpt", "evil.bin", "evil.pt", "evil.pth"):
            (folder / name).write_bytes(data)
    with run_on_thread(tmp_path / "out", models=folders[0], loras=folders[1]) as live:
        assert [each["name"] for each in live.get("/sdapi/v1/loras").json()] == ["evil"]
        names = [each["name"] for each in live.get("/api/v1/models").json()["models"]]
        assert [name for name in names if "evil" in name] == ["evil.safetensors"]
        answer = live.post("/api/v1/tokens", {"model": "evil", "prompts": ["x"]})
        assert "avila convert" in answer.json()["detail"]
        for path in ("/sdapi/v1/refresh-loras", "/api/v1/models/refresh"):
            assert live.post(path).ok
    assert not trace.exists()
    pickle.loads(data)
    assert trace.exists()
