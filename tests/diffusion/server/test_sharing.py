"""Several jobs at once on an engine: joining, waiting, stopping, failing, being tried again."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from diffusion import Pipeline, Settings
from diffusion.server.engine.process import ProcessEngine
from diffusion.server.worker.process import WorkerOptions
from gpucore import Device
from tests.diffusion.server.fake_engine import HOLD, FakeEngine
from tests.diffusion.server.fake_studio import FakeStudio
from tests.diffusion.server.live_server import Live, run_on_thread, wait_until


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """Return a server with a process that draws three jobs at once, with a fake pipeline."""
    engine = ProcessEngine("worker", FakeStudio(jobs=3))
    with run_on_thread(tmp_path_factory.mktemp("out"), [engine]) as live:
        wait_until(lambda: live.get("/readyz").ok)
        yield live


def engine_of_three() -> FakeEngine:
    engine = FakeEngine()
    engine.capacity = 3
    return engine


def states(live: Live, numbers: list[str]) -> list[str]:
    return [live.job(number)["state"] for number in numbers]


def test_jobs_run_side_by_side_and_one_more_waits(worker: Live) -> None:
    slow = [worker.submit("slow", steps=400) for _ in range(3)]
    wait_until(lambda: all(worker.job(number)["step"] >= 2 for number in slow))
    waiting = worker.submit("good")
    assert worker.job(waiting)["state"] == "queued"
    worker.delete(f"/api/v1/jobs/{slow[1]}")
    assert worker.wait_for(slow[1], "cancelled")["step"] < 200
    worker.wait_for(waiting, "done")
    assert states(worker, [slow[0], slow[2]]) == ["running"] * 2
    for number in (slow[0], slow[2]):
        worker.delete(f"/api/v1/jobs/{number}")
        worker.wait_for(number, "cancelled")


def test_a_job_that_fails_leaves_its_neighbours_alone(worker: Live) -> None:
    engine = worker.server.services.engines[0]
    assert isinstance(engine, ProcessEngine)
    process = engine.process_id
    slow = worker.submit("slow", steps=800)
    wait_until(lambda: worker.job(slow)["step"] >= 2)
    assert "infinite or NaN" in worker.wait_for(worker.submit("nan"), "failed")["message"]
    assert "ZeroDivisionError" in worker.wait_for(worker.submit("bug"), "failed")["message"]
    assert worker.job(slow)["state"] == "running"
    worker.wait_for(worker.submit("good"), "done")
    worker.delete(f"/api/v1/jobs/{slow}")
    worker.wait_for(slow, "cancelled")
    assert engine.process_id == process


def test_other_loras_wait_for_the_jobs_before_them(worker: Live) -> None:
    slow = worker.submit("slow", steps=400)
    wait_until(lambda: worker.job(slow)["step"] >= 2)
    other, after = worker.submit("other LoRA"), worker.submit("good")
    dropped = worker.submit("good and dropped")
    step = worker.job(slow)["step"]
    wait_until(lambda: worker.job(slow)["step"] >= step + 3)
    assert [worker.job(number)["step"] for number in (other, after)] == [0, 0]
    worker.delete(f"/api/v1/jobs/{dropped}")
    worker.wait_for(dropped, "cancelled")
    worker.delete(f"/api/v1/jobs/{slow}")
    for number in (other, after):
        worker.wait_for(number, "done")


def test_jobs_of_a_lost_engine_are_tried_again_one_by_one(tmp_path: Path) -> None:
    with run_on_thread(tmp_path, [engine_of_three()]) as live:
        numbers = [live.submit(HOLD) for _ in range(3)]
        wait_until(lambda: states(live, numbers) == ["running"] * 3)
        live.call(live.engine.lose)
        wait_until(lambda: sorted(states(live, numbers)) == ["queued", "queued", "running"])
        fresh = live.submit("fresh")
        assert live.job(fresh)["state"] == "queued"
        live.engine.released.set()
        for number in (*numbers, fresh):
            live.wait_for(number, "done")


def test_jobs_go_to_the_engine_that_draws_their_model(tmp_path: Path) -> None:
    engines = [engine_of_three(), engine_of_three()]
    with run_on_thread(tmp_path, engines) as live:
        scheduler, entry = live.server.services.scheduler, live.server.services.models.default
        first = live.submit(HOLD)
        wait_until(lambda: any(each.drawn for each in engines))
        busy = next(e for e in engines if e.drawn)
        # As if what runs were of another model, and the other engine had none.
        job = scheduler.jobs[first]
        object.__setattr__(job, "path", entry.path / "other")
        second, third = live.submit(HOLD), live.submit(HOLD)
        wait_until(lambda: states(live, [second, third]) == ["running"] * 2)
        assert len(busy.drawn) == 1
        for each in engines:
            each.released.set()
        for number in (first, second, third):
            live.wait_for(number, "done")


def test_a_job_that_is_not_done_in_time_fails(tmp_path: Path) -> None:
    def submit(prompt: str, deadline: float) -> str:
        url = f"/api/v1/jobs?deadline={deadline}"
        return str(live.post(url, {"prompt": prompt}).json()["id"])

    with run_on_thread(tmp_path) as live:
        runs, waits, kept = submit(HOLD, 0.3), submit("x", 0.2), submit(HOLD, 3600)
        for number in (runs, waits):
            assert "its deadline passed" in live.wait_for(number, "failed")["message"]
        assert live.engine.drawn[0].prompt == HOLD
        assert live.post("/api/v1/jobs?deadline=0", {"prompt": "x"}).status_code == 422
        short, due = submit("x", 1.0), time.time() + 1.0  # it waits, unless that took a second
    wait_until(lambda: time.time() > due)
    with run_on_thread(tmp_path) as live:  # deadlines outlive the server
        assert "its deadline passed" in live.wait_for(short, "failed")["message"]
        live.engine.released.set()
        live.wait_for(kept, "done")


@pytest.mark.slow
def test_jobs_of_a_real_worker_have_the_bits_of_each_drawn_alone(
    tmp_path: Path, first: Device
) -> None:
    name = f"{first.info.backend.partition('-')[0]}"
    engine = ProcessEngine("worker", WorkerOptions(name, jobs=3))
    bodies: list[dict[str, Any]] = [
        {"prompt": "a red apple", "seed": 4, "steps": 3, "width": 64, "height": 64},
        {"prompt": "a blue cup", "seed": 5, "steps": 2, "width": 64, "height": 64, "count": 2},
        {"prompt": "a leaf", "seed": 6, "steps": 4, "sampler": "heun", "width": 64, "height": 64},
    ]
    with run_on_thread(tmp_path, [engine]) as live:
        wait_until(lambda: live.get("/readyz").ok)
        numbers = [live.submit(**body) for body in bodies]
        done = [live.wait_for(number, "done") for number in numbers]
        pipeline = Pipeline.load(device=first)
        for number, body, job in zip(numbers, bodies, done, strict=True):
            pictures = pipeline.draw(Settings(**body))
            assert len(job["pictures"]) == len(pictures)
            for place, picture in enumerate(pictures):
                answer = live.get(f"/api/v1/jobs/{number}/pictures/{place}")
                with Image.open(io.BytesIO(answer.content)) as image:
                    assert image.tobytes() == picture.tobytes()
                    assert image.info["parameters"] == picture.infotext
