"""The gate: users, hosts, origins, headers, sizes and deadlines."""

from __future__ import annotations

import base64
import hashlib
import http.client
import re
import socket
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from diffusion.server.access.control import CHANGING_METHODS
from diffusion.server.access.sessions import sign_session
from diffusion.server.access.users import Credentials, create_users_file
from diffusion.server.app import create_app
from diffusion.server.errors import ConfigurationError
from diffusion.server.settings import load_settings
from tests.diffusion.server.live_server import Live, run_on_thread, wait_until

TOKENS = {"ana": "a" * 24, "bo": "b" * 24}


@pytest.fixture
def users(tmp_path: Path) -> Path:
    """Return a file with an admin and a user."""
    path = tmp_path / "users.toml"
    path.touch(0o600)
    path.write_text(
        f'[[users]]\nname = "ana"\ntoken = "{TOKENS["ana"]}"\nscopes = ["generate", "admin"]\n'
        f'[[users]]\nname = "bo"\ntoken = "{TOKENS["bo"]}"\n'
    )
    return path


@pytest.fixture
def guarded(tmp_path: Path, users: Path) -> Iterator[Live]:
    """Return a server with users."""
    with run_on_thread(tmp_path / "out", users=users) as live:
        yield live


def bearer(name: str) -> dict[str, str]:
    return {"authorization": f"Bearer {TOKENS[name]}"}


def routes(live: Live) -> list[tuple[str, str]]:
    """Return method and path of every route that the server has."""
    schema = create_app(live.server.services).inner.openapi()
    return [
        (method.upper(), re.sub(r"\{\w+\}", "0" * 24, path))
        for path, methods in schema["paths"].items()
        for method in methods
    ]


def test_every_route_is_behind_the_credential(guarded: Live) -> None:
    walked = [*routes(guarded), ("GET", "/openapi.json"), ("GET", "/nothing"), ("PUT", "/txt2img")]
    assert len(walked) > 60
    assert {method for method, _ in walked} <= {"GET", "HEAD", *CHANGING_METHODS}
    answers = {
        (method, path): requests.request(method, guarded.url + path, timeout=30).status_code
        for method, path in walked
    }
    open_routes = [path for (_, path), status in answers.items() if status != 401]
    assert sorted(open_routes) == ["/", "/healthz", f"/page/{'0' * 24}"]


def test_a_browser_signs_in_once(guarded: Live) -> None:
    """The cookie stands for the token, holds for its user alone, and cannot be made up."""
    assert guarded.get("/api/v1/session").status_code == 401
    answer = guarded.post("/api/v1/session", headers=bearer("bo"))
    assert answer.json() == {"user": "bo", "admin": False, "users": True}
    header = answer.headers["set-cookie"]
    for word in ("HttpOnly", "SameSite=strict", "Max-Age"):
        assert word in header
    assert TOKENS["bo"] not in header
    cookie = dict(answer.cookies)
    assert guarded.get("/api/v1/session", cookies=cookie).json()["user"] == "bo"
    ends, signature = cookie["avila-session"].split("-")
    longer, past = f"{int(ends) + 1}-{signature}", f"1000000000-{signature}"
    for wrong in (longer, past, f"{ends}-{'0' * 64}", f"{ends}-", "x-y", "", "\xe9"):
        headers = {"cookie": f"avila-session={wrong}".encode("latin-1")}
        assert guarded.get("/api/v1/session", headers=headers).status_code == 401
    ended = sign_session("bo", hashlib.sha256(TOKENS["bo"].encode()).digest(), ends=10**9)
    assert guarded.get("/api/v1/session", cookies={"avila-session": ended}).status_code == 401
    assert guarded.get("/api/v1/session", headers=bearer("bo")).status_code == 200
    left = guarded.delete("/api/v1/session", cookies=cookie)
    assert 'avila-session=""' in left.headers["set-cookie"]


@pytest.mark.parametrize(("dest", "scheme"), [("document", "Basic"), ("empty", "Bearer")])
def test_browsers_ask_for_a_password_only_for_an_address(
    guarded: Live, dest: str, scheme: str
) -> None:
    answer = guarded.get("/api/v1/jobs", headers={"sec-fetch-dest": dest})
    assert answer.headers["www-authenticate"] == f'{scheme} realm="avila"'


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ({}, 401),
        ({"authorization": ""}, 401),
        ({"authorization": "Bearer wrong"}, 401),
        ({"authorization": "Basic !!"}, 401),
        (bearer("bo"), 200),
        ({"authorization": "Basic " + base64.b64encode(b"bo:" + b"b" * 24).decode()}, 200),
        ({"authorization": "Basic " + base64.b64encode(b"ana:" + b"b" * 24).decode()}, 401),
    ],
)
def test_tokens_open_it_and_nothing_else(
    guarded: Live, header: dict[str, str], status: int
) -> None:
    assert guarded.get("/sdapi/v1/options", headers=header).status_code == status


def test_ten_wrong_tokens_close_the_door_for_a_while(guarded: Live) -> None:
    wrong = {"authorization": "Bearer wrong"}
    codes = [guarded.get("/readyz", headers=wrong).status_code for _ in range(12)]
    assert codes == [401] * 10 + [429] * 2


def test_users_see_their_own_jobs_and_options_alone(guarded: Live) -> None:
    job = guarded.post("/api/v1/jobs", {"prompt": "x"}, headers=bearer("ana")).json()["id"]
    guarded.post("/sdapi/v1/options", {"CLIP_stop_at_last_layers": 2}, headers=bearer("ana"))
    assert guarded.get(f"/api/v1/jobs/{job}", headers=bearer("bo")).status_code == 404
    assert guarded.get("/api/v1/jobs", headers=bearer("bo")).json() == {"jobs": []}
    chosen = guarded.get("/sdapi/v1/options", headers=bearer("bo")).json()
    assert chosen["CLIP_stop_at_last_layers"] == 1
    mine = guarded.post("/api/v1/jobs", {"prompt": "x"}, headers=bearer("bo")).json()["id"]
    listed = guarded.get("/api/v1/jobs", headers=bearer("ana")).json()["jobs"]
    assert {each["id"] for each in listed} == {job, mine}


def test_users_move_their_own_jobs_alone(guarded: Live) -> None:
    held = guarded.post("/api/v1/jobs", {"prompt": "hold on"}, headers=bearer("ana")).json()["id"]
    mine = guarded.post("/api/v1/jobs", {"prompt": "x"}, headers=bearer("ana")).json()["id"]

    def change(name: str, **fields: int) -> int:
        url = f"{guarded.url}/api/v1/jobs/{mine}"
        return requests.patch(url, json=fields, headers=bearer(name), timeout=30).status_code

    assert change("bo", place=0) == 404
    assert change("bo", priority=1) == 403
    assert change("ana", priority=1) == 200
    assert guarded.get("/api/v1/queue", headers=bearer("bo")).json()["jobs"] == []
    for job in (held, mine):
        requests.delete(f"{guarded.url}/api/v1/jobs/{job}", headers=bearer("ana"), timeout=30)


def test_admin_routes_need_the_scope(guarded: Live) -> None:
    for path, body in (
        ("/api/v1/models/load", {"model": "emoji"}),
        ("/api/v1/models/unload", {"model": "emoji"}),
        ("/api/v1/models/refresh", None),
        ("/sdapi/v1/unload-checkpoint", None),
        ("/sdapi/v1/refresh-checkpoints", None),
        ("/sdapi/v1/refresh-loras", None),
        ("/sdapi/v1/refresh-embeddings", None),
        ("/api/v1/adapters/refresh", None),
        ("/sdapi/v1/reload-checkpoint", None),
        ("/api/v1/jobs?priority=1", {"prompt": "x"}),
    ):
        assert guarded.post(path, body, headers=bearer("bo")).status_code == 403
        assert guarded.post(path, body, headers=bearer("ana")).status_code in (200, 202)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("127.0.0.1:7860", 200),
        ("[::1]:7860", 200),
        ("evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("192.168.1.5", 403),
        ("", 403),
        ("[", 403),
    ],
)
def test_other_hosts_are_refused(live: Live, host: str, status: int) -> None:
    assert live.get("/readyz", headers={"host": host}).status_code == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 202),
        ({"origin": "null"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "http://127.0.0.1:1"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-origin"}, 202),
    ],
)
def test_pages_of_other_sites_change_nothing(
    live: Live, headers: dict[str, str], status: int
) -> None:
    answer = live.post("/api/v1/jobs", {"prompt": "x"}, headers=headers)
    assert answer.status_code == status
    for method in ("PUT", "PATCH", "DELETE"):
        other = requests.request(method, f"{live.url}/api/v1/jobs", headers=headers, timeout=30)
        assert (other.status_code == 403) == (status == 403)
    assert len(live.get("/api/v1/jobs").json()["jobs"]) == (status == 202)


def test_a_page_of_this_server_may_change_something(live: Live) -> None:
    answer = live.post("/api/v1/jobs", {"prompt": "x"}, headers={"origin": live.url})
    assert answer.status_code == 202


def test_every_answer_has_the_headers(live: Live) -> None:
    for path in ("/healthz", "/readyz", "/nothing", "/sdapi/v1/samplers"):
        headers = live.get(path).headers
        assert headers["content-security-policy"].startswith("default-src 'self';")
        assert headers["x-content-type-options"] == "nosniff"
        assert "server" not in headers
        assert 0 <= float(headers["x-process-time"]) < 600


def test_a_body_that_is_too_large_is_refused(tmp_path: Path) -> None:
    with run_on_thread(tmp_path, largest_body=2048) as live:
        for path in ("/txt2img", "/v1/images/generations"):
            answer = live.post(path, {"prompt": "x" * 4000})
            assert answer.status_code == 413
            assert "a request may have at most 2048 bytes; send less" in answer.text
        head = b"POST /txt2img HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n"
        chunk = b"400\r\n" + b"x" * 0x400 + b"\r\n"
        with socket.create_connection(("127.0.0.1", live.port), timeout=10) as client:
            client.sendall(head + b"content-type: application/json\r\n\r\n" + chunk * 3)
            refused = http.client.HTTPResponse(client)
            refused.begin()
            assert refused.status == 413
            assert b'"detail":"a request may have at most 2048 bytes; ' in refused.read()
        assert live.get("/healthz").ok


def test_slow_requests_are_cut_off(tmp_path: Path) -> None:
    with run_on_thread(tmp_path, head_seconds=0.4, body_seconds=0.6) as live:
        starts = (b"", b"GET /healthz HTT", b"POST /txt2img HTTP/1.1\r\nhost: localhost\r\n")
        whole_head = b"POST /txt2img HTTP/1.1\r\nhost: localhost\r\ncontent-length: 900\r\n\r\n{"
        for start in (*starts, whole_head):
            with socket.create_connection(("127.0.0.1", live.port), timeout=10) as client:
                client.sendall(start)
                wait_until(lambda each=client: is_cut_off(each))


def is_cut_off(client: socket.socket) -> bool:
    """Send one more byte; tell whether the server has closed the connection."""
    try:
        client.sendall(b"x")
    except OSError:
        return True
    return False


def test_a_server_for_others_needs_users(users: Path) -> None:
    with pytest.raises(ConfigurationError, match="avila serve --new-users"):
        load_settings(None, {"host": "0.0.0.0"})
    assert load_settings(None, {"host": "0.0.0.0", "users": users}).host == "0.0.0.0"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_the_file_of_users_is_for_its_owner(tmp_path: Path, users: Path) -> None:
    made = tmp_path / "made.toml"
    create_users_file(made)
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    Credentials(made)
    with pytest.raises(ConfigurationError, match="cannot be written"):
        create_users_file(made)
    users.chmod(0o640)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        Credentials(users)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[[users]]\nname = 'x'\ntoken = 'short-secret'\n",
        "[[users]]\nname = 'x'\ntoken = 'secret-secret-secret-x'\nscopes = ['root']\n",
        "[[users]]\nname = 'x y'\ntoken = 'secret-secret-secret-x'\n",
        "not toml",
    ],
)
def test_a_wrong_file_of_users_is_refused_without_its_tokens(tmp_path: Path, text: str) -> None:
    path = tmp_path / "users.toml"
    path.touch(0o600)
    path.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        Credentials(path)
    assert "secret" not in str(caught.value)


def test_settings_come_from_file_environment_and_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "server.toml"
    file.write_text('port = 1\nqueue = 7\nvram = "8GB"\nhost = "localhost"\n[work]\ncount = 3\n')
    monkeypatch.setenv("AVILA_PORT", "2")
    settings = load_settings(file, {"host": "127.0.0.1", "device": None})
    assert (settings.port, settings.queue, settings.host) == (2, 7, "127.0.0.1")
    assert (settings.vram, settings.work.count) == (8 << 30, 3)
    file.write_text("prot = 1\nqueue = 0\n")
    with pytest.raises(ConfigurationError, match=r"prot is no setting.*") as caught:
        load_settings(file, {})
    assert "queue" in str(caught.value)
    with pytest.raises(ConfigurationError, match="check --config"):
        load_settings(tmp_path / "none.toml", {})
