"""Faults that pass: 503 and another try later, and no place of a job is lost (W2, D1, H6)."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from diffusion.server.jobs.history import History
from tests.diffusion.server.live_server import Live, wait_until

SMALL = {"prompt": "x", "width": 64, "height": 48, "steps": 2}


def full(*_: object) -> None:
    raise sqlite3.OperationalError("database or disk is full")


@pytest.mark.parametrize("path", ["/api/v1/jobs", "/txt2img", "/sdapi/v1/txt2img"])
@pytest.mark.parametrize("method", ["add_job", "begin_job", "add_picture"])
def test_a_full_disk_of_the_history(
    live: Live, monkeypatch: pytest.MonkeyPatch, path: str, method: str
) -> None:
    """A request is told to come again, or its job fails with the reason; the next one is drawn."""
    with monkeypatch.context() as patch:
        patch.setattr(History, method, full)
        answer = live.post(path, SMALL)
        if path == "/api/v1/jobs" and method != "add_job":
            failed = live.wait_for(answer.json()["id"], "failed")
            assert "disk is full" in failed["message"]
        else:
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
            assert "disk is full" in answer.text
    assert live.post("/txt2img", SMALL).status_code == 200


def test_an_end_that_cannot_be_written_frees_its_place(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(History, "end_job", full)
        assert live.post("/txt2img", SMALL).status_code == 200
        assert live.post("/txt2img", SMALL).status_code == 200, "one runs at once"
    assert live.server.services.scheduler.running == {}


def test_a_folder_that_takes_no_pictures(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", refuse)
    answer = live.post("/sdapi/v1/txt2img", SMALL)
    assert (answer.status_code, "No space left" in answer.text) == (503, True)
    assert str(live.server.services.outputs.folder) not in answer.text


def test_a_worker_that_is_lost_again_and_again(live: Live) -> None:
    """Its client gets 503, for the request may be good; a picture that fails is still 500."""
    answers: list[Any] = []
    body = {**SMALL, "prompt": "hold"}
    thread = threading.Thread(target=lambda: answers.append(live.post("/txt2img", body)))
    thread.start()
    running = live.server.services.scheduler.running
    for attempt in (1, 2):
        wait_until(lambda n=attempt: [job.attempts for _, job in [*running.values()]] == [n])
        live.call(live.engine.lose)
    thread.join(30)
    assert (answers[0].status_code, "lost 2 times" in answers[0].text) == (503, True)
    assert live.post("/txt2img", {**SMALL, "prompt": "fail"}).status_code == 500


def test_a_picture_whose_file_was_damaged(live: Live) -> None:
    number = live.submit("x")
    live.wait_for(number, "done")
    file = next(live.server.services.outputs.folder.rglob("*.png"))
    whole = file.read_bytes()
    for damaged in (b"", b"no picture", whole[: len(whole) // 2]):
        file.write_bytes(damaged)
        for path in (
            f"/api/v1/gallery/{number}-0/thumbnail",
            f"/api/v1/jobs/{number}/result?format=webp",
        ):
            answer = live.get(path)
            assert (answer.status_code, "is damaged" in answer.text) == (404, True)
