"""When the client tries again: busy servers, cut connections, restarts. No socket, no waiting."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from diffusion.client import (
    AnswerError,
    Client,
    ForeignAnswerError,
    Policy,
    ServerBusyError,
    UnreachableError,
)
from diffusion.client.addresses import server_url
from diffusion.errors import SettingsError

JOB = {"id": "a" * 24, "state": "done", "model": "m", "seed": 1, "count": 1, "created": 1.0}
Script = list[httpx2.Response | Exception]


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the seconds that the client would have waited."""
    waited: list[float] = []
    monkeypatch.setattr("diffusion.client.sync_client.time.sleep", waited.append)
    return waited


class Server:
    """Answers that are given one after another, and the requests that came."""

    def __init__(self, *script: httpx2.Response | Exception) -> None:
        self.script, self.requests = list(script), list[httpx2.Request]()

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        step = self.script.pop(0)
        if isinstance(step, Exception):
            raise step
        return step

    def client(self, policy: Policy | None = None) -> Client:
        return Client("there", policy=policy, transport=httpx2.MockTransport(self))


def answer(status: int, body: object = None, **headers: str) -> httpx2.Response:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx2.Response(status, json=body, headers=names)


def test_a_busy_server_is_asked_when_it_says(pauses: list[float]) -> None:
    server = Server(
        answer(429, retry_after="7"),
        answer(503, retry_after="2"),
        answer(503),
        answer(429, retry_after="nonsense"),
        answer(202, JOB),
    )
    assert server.client().submit("x").id == JOB["id"]
    assert pauses == [7.0, 2.0, 2.0, 4.0]
    keys = {request.headers["idempotency-key"] for request in server.requests}
    assert len(keys) == 1
    assert len({request.content for request in server.requests}) == 1


def test_a_date_is_read(pauses: list[float]) -> None:
    past = "Wed, 21 Oct 2015 07:28:00 GMT"
    assert Server(answer(503, retry_after=past), answer(200, JOB)).client().show("x").count == 1
    assert pauses == [0.0]


def test_it_gives_up_in_the_end(pauses: list[float]) -> None:
    body = {"detail": "3 jobs wait, as many as this server lets; come later"}
    server = Server(*(answer(429, body, retry_after="1") for _ in range(3)))
    with pytest.raises(ServerBusyError, match="3 jobs wait") as found:
        server.client(Policy(retries=2)).submit("x")
    assert (found.value.status, found.value.retry_after, pauses) == (429, 1.0, [1.0, 1.0])


def test_too_long_a_wait_is_no_wait(pauses: list[float]) -> None:
    with pytest.raises(ServerBusyError):
        Server(answer(429, retry_after="61")).client().models()
    assert pauses == []


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 500, 501])
def test_other_refusals_are_final(status: int, pauses: list[float]) -> None:
    with pytest.raises(AnswerError, match=f"no, thanks .status {status}.") as found:
        Server(answer(status, {"detail": "no, thanks"})).client().submit("x")
    assert found.value.status == status
    assert pauses == []


def test_a_refusal_without_a_sentence_has_the_name_of_its_status(pauses: list[float]) -> None:
    with pytest.raises(AnswerError, match=r"^Bad Gateway \(status 502\)$"):
        Server(httpx2.Response(502, content=b"<html>")).client().models()


def test_a_lost_connection_is_made_anew_with_the_same_key(pauses: list[float]) -> None:
    lost = httpx2.ReadError("cut")
    server = Server(httpx2.ConnectError("refused"), lost, answer(202, JOB))
    server.client().submit("x")
    assert len({request.headers["idempotency-key"] for request in server.requests}) == 1
    assert pauses == [0.5, 1.0]
    gone = Server(*(httpx2.ConnectError("refused") for _ in range(2)))
    with pytest.raises(UnreachableError, match="no answer from http://there:7860: refused"):
        gone.client(Policy(retries=1)).models()


def stream(*events: tuple[int, str, Any], cut: bool = False) -> httpx2.Response:
    def pieces() -> Iterator[bytes]:
        yield b": still here\n\n"
        for number, name, data in events:
            yield f"id: boot-{number}\nevent: {name}\ndata: {json.dumps(data)}\n\n".encode()
        if cut:
            yield b"id: boot-99\nevent: progr"
            raise httpx2.ReadError("cut")

    return httpx2.Response(200, content=pieces())


def test_events_go_on_where_they_were(pauses: list[float]) -> None:
    server = Server(
        stream((1, "state", JOB | {"state": "running"}), (2, "progress", {"step": 1}), cut=True),
        answer(503, retry_after="3"),
        httpx2.ConnectError("the server starts again"),
        stream((3, "progress", {"step": 2})),
        stream((4, "end", JOB)),
    )
    events = list(server.client().events("x"))
    assert [event.name for event in events] == ["state", "progress", "progress", "end"]
    assert [event.step for event in events] == [None, 1, 2, None]
    ids = [request.headers.get("last-event-id") for request in server.requests]
    assert ids == [None, "boot-2", "boot-2", "boot-2", "boot-3"]
    assert pauses == [0.5, 3.0, 2.0, 0.5]


def test_events_of_a_server_that_is_gone_end_with_an_error(pauses: list[float]) -> None:
    server = Server(*(stream() for _ in range(3)))
    with pytest.raises(UnreachableError, match="the events broke off"):
        list(server.client(Policy(retries=2)).events("x"))
    refusing = Server(answer(404, {"detail": "there is no job x"}))
    with pytest.raises(AnswerError, match="there is no job x"):
        list(refusing.client().events("x"))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (httpx2.Response(200, content=b"<html>"), "it is no JSON object"),
        (answer(200, []), "it is no JSON object"),
        (answer(200, {"id": "a"}), "Job lacks state, model, seed"),
        (answer(200, JOB | {"pictures": [3]}), "PictureRecord must be an object"),
    ],
)
def test_foreign_answers_are_told_apart(given: httpx2.Response, words: str) -> None:
    with pytest.raises(ForeignAnswerError, match=words):
        Server(given).client().show("x")


def foreign(read: Callable[[Client], object], response: httpx2.Response) -> None:
    with pytest.raises(ForeignAnswerError):
        read(Server(response).client())


def test_foreign_pictures_and_events_are_refused() -> None:
    job = JOB | {
        "pictures": [{"number": 0, "seed": 1, "width": 8, "height": 8, "infotext": ""}],
    }
    server = Server(answer(200, job), httpx2.Response(200, content=b"no picture"))
    with pytest.raises(ForeignAnswerError, match="give a PNG, JPEG or WebP"):
        server.client().pictures("x")
    foreign(lambda client: list(client.events("x")), stream((1, "progress", [])))


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("box", "http://box:7860"),
        ("127.0.0.1:80", "http://127.0.0.1:80"),
        ("[::1]", "http://[::1]:7860"),
        ("https://box", "https://box"),
        ("https://box/pictures/", "https://box/pictures"),
    ],
)
def test_addresses_are_hosts_or_urls(given: str, url: str) -> None:
    assert server_url(given) == url


@pytest.mark.parametrize(
    "given", ["", "ftp://box", "http://", "me:secret@box", "box/x", "box:port"]
)
def test_wrong_addresses_are_refused(given: str) -> None:
    with pytest.raises(SettingsError, match="must be HOST, HOST:PORT or an http URL"):
        server_url(given)


def test_a_path_in_the_url_is_kept() -> None:
    server = Server(answer(200, {"models": []}))
    with Client("https://box/a", "secret", transport=httpx2.MockTransport(server)) as client:
        assert client.models() == []
    assert str(server.requests[0].url) == "https://box/a/api/v1/models"
    assert server.requests[0].headers["authorization"] == "Bearer secret"
