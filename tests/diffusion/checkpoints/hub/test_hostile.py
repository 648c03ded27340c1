"""Downloads from a login page, a wrong mirror or a hostile Hub: bounded, checked, told."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from huggingface_hub import constants

from diffusion.checkpoints import hub
from diffusion.checkpoints.hub import transfer
from diffusion.errors import ModelNotFoundError, OutputError, SettingsError
from tests.diffusion.checkpoints.hub.hostile_server import (
    PAGE,
    Answer,
    HostileServer,
    answer,
    drip,
    endless,
    listing,
    packed_bomb,
    raw,
    redirect,
    run,
    silence,
)

NAME = "some/model/a.safetensors"
COMMIT = "0" * 40
CONTENT = bytes(range(256)) * 64
SHA256 = hashlib.sha256(CONTENT).hexdigest()
GIT_HASH = hashlib.sha1(b"blob %d\0" % len(CONTENT) + CONTENT).hexdigest()


def entry(**changes: object) -> dict[str, object]:
    large = {"sha256": SHA256, "size": len(CONTENT)}
    found = {"rfilename": "a.safetensors", "size": len(CONTENT), "blobId": "1" * 40, "lfs": large}
    return found | changes


SOUND = listing(siblings=[entry()])
SMALL = listing(siblings=[entry(lfs=None, blobId=GIT_HASH)])

# what answers for the model, and what the message has
ABOUT_THE_MODEL: dict[str, tuple[Answer, str]] = {
    "a login page": (answer(PAGE), "web page"),
    "a login page as JSON": (answer(PAGE, "200 OK", "Content-Type: application/json"), "web page"),
    "a login page elsewhere": (redirect("/login"), "more than 5 times"),
    "nothing": (answer(b""), "no JSON object"),
    "null": (answer(b"null"), "no JSON object"),
    "a list": (answer(b"[]"), "no JSON object"),
    "a number": (answer(b"5"), "no JSON object"),
    "half an object": (answer(b'{"sha":'), "no JSON object"),
    "a deep object": (answer(b'{"a":' * 100_000), "no JSON object"),
    "a long number": (answer(b'{"sha":' + b"1" * 10_000 + b"}"), "no JSON object"),
    "no UTF-8": (answer(b'{"\xff": 1}'), "no JSON object"),
    "an empty object": (answer(b"{}"), "no list of the files"),
    "files that are none": (listing(siblings=[1, None]), "no file"),
    "files by name": (listing(siblings={"a.safetensors": 1}), "no list of the files"),
    "too many files": (listing(siblings=[1] * 100_001), "no list of the files"),
    "a file without a name": (listing(siblings=[entry(rfilename=None)]), "without a name"),
    "a size below 0": (listing(siblings=[entry(size=-1)]), "without a name or a size"),
    "a size as text": (listing(siblings=[entry(size="5")]), "without a name or a size"),
    "true as a size": (listing(siblings=[entry(size=True)]), "without a name or a size"),
    "an endless size": (listing(siblings=[entry(size=2**80)]), "without a name or a size"),
    "a large file as a list": (listing(siblings=[entry(lfs=[1])]), "without a hash"),
    "a large file without a hash": (listing(siblings=[entry(lfs={})]), "without a hash"),
    "a hash that is a path": (
        listing(siblings=[entry(lfs={"sha256": "../../../planted"})]),
        "malformed hash",
    ),
    "no hash": (listing(siblings=[entry(lfs=None, blobId=None)]), "malformed hash"),
    "git's hash as a path": (listing(siblings=[entry(lfs=None, blobId="/etc")]), "malformed hash"),
    "no commit": (listing(sha=..., siblings=[entry()]), "malformed hash"),
    "a commit that is a path": (listing(sha="../../x", siblings=[entry()]), "malformed hash"),
    "another file": (listing(siblings=[entry(rfilename="../a.safetensors")]), "no such file"),
    "names of a megabyte": (listing(siblings=[entry(rfilename="a" * 2**20)]), "no such file"),
    "a packed body": (packed_bomb(), "packed data"),
    "an endless body": (endless(), "more than 16777216 bytes"),
    "a long endless line": (endless(b"{" * 2**16), "more than 16777216 bytes"),
    "a dripping body": (drip(b"HTTP/1.1 200 OK\r\n\r\n{"), "less than"),
    "a dripping head": (drip(b"HTTP/1.1 200 OK\r\nX-A: "), "no answer within"),
    "dripping headers": (drip(b"HTTP/1.1 200 OK\r\n", b"A: b\r\n"), "no answer within"),
    "silence": (silence, "the Hub failed"),
    "an endless head": (raw(b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 2**21), "the Hub failed"),
    "a body cut short": (answer(b"{", length=100), "the Hub failed"),
    "a length that is none": (
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n{}"),
        "Hub failed",
    ),
    "no HTTP": (raw(b"SSH-2.0-OpenSSH_9.2\r\n"), "the Hub failed"),
    "a closed connection": (raw(b""), "the Hub failed"),
    "no Unicode in a header": (raw(b"HTTP/1.1 200 \xff\xfe\r\n\r\n{}"), "no list of the files"),
    "a loop": (redirect("/api/models/some/model"), "more than 5 times"),
    "a way to a file": (redirect("file:///etc/passwd"), "the Hub failed"),
    "a way to nowhere": (redirect("http://[::1"), "the Hub failed"),
    "a way without a target": (answer(b"", "302 Found"), "status 302"),
    "a large body on the way": (redirect("/", bytes(2**25)), "more than 5 times"),
    "not found": (answer(b"", "404 Not Found"), "does not know such a model"),
    "a proxy's refusal": (answer(PAGE, "407 Proxy Authentication Required"), "status 407"),
    "too many requests": (answer(b"", "429 Too Many Requests"), "too many requests"),
    "an error of the server": (answer(b"x" * 2**20, "500 Error"), "status 500"),
    "a teapot": (answer(b"", "418 Teapot"), "status 418"),
    "a switch of protocols": (answer(b"", "101 Switching Protocols"), "the Hub failed"),
}

# what answers for the file, and what the message has
ABOUT_THE_FILE: dict[str, tuple[Answer, str]] = {
    "a login page": (answer(PAGE, "200 OK", "Content-Type: text/html"), "web page"),
    "a login page without a type": (answer(PAGE), "web page"),
    "a large login page": (answer(PAGE.ljust(2**14)), "web page"),
    "another content": (answer(CONTENT[::-1]), "does not have the Hub's hash"),
    "not all of it": (answer(CONTENT[:-1]), "16383 of the 16384 bytes"),
    "more than all": (answer(CONTENT + b"\0"), "it sends more than the 16384 bytes"),
    "nothing": (answer(b""), "it sends 0 of the 16384 bytes"),
    "an endless body": (endless(), "it sends more than"),
    "a dripping body": (drip(b"HTTP/1.1 200 OK\r\n\r\n"), "less than"),
    "a dripping head": (drip(b"HTTP/1.1 200 OK\r\nX-A: "), "no answer within"),
    "a packed body": (packed_bomb(), "packed data"),
    "a cut connection": (answer(b"", length=9), "the Hub failed"),
    "a loop": (redirect("/resolve/"), "more than 5 times"),
    "not found": (answer(b"", "404 Not Found", "X-Error-Code: EntryNotFound"), "does not have"),
    "gated": (answer(b"", "403 Forbidden"), "the model is gated"),
    "an error of the server": (answer(b"", "503 Unavailable"), "status 503"),
}


@pytest.fixture(autouse=True)
def short_patience(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(transfer, "HEADER_SECONDS", 1.0)
    monkeypatch.setattr(transfer, "QUIET_SECONDS", 0.5)
    monkeypatch.setattr(transfer, "WINDOW_SECONDS", 0.3)


@contextmanager
def endpoint(
    monkeypatch: pytest.MonkeyPatch, info: Answer, file: Answer
) -> Iterator[HostileServer]:
    with run(info, file) as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        yield server


def require_one_line(error: pytest.ExceptionInfo[ModelNotFoundError], part: str) -> None:
    message = str(error.value)
    assert part in message
    assert message.isprintable()
    assert len(message) < 500


@pytest.mark.parametrize("case", ABOUT_THE_MODEL)
def test_what_is_no_answer_about_a_model(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    info, part = ABOUT_THE_MODEL[case]
    with (
        endpoint(monkeypatch, info, answer(CONTENT)),
        pytest.raises(ModelNotFoundError) as error,
    ):
        hub.fetch_offer(NAME)
    require_one_line(error, part)


@pytest.mark.parametrize("case", ABOUT_THE_FILE)
def test_what_is_no_file(case: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file, part = ABOUT_THE_FILE[case]
    with endpoint(monkeypatch, SOUND, file):
        offer = hub.fetch_offer(NAME)
        with pytest.raises(ModelNotFoundError) as error:
            hub.pull(offer)
    require_one_line(error, part)
    assert hub.cached_model(NAME) is None
    assert not list(tmp_path.rglob("*.safetensors"))
    assert sum(each.stat().st_size for each in tmp_path.rglob("*") if each.is_file()) <= 2**14


@pytest.mark.parametrize("info", [SOUND, SMALL], ids=["SHA-256", "git's hash"])
def test_every_content_has_its_hash(
    info: Answer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Files come by the commit that was shown, so that a change in between is no matter."""
    with (
        endpoint(monkeypatch, info, answer(CONTENT[::-1])),
        pytest.raises(ModelNotFoundError, match="does not have the Hub's hash"),
    ):
        hub.pull(hub.fetch_offer(NAME))
    shown: list[int] = []
    with endpoint(monkeypatch, info, answer(CONTENT)) as server:
        path = hub.pull(hub.fetch_offer(NAME), lambda name, done: shown.append(done))
    assert path.read_bytes() == CONTENT
    assert shown[-1] == len(CONTENT)
    assert f"GET /some/model/resolve/{COMMIT}/a.safetensors " in server.requests[-1]
    assert "main" not in server.requests[-1]
    assert hub.find_model(NAME) == path
    assert [model.commit for model in hub.cached_models()] == [COMMIT]


def test_another_revision_is_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with endpoint(monkeypatch, SOUND, answer(CONTENT)) as server:
        path = hub.pull(hub.fetch_offer(NAME, "fp16"))
    assert "/revision/fp16?" in server.requests[0]
    assert path.read_bytes() == CONTENT
    assert hub.cached_model(NAME) is None, "main is another revision"
    assert hub.cached_model(NAME, "fp16") is not None


@pytest.mark.parametrize("revision", ["../../etc", "/etc", "a/../b", "", "a b", "-x", "a" * 500])
def test_revisions_are_no_paths(revision: str) -> None:
    with pytest.raises(SettingsError, match="revision"):
        hub.fetch_offer(NAME, revision)


def test_a_file_that_the_server_sends_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A server that knows no ranges: what was here already is not kept beside it."""
    with endpoint(monkeypatch, SOUND, answer(CONTENT)) as server:
        offer = hub.fetch_offer(NAME)
        blobs = offer.folder / "blobs"
        blobs.mkdir(parents=True)
        (blobs / f"{SHA256}.avila.incomplete").write_bytes(b"x" * 100)
        assert hub.pull(offer).read_bytes() == CONTENT
    assert "range: bytes=100-" in server.requests[-1].lower()


def test_a_full_disk_is_no_fault_of_the_hub(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with endpoint(monkeypatch, SOUND, answer(CONTENT)):
        offer = hub.fetch_offer(NAME)
        offer.folder.mkdir(parents=True)
        (offer.folder / "blobs").touch()
        with pytest.raises(OutputError, match=r"blobs.*(File exists|Not a directory)"):
            hub.pull(offer)
