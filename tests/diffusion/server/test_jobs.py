"""Jobs: submit, events, results, cancel, limits, fairness, idempotency."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image

from diffusion.errors import OutputError
from diffusion.server.jobs.fair_queue import FairQueue
from diffusion.server.jobs.job import Job, Origin
from diffusion.server.jobs.request import JobRequest
from diffusion.settings import Settings
from tests.diffusion.server.live_server import Live, run_on_thread, wait_until


def events(
    live: Live, number: str, last: str | None = None
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield id, name and data of a job's events until the stream ends."""
    headers = {} if last is None else {"Last-Event-ID": last}
    url = f"{live.url}/api/v1/jobs/{number}/events"
    with requests.get(url, headers=headers, stream=True, timeout=30) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        fields: dict[str, str] = {}
        for line in answer.iter_lines(chunk_size=1, decode_unicode=True):
            if line:
                name, _, value = line.partition(": ")
                fields[name] = value
            elif "event" in fields:
                yield fields.get("id", ""), fields["event"], json.loads(fields["data"])
                fields = {}


def test_a_job_is_drawn_and_its_picture_fetched_in_three_kinds(live: Live) -> None:
    number = live.submit("a red apple", seed=7, count=2, width=32, height=24)
    done = live.wait_for(number, "done")
    assert done["progress"] == 1.0
    assert [each["seed"] for each in done["pictures"]] == [7, 8]
    for kind in ("png", "webp", "jpeg"):
        answer = live.get(f"/api/v1/jobs/{number}/pictures/1?format={kind}")
        assert answer.headers["content-type"] == f"image/{kind}"
        with Image.open(io.BytesIO(answer.content)) as image:
            assert (image.format or "").lower() == kind
            assert image.size == (32, 24)
    first = live.get(f"/api/v1/jobs/{number}/result").content
    with Image.open(io.BytesIO(first)) as image:
        assert "Seed: 7" in image.info["parameters"]
    assert live.get(f"/api/v1/jobs/{number}/pictures/2").status_code == 404


def test_the_simple_route_returns_the_picture_itself(live: Live) -> None:
    answer = live.post("/txt2img", {"prompt": "a red apple", "seed": 3, "width": 40, "height": 40})
    assert answer.status_code == 200
    assert answer.headers["x-seed"] == "3"
    assert Image.open(io.BytesIO(answer.content)).size == (40, 40)
    headers = {"accept": "application/json"}
    both = live.post("/txt2img", {"prompt": "x", "seed": 1, "count": 2}, headers=headers).json()
    assert both["seeds"] == [1, 2]
    assert live.post("/txt2img", {"prompt": "x", "count": 2}).status_code == 422


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"prompt": "x", "width": 500}, "width must be a multiple of 8, such as 496; got 500"),
        ({"prompt": "x", "sampler": "eulr"}, "did you mean euler"),
        ({"prompt": "x", "model": "/etc/passwd"}, "there is no model '/etc/passwd'"),
        ({"prompt": "x", "count": 101}, "count must be at most 100 here"),
        ({"prompt": "x", "width": 4096, "height": 4096}, "draws at most 4194304 pixels"),
        ({"prompt": "x", "steps": 1000, "count": 100}, "send several jobs"),
        ({"prompt": "x", "steps": "20"}, "valid integer"),
        ({"prompt": "x", "stepz": 20}, "Extra inputs"),
        ({"prompt": "x", "init_image": {"image": "http://127.0.0.1/a.png"}}, "no URL is fetched"),
        ({"prompt": "x", "init_image": {"image": "AAAA"}}, "give a PNG, JPEG or WebP file"),
    ],
)
def test_wrong_requests_are_refused_with_a_sentence(
    live: Live, body: dict[str, Any], words: str
) -> None:
    answer = live.post("/api/v1/jobs", body)
    assert answer.status_code == 422
    assert words in answer.text
    assert live.get("/api/v1/jobs").json() == {"jobs": []}


def test_numbers_that_json_has_not_are_refused(live: Live) -> None:
    answer = requests.post(
        f"{live.url}/api/v1/jobs",
        data='{"prompt": "x", "guidance": NaN}',
        headers={"content-type": "application/json"},
        timeout=30,
    )
    assert answer.status_code == 422
    text = requests.post(f"{live.url}/api/v1/jobs", data='{"prompt": "x"}', timeout=30)
    assert text.status_code == 422, "a body that is not said to be JSON is none"


def test_events_tell_the_whole_way_and_go_on_after_a_cut(live: Live) -> None:
    number = live.submit("hold on", steps=7)
    wait_until(lambda: live.job(number)["step"] == 1)
    stream = events(live, number)
    last, name, report = next(stream)
    assert (name, report["step"]) == ("state", 1)
    stream.close()
    live.engine.released.set()
    live.wait_for(number, "done")
    rest = list(events(live, number, last))
    names = [name for _, name, _ in rest]
    assert [data["step"] for _, name, data in rest if name == "progress"] == [2, 3, 4, 5, 6, 7]
    assert "preview" in names
    assert names[-2:] == ["picture", "end"]
    assert rest[-1][2]["state"] == "done"
    assert [name for _, name, _ in events(live, number)] == ["end"]
    assert [name for _, name, _ in events(live, number, "elsewhere-3")] == ["end"]


def test_a_job_is_cancelled_where_it_waits_and_where_it_runs(live: Live) -> None:
    running, waiting = live.submit("hold on"), live.submit("next")
    live.wait_for(running, "running")
    assert live.delete(f"/api/v1/jobs/{waiting}").json()["state"] == "cancelled"
    live.delete(f"/api/v1/jobs/{running}")
    assert live.wait_for(running, "cancelled")["pictures"] == []
    again = live.post(f"/api/v1/jobs/{running}/cancel").json()
    assert again["state"] == "cancelled"
    assert len(live.engine.drawn) == 1


def test_a_client_that_leaves_cancels_its_job(live: Live) -> None:
    with live.asking("/txt2img", {"prompt": "hold on"}):
        (job,) = wait_until(lambda: live.get("/api/v1/jobs").json()["jobs"])
    live.wait_for(job["id"], "cancelled")


def test_a_full_queue_answers_429_and_says_when(tmp_path: Path) -> None:
    with run_on_thread(tmp_path, queue=3) as live:
        first = live.submit("hold on")
        live.wait_for(first, "running")
        answers = [live.post("/api/v1/jobs", {"prompt": "x"}) for _ in range(8)]
        codes = [answer.status_code for answer in answers]
        assert codes == [202] * 3 + [429] * 5
        assert int(answers[-1].headers["retry-after"]) >= 1
        live.engine.released.set()
        for answer in answers[:3]:
            live.wait_for(answer.json()["id"], "done")
        assert live.post("/api/v1/jobs", {"prompt": "x"}).status_code == 202


def test_a_failed_job_says_why(live: Live) -> None:
    job = live.wait_for(live.submit("fail"), "failed")
    assert "infinite or NaN" in job["message"]
    answer = live.post("/txt2img", {"prompt": "fail"})
    assert answer.status_code == 500
    assert "infinite or NaN" in answer.json()["detail"]


def test_the_same_key_makes_one_job(live: Live) -> None:
    headers = {"Idempotency-Key": "one"}
    first = live.post("/api/v1/jobs", {"prompt": "x"}, headers=headers).json()
    again = live.post("/api/v1/jobs", {"prompt": "x"}, headers=headers).json()
    other = live.post("/api/v1/jobs", {"prompt": "y"}, headers=headers)
    assert first["id"] == again["id"]
    assert first["seed"] == again["seed"]
    assert other.status_code == 409
    assert len(live.get("/api/v1/jobs").json()["jobs"]) == 1


def test_a_job_of_a_lost_engine_is_drawn_once_more_and_no_more(live: Live) -> None:
    number = live.submit("hold on")
    live.wait_for(number, "running")
    wait_until(lambda: len(live.engine.drawn) == 1)
    live.call(live.engine.lose)
    wait_until(lambda: len(live.engine.drawn) == 2)
    live.call(live.engine.lose)
    job = live.wait_for(number, "failed")
    assert "lost 2 times" in job["message"]
    assert live.engine.drawn[0].seed == live.engine.drawn[1].seed


def test_a_full_disk_fails_the_job_and_not_the_server(live: Live) -> None:
    outputs = live.server.services.outputs
    day = live.wait_for(live.submit("first"), "done")
    assert day["state"] == "done"
    write, outputs.write = outputs.write, _full_disk  # type: ignore[method-assign]
    job = live.wait_for(live.submit("second"), "failed")
    assert "No space left" in job["message"]
    assert str(outputs.folder) not in job["message"]
    outputs.write = write  # type: ignore[method-assign]
    live.wait_for(live.submit("third"), "done")


def _full_disk(job: str, number: int, created: float, png: bytes) -> str:
    raise OutputError("/secret/place.png", "No space left on device", "make room there")


def _job(name: str, user: str, priority: int = 0) -> Job:
    settings = Settings(name)
    origin = Origin(user, priority=priority)
    return Job(name, JobRequest(prompt=name), settings, "m", Path("m"), origin, 0.0)


def test_users_take_turns_and_priorities_come_first() -> None:
    queue = FairQueue()
    for name in ("a1", "a2", "a3", "b1", "c1", "b2"):
        queue.add(_job(name, name[0]))
    queue.add(_job("late", "a", priority=5))
    order = [job.id for job in queue]
    assert order == ["late", "a1", "b1", "c1", "a2", "b2", "a3"]
    popped = [job.id for job in iter(queue.pop, None)]
    assert popped == order
    assert len(queue) == 0


def test_a_retried_job_comes_first_and_any_can_leave() -> None:
    queue = FairQueue()
    jobs = {name: _job(name, name[0]) for name in ("a1", "a2", "b1")}
    queue.add(jobs["a1"])
    queue.add(jobs["a2"])
    queue.add(jobs["b1"], first=True)
    assert queue.remove(jobs["a1"])
    assert not queue.remove(jobs["a1"])
    assert [job.id for job in queue] == ["b1", "a2"]


def test_jobs_that_wait_are_moved_and_get_other_priorities(live: Live) -> None:
    running = live.submit("hold on")
    live.wait_for(running, "running")
    a, b, c, d = (live.submit(name) for name in "abcd")

    def order() -> list[str]:
        return [job["id"] for job in live.get("/api/v1/queue").json()["jobs"]]

    def change(number: str, **fields: Any) -> requests.Response:
        url = f"{live.url}/api/v1/jobs/{number}"
        return requests.patch(url, json=fields, timeout=30)

    assert order() == [a, b, c, d]
    assert change(d, place=0).json()["state"] == "queued"
    assert order() == [d, a, b, c]
    assert change(a, place=99).ok
    assert order() == [d, b, c, a]
    assert change(c, priority=3).json()["priority"] == 3
    assert change(b, priority=3, place=0).ok
    assert order() == [b, c, d, a]
    assert change(b, priority=-2).ok
    assert order() == [c, d, a, b]
    assert [job["place"] for job in live.get("/api/v1/queue").json()["jobs"]] == [0, 1, 2, 3]
    assert change(running, place=0).status_code == 409
    assert change("0" * 24, place=0).status_code == 404
    assert [change(a, **each).status_code for each in ({}, {"place": -1}, {"priority": 11})] == [
        422
    ] * 3
    live.engine.released.set()
    for number in (a, b, c, d):
        live.wait_for(number, "done")
    assert [each.prompt for each in live.engine.drawn] == ["hold on", "c", "d", "a", "b"]


def test_another_priority_outlives_a_restart(tmp_path: Path) -> None:
    with run_on_thread(tmp_path) as live:
        live.wait_for(live.submit("hold on"), "running")
        first, second = live.submit("first"), live.submit("second")
        requests.patch(f"{live.url}/api/v1/jobs/{second}", json={"priority": 1}, timeout=30)
    with run_on_thread(tmp_path) as live:
        live.engine.released.set()
        live.wait_for(first, "done")
        live.wait_for(second, "done")
        assert [each.prompt for each in live.engine.drawn] == ["second", "hold on", "first"]
