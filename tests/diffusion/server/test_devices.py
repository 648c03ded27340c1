"""Several workers in a server: placement, what tells them apart, and the loss of one."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from diffusion.server.engine.messages import LoadModel
from diffusion.server.engine.process import Patience
from diffusion.server.errors import ConfigurationError
from diffusion.server.services import make_engines
from diffusion.server.settings import load_settings
from diffusion.server.worker.device_names import find_device_names
from gpucore import DeviceNotFoundError
from gpucore.adapters import names_of_equals
from tests.diffusion.server.fake_engine import HOLD, FakeEngine
from tests.diffusion.server.fake_studio import FakeStudio
from tests.diffusion.server.live_server import Live, run_on_thread, wait_until
from tests.diffusion.server.watched_engine import WatchedEngine


def fake_engine(name: str, capacity: int = 1) -> FakeEngine:
    engine = FakeEngine()
    engine.name, engine.capacity = name, capacity
    return engine


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Live, FakeEngine, FakeEngine]]:
    """Return a server with two fake engines, which draw a job at a time."""
    first, second = fake_engine("worker 0"), fake_engine("worker 1")
    with run_on_thread(tmp_path, [first, second]) as live:
        yield live, first, second


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """Return a server with two processes, whose pipelines are fake."""
    engines = [WatchedEngine(f"worker {i}", FakeStudio(), Patience()) for i in range(2)]
    with run_on_thread(tmp_path_factory.mktemp("out"), engines) as live:
        wait_until(lambda: ready_workers(live) == [True, True])
        yield live


def ready_workers(live: Live) -> list[bool]:
    return [each["state"] == "ready" for each in live.get("/readyz").json()["engines"]]


def test_two_workers_draw_side_by_side_and_share_the_jobs_evenly(
    pair: tuple[Live, FakeEngine, FakeEngine],
) -> None:
    """Each worker has a job at any time, so that two make twice the pictures of one."""
    live, first, second = pair
    jobs = [live.submit(f"{HOLD} {i}", steps=1) for i in range(12)]
    first.permits, second.permits = threading.Semaphore(0), threading.Semaphore(0)
    for done in range(6):
        wait_until(lambda n=done: (len(first.drawn), len(second.drawn)) == (n + 1, n + 1))
        first.permits.release()
        second.permits.release()
    for number in jobs:
        live.wait_for(number, "done")
    assert (len(first.drawn), len(second.drawn)) == (6, 6)


def test_the_least_busy_worker_gets_a_job_and_a_warm_one_among_equals(tmp_path: Path) -> None:
    first, second = fake_engine("worker 0", 4), fake_engine("worker 1", 4)
    with run_on_thread(tmp_path, [first, second]) as live:
        model = live.server.services.models.default.path
        live.call(second.send, LoadModel(model))
        wait_until(lambda: second.status.models)
        jobs = [live.submit(f"{HOLD} {i}", steps=1) for i in range(4)]
        workers = [live.wait_for(number, "running")["worker"] for number in jobs]
        assert workers == ["worker 1", "worker 0", "worker 0", "worker 1"]
        wait_until(lambda: (len(first.drawn), len(second.drawn)) == (2, 2))
        metrics = live.get("/metrics").text
        for name in ("worker 0", "worker 1"):
            assert f'diffusion_worker_jobs{{worker="{name}"}} 2.0' in metrics
            assert f'diffusion_worker_ready{{worker="{name}"}} 1.0' in metrics
        (shown,) = [m for m in live.get("/api/v1/models").json()["models"] if m["loaded"]]
        assert shown["workers"] == {"worker 0": 1000, "worker 1": 1000}
        assert shown["bytes"] == 2000
        first.released.set()
        second.released.set()
        for number in jobs:
            live.wait_for(number, "done")


def test_users_take_turns_whatever_the_number_of_workers(
    pair: tuple[Live, FakeEngine, FakeEngine],
) -> None:
    """The queue is one: a job goes to the first worker that is free."""
    live, first, second = pair
    jobs = [live.submit(f"{HOLD} {i}", steps=1, seed=i) for i in range(6)]
    wait_until(lambda: (len(first.drawn), len(second.drawn)) == (1, 1))
    second.released.set()  # the first worker stays with its job
    for number in jobs[2:]:
        live.wait_for(number, "done")
    assert [each.seed for each in second.drawn][1:] == [2, 3, 4, 5]
    assert len(first.drawn) == 1
    first.released.set()


def test_a_killed_worker_loses_nothing_and_leaves_the_other_alone(workers: Live) -> None:
    before = [engine.process_id for engine in watched(workers)]
    jobs = [workers.submit("slow", steps=100 if i < 2 else 4, seed=i) for i in range(6)]
    wait_until(lambda: [workers.job(n)["state"] for n in jobs].count("running") == 2)
    assert {workers.job(n)["worker"] for n in jobs[:2]} == {"worker 0", "worker 1"}
    assert before[1] is not None
    os.kill(before[1], signal.SIGKILL)
    lost = watched(workers)[1].losses
    wait_until(lambda: lost)
    assert "signal 9" in lost[0].lost.reason
    assert workers.get("/readyz").status_code == 200
    for seed, number in enumerate(jobs):
        done = workers.wait_for(number, "done")
        assert [each["seed"] for each in done["pictures"]] == [seed]
    wait_until(lambda: ready_workers(workers) == [True, True])
    after = [engine.process_id for engine in watched(workers)]
    assert (after[0] == before[0], after[1] == before[1]) == (True, False)
    restarts = [each["restarts"] for each in workers.get("/readyz").json()["engines"]]
    assert restarts == [0, 1]
    assert 'restarts_total{worker="worker 1"} 1.0' in workers.get("/metrics").text


def watched(live: Live) -> list[WatchedEngine]:
    found = live.server.services.engines
    assert all(isinstance(each, WatchedEngine) for each in found)
    return [each for each in found if isinstance(each, WatchedEngine)]


def test_all_names_each_card_of_the_best_kind() -> None:
    first, *others = names_of_equals()
    backend = first.removesuffix(":0")
    assert others == [f"{backend}:{i + 1}" for i in range(len(others))]
    assert names_of_equals(backend) == [first, *others]
    with pytest.raises(DeviceNotFoundError, match="no device fits"):
        names_of_equals("no such card")


def test_devices_are_named_in_a_child_of_the_server() -> None:
    (first, *_) = names_of_equals()
    assert find_device_names(["0", first, "0"]) == [first, first, first]
    assert find_device_names(["all"]) == names_of_equals()


@pytest.mark.parametrize(
    ("items", "message"),
    [
        (["999999"], "there is no device 999999; they are 0 to"),
        (["no such card"], "no device fits 'no such card'; present:"),
        (["nothing:all"], "no device fits 'nothing'"),
    ],
)
def test_wrong_devices_are_told_before_the_server_starts(items: list[str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        find_device_names(items)


def test_two_ways_to_choose_devices_are_refused() -> None:
    settings = load_settings(None, {"device": "dawn", "devices": "all"})
    with pytest.raises(ConfigurationError, match="give one of them"):
        make_engines(settings)


def test_devices_come_as_text_or_as_a_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "avila.toml"
    file.write_text("devices = [0, 1]")
    assert load_settings(file, {}).devices == ("0", "1")
    monkeypatch.setenv("AVILA_DEVICES", "all")
    assert load_settings(None, {}).devices == ("all",)
    assert load_settings(None, {"devices": "0,dawn"}).devices == ("0", "dawn")
    with pytest.raises(ConfigurationError, match=r"devices\.1"):
        load_settings(None, {"devices": "0,"})
