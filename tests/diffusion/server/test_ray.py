"""The server and batches on a Ray of this machine. `make test` has no Ray, and skips this file."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from diffusion.server.batch.launch import BatchWork, run_batch
from diffusion.server.batch.options import BatchOptions
from diffusion.server.engine.interface import Engine
from diffusion.server.engine.process import ProcessEngine
from diffusion.server.ray.options import ReplicaOptions
from diffusion.server.services import Services, make_services
from diffusion.server.settings import ServerSettings
from tests.diffusion.server.fake_studio import FakeStudio
from tests.diffusion.server.live_server import SECONDS, wait_until

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # those of Ray's own use of pydantic
    ray = pytest.importorskip("ray", reason="needs Ray: pip install avila-diffusion[ray]")
    from ray import serve

    from diffusion.server.ray.serving import (
        Replica,
        application_of,
        build,
    )

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


class KillingStudio(FakeStudio):
    """Its first worker kills the actor that started it, when it loads its model."""

    def load(self, model: Path, device: Any) -> Any:
        mark = Path(os.environ["AVILA_TEST_MARK"])
        if not mark.exists():
            mark.touch()
            os.kill(os.getppid(), signal.SIGKILL)
        return super().load(model, device)


class FakeOptions(BatchOptions):
    """Options of batches whose workers draw without a GPU."""

    def engines(self) -> Sequence[Engine]:
        return [ProcessEngine("worker", KillingStudio(jobs=2))]


class Watcher:
    """A reporter that counts."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []
        self.pictures = 0

    def warn(self, text: str) -> None:
        raise AssertionError(text)

    def begin(self, left: int, total: int) -> None:
        self.left = left

    def count_picture(self) -> None:
        self.pictures += 1

    def tell(self, record: dict[str, Any]) -> None:
        self.records.append(record)

    def stopping(self) -> bool:
        return False


def test_a_batch_is_drawn_by_a_cluster_that_loses_an_actor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AVILA_TEST_MARK", str(tmp_path / "mark"))
    file, folder = tmp_path / "a.jsonl", tmp_path / "a"
    lines = [{"prompt": f"a {i}", "seed": 10 * i, "count": 2} for i in range(20)]
    lines.append({"prompt": "nan"})
    file.write_text("\n".join(map(json.dumps, lines)))
    options, watcher = FakeOptions(ray="local", workers=2), Watcher()
    states = run_batch(BatchWork(file, folder, {"steps": 2}), options, watcher)
    assert (tmp_path / "mark").exists(), "an actor was killed"
    assert states == {"done": 20, "failed": 1, "left": 0}
    assert watcher.pictures == 41
    written = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
    assert written == watcher.records
    done = sorted((each for each in written if each["state"] == "done"), key=lambda e: e["line"])
    assert [[p["seed"] for p in each["pictures"]] for each in done] == [
        [10 * i, 10 * i + 1] for i in range(20)
    ]
    names = {picture["file"] for each in done for picture in each["pictures"]}
    assert names == {path.name for path in folder.glob("*.png")}
    assert len(names) == 40
    again = Watcher()
    assert run_batch(BatchWork(file, folder, {"steps": 2}), options, again) == states
    assert (again.left, again.records) == (0, [])


with socket.socket() as _probe:
    _probe.bind(("127.0.0.1", 0))
    PORT = _probe.getsockname()[1]
URL = f"http://127.0.0.1:{PORT}"


class FakeReplica(Replica):
    """A replica whose worker draws without a GPU. Its worker has the name of its process."""

    def make_services(self, settings: ServerSettings) -> Services:
        engines = [ProcessEngine(f"worker of {os.getpid()}", FakeStudio(jobs=1))]
        return make_services(settings, engines, alone=False)


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """Run a Ray on this machine, without a dashboard."""
    ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False, logging_level="error")
    serve.start(http_options={"host": "127.0.0.1", "port": PORT})
    yield
    serve.shutdown()
    ray.shutdown()


@pytest.fixture(scope="module")
def replicas(cluster: None) -> None:
    """Run two replicas, which take two requests each."""
    options = ReplicaOptions(
        gpus=0, min_replicas=2, max_replicas=2, requests=2, waiting=1, retry_after=7
    )
    serve.run(application_of(FakeReplica, options), name="avila")


def draw(prompt: str, **fields: Any) -> requests.Response:
    return requests.post(f"{URL}/txt2img", json={"prompt": prompt, **fields}, timeout=SECONDS)


def test_two_replicas_draw_and_refuse_what_does_not_fit(replicas: None) -> None:
    wait_until(lambda: len({worker_of_a_replica() for _ in range(8)}) == 2)
    answer = draw("a fox")
    assert (answer.status_code, answer.content[:4]) == (200, b"\x89PNG")
    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(lambda i: draw("slow", steps=40, seed=i), range(20)))
    states = [each.status_code for each in answers]
    assert set(states) == {200, 429}
    assert states.count(200) >= 4, "each replica takes two"
    assert {each.headers["retry-after"] for each in answers if each.status_code == 429} == {"7"}


def worker_of_a_replica() -> str:
    (engine,) = requests.get(f"{URL}/readyz", timeout=SECONDS).json()["engines"]
    return str(engine["name"])


def test_a_job_survives_the_worker_of_its_replica(replicas: None, tmp_path: Path) -> None:
    assert draw(f"once crash {tmp_path / 'mark'}").status_code == 200


def test_other_interfaces_and_what_replicas_do_not_share(replicas: None) -> None:
    body = {"prompt": "a fox", "model": "emoji", "response_format": "b64_json"}
    answer = requests.post(f"{URL}/v1/images/generations", json=body, timeout=SECONDS)
    assert answer.json()["data"][0]["b64_json"]
    refused = requests.post(
        f"{URL}/v1/images/generations", json={**body, "response_format": "url"}, timeout=SECONDS
    )
    assert refused.status_code == 400
    assert "must be b64_json" in refused.text
    answer = requests.post(f"{URL}/sdapi/v1/txt2img", json={"prompt": "a fox"}, timeout=SECONDS)
    assert len(answer.json()["images"]) == 1
    for path in ("/api/v1/jobs", "/sdapi/v1/options", "/sdapi/v1/progress", "/api/v1/gallery", "/"):
        answer = requests.get(URL + path, timeout=SECONDS)
        assert answer.status_code == 501
        assert "one of several replicas" in answer.text
    foreign = requests.post(
        f"{URL}/txt2img",
        json={"prompt": "a"},
        headers={"origin": "https://a.example"},
        timeout=SECONDS,
    )
    assert foreign.status_code == 403


def test_a_replica_that_stops_ends_what_it_draws(replicas: None) -> None:
    found: list[requests.Response] = []
    drawing = threading.Thread(target=lambda: found.append(draw("slow", steps=150)))
    drawing.start()
    wait_until(lambda: busy_replicas() == 1)
    serve.delete("avila")
    drawing.join(SECONDS)
    assert found[0].status_code == 200


def busy_replicas() -> int:
    """Return how many of many answers tell of a worker that draws."""
    engines = [
        engine
        for _ in range(8)
        for engine in requests.get(f"{URL}/readyz", timeout=SECONDS).json()["engines"]
    ]
    return len({each["name"] for each in engines if each["jobs"]})


def test_the_application_asks_ray_for_what_its_arguments_say(tmp_path: Path) -> None:
    config = tmp_path / "server.toml"
    config.write_text("drain_seconds = 50\n")
    given = {"config": str(config), "max_replicas": "4", "requests": 8, "waiting": 9}
    deployment = build({**given, "retry_after": 3})._bound_deployment
    assert deployment.ray_actor_options["num_gpus"] == 1
    assert (deployment.max_ongoing_requests, deployment.max_queued_requests) == (8, 9)
    own = deployment._deployment_config
    assert own.graceful_shutdown_timeout_s == 55
    assert own.backpressure_config.status_code == 429
    assert own.autoscaling_config.max_replicas == 4
    assert own.autoscaling_config.target_ongoing_requests == 4
    with pytest.raises(ValueError, match="max_replica"):
        build({"max_replica": 4})
