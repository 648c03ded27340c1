"""The worker process: it draws, and is replaced where it crashes, hangs or loses its device."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from diffusion import Pipeline, Settings
from diffusion.adapters import LoraFolder
from diffusion.server.engine.interface import EngineState, EngineStatus
from diffusion.server.engine.process import Patience, ProcessEngine
from diffusion.server.worker.model_cache import ModelCache
from diffusion.server.worker.process import WorkerOptions
from gpucore import Device, OutOfMemoryError
from tests.diffusion.adapters.test_pipeline_loras import write_lora
from tests.diffusion.server.fake_studio import FakePipeline, FakeStudio
from tests.diffusion.server.live_server import Live, run_on_thread, wait_until
from tests.diffusion.server.watched_engine import WatchedEngine


@contextmanager
def run_worker(folder: Path, patience: Patience) -> Iterator[Live]:
    """Run a server with a process whose pipeline is fake."""
    with run_on_thread(folder, [WatchedEngine("worker", FakeStudio(), patience)]) as live:
        wait_until(lambda: live.get("/readyz").ok)
        yield live


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """Return a server whose worker may be silent for long: it must not count as hung by chance."""
    with run_worker(tmp_path_factory.mktemp("out"), Patience()) as live:
        yield live


def engine_of(live: Live) -> WatchedEngine:
    engine = live.server.services.engines[0]
    assert isinstance(engine, WatchedEngine)
    return engine


@pytest.mark.slow
def test_a_job_survives_a_worker_that_hangs(tmp_path: Path) -> None:
    with run_worker(tmp_path, Patience(load=4, step=4)) as live:
        check_survival(live, tmp_path, "hang", "the worker hung")


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("crash", "status 7"),
        pytest.param("lose", "the driver took the device away", marks=pytest.mark.slow),
    ],
)
def test_a_job_survives_its_worker_once(
    worker: Live, tmp_path: Path, how: str, reason: str
) -> None:
    check_survival(worker, tmp_path, how, reason)


def check_survival(worker: Live, tmp_path: Path, how: str, reason: str) -> None:
    """Draw a job whose worker ends in some way, and check that the next one draws it."""
    wait_until(lambda: worker.get("/readyz").ok)
    before, restarts = engine_of(worker).process_id, engine_of(worker).status.restarts
    number = worker.submit(f"once {how} {tmp_path / 'mark'}", seed=5, count=2)
    loss = wait_until(lambda: engine_of(worker).losses[restarts:])[0]
    assert reason in loss.lost.reason
    assert loss.status.state is EngineState.RESTARTING
    done = worker.wait_for(number, "done")
    assert [each["seed"] for each in done["pictures"]] == [5, 6]
    after = worker.get("/readyz").json()["engines"][0]["restarts"]
    assert after == restarts + 1
    assert engine_of(worker).process_id not in (None, before)
    shown = f'diffusion_worker_restarts_total{{worker="worker"}} {after}.0'.encode()
    assert shown in worker.get("/metrics").content


def test_readyz_tells_why_no_job_would_start(live: Live) -> None:
    live.engine.status = EngineStatus(EngineState.RESTARTING, "the driver hung")
    answer = live.get("/readyz")
    assert (answer.status_code, "restarting: the driver hung" in answer.text) == (503, True)
    live.engine.status = EngineStatus(EngineState.READY)
    assert live.get("/readyz").ok


@pytest.mark.slow
def test_a_job_that_always_crashes_fails_and_others_go_on(worker: Live, tmp_path: Path) -> None:
    bad = worker.submit(f"always crash {tmp_path / 'mark'}")
    good = worker.submit("good")
    assert "lost 2 times" in worker.wait_for(bad, "failed")["message"]
    worker.wait_for(good, "done")


@pytest.mark.slow
def test_a_worker_that_is_idle_is_replaced_too(worker: Live) -> None:
    wait_until(lambda: worker.get("/readyz").ok)
    number = engine_of(worker).process_id
    assert number is not None
    os.kill(number, signal.SIGKILL)
    wait_until(lambda: engine_of(worker).process_id not in (None, number))
    wait_until(lambda: worker.get("/readyz").ok)
    worker.wait_for(worker.submit("good"), "done")


def test_cancel_interrupt_and_skip_take_effect_within_a_step(worker: Live) -> None:
    number = worker.submit("slow", steps=400)
    wait_until(lambda: worker.job(number)["step"] >= 2)
    worker.delete(f"/api/v1/jobs/{number}")
    assert worker.wait_for(number, "cancelled")["step"] < 300
    kept = worker.submit("slow", steps=400, count=2, batch=1)
    wait_until(lambda: worker.job(kept)["step"] >= 2)
    worker.post("/sdapi/v1/skip")
    wait_until(lambda: worker.job(kept)["step"] >= 402)
    worker.post("/sdapi/v1/interrupt")
    done = worker.wait_for(kept, "done")
    assert [each["partial"] for each in done["pictures"]] == [True, True]
    assert [each["number"] for each in done["pictures"]] == [0, 1]


def test_a_preview_is_a_picture_while_it_runs(worker: Live) -> None:
    number = worker.submit("slow", steps=400)
    wait_until(lambda: worker.job(number)["preview"])
    assert worker.get(f"/api/v1/jobs/{number}/preview").content[:2] == b"\xff\xd8"
    shown = worker.get("/sdapi/v1/progress").json()
    assert shown["current_image"]
    assert shown["state"]["job_count"] == 1
    assert worker.get("/sdapi/v1/progress?skip_current_image=true").json()["current_image"] is None
    worker.delete(f"/api/v1/jobs/{number}")


def test_numbers_that_are_not_finite_fail_the_job_alone(worker: Live) -> None:
    wait_until(lambda: worker.get("/readyz").ok)
    number = engine_of(worker).process_id
    assert "infinite or NaN" in worker.wait_for(worker.submit("nan"), "failed")["message"]
    worker.wait_for(worker.submit("good"), "done")
    assert engine_of(worker).process_id == number


@pytest.mark.slow
def test_the_bundled_model_draws_as_it_does_in_python(tmp_path: Path, first: Device) -> None:
    """The same bits come through a process, a file and HTTP; the text in them is the same, too."""
    engine = ProcessEngine("worker", WorkerOptions(f"{first.info.backend.partition('-')[0]}"))
    with run_on_thread(tmp_path, [engine]) as live:
        body = {"prompt": "a red apple", "seed": 4, "steps": 2, "width": 64, "height": 64}
        answer = live.post("/txt2img", body)
        assert answer.status_code == 200, answer.text
        settings = Settings("a red apple", seed=4, steps=2, width=64, height=64)
        picture = Pipeline.load(device=first).draw(settings)[0]
        with Image.open(io.BytesIO(answer.content)) as image:
            assert image.info["parameters"] == picture.infotext
            assert image.tobytes() == picture.tobytes()
        models = live.get("/api/v1/models").json()["models"]
        assert models[0]["loaded"]
        assert models[0]["bytes"] > 1_000_000


@pytest.mark.slow
def test_a_lora_that_a_prompt_names_changes_the_picture(tmp_path: Path, first: Device) -> None:
    """It may be newer than the server; a name that no file has tells no path."""
    folder = tmp_path / "loras"
    folder.mkdir()
    device = first.info.backend.partition("-")[0]
    engine = ProcessEngine("worker", WorkerOptions(device, loras=folder))
    pipeline = Pipeline.load(device=first)
    with run_on_thread(tmp_path / "out", [engine], loras=folder) as live:
        body = {"seed": 4, "steps": 2, "width": 64, "height": 64}

        def draw(prompt: str) -> Any:
            answer = live.post("/txt2img", {**body, "prompt": prompt})
            assert answer.status_code == 200, answer.text
            return Image.open(io.BytesIO(answer.content))

        plain = draw("a red apple")
        write_lora(folder / "style.safetensors", pipeline.networks, "a")
        changed = draw("a red apple<lora:style:0.5>")
        assert plain.tobytes() != changed.tobytes()
        pipeline.loras.folder = LoraFolder(folder)
        pipeline.loras.mode = "runtime"  # as the server does
        settings = Settings("a red apple<lora:style:0.5>", **body)
        picture = pipeline.draw(settings)[0]
        assert changed.tobytes() == picture.tobytes()
        assert changed.info["parameters"] == picture.infotext
        assert "Lora hashes" in picture.infotext
        wrong = live.post("/txt2img", {**body, "prompt": "a red apple<lora:stile:1>"})
        assert wrong.status_code == 422
        assert "did you mean 'style'?" in wrong.json()["detail"]
        assert str(tmp_path) not in wrong.text


def _device() -> Any:
    return SimpleNamespace(memory=SimpleNamespace(live=0, reserved=0), trim=lambda: 0)


def _load(path: Path, device: Any) -> Any:
    return FakePipeline(device, 100)


def test_models_stay_while_they_fit_and_the_oldest_leaves() -> None:
    device = _device()
    cache = ModelCache(device, _load, budget=250)
    a, b, c = (Path(name) for name in "abc")
    first = cache.get(a)
    cache.get(b)
    assert cache.get(a) is first
    cache.get(c)
    assert [each.model for each in cache.models] == [a, c]
    assert device.memory.live == 200
    cache.drop()
    assert device.memory.live == 0


def test_control_networks_count_and_leave_before_models() -> None:
    """A model that draws stays whole; one that rests loses its networks, then its place."""
    cache = ModelCache(_device(), _load, budget=350)
    a, b, c = (Path(name) for name in "abc")
    first = cache.get(a).controls
    assert first.budget == 250
    first.nbytes = 200
    released = []

    def release() -> None:
        released.append(first.nbytes)
        first.nbytes = 0

    first.release = release  # type: ignore[method-assign]
    second = cache.get(b, {a}).controls
    assert (released, second.budget) == ([], 0)
    cache.get(b)
    assert (released, [each.nbytes for each in cache.models]) == ([200], [100, 100])
    assert second.budget == 150
    second.nbytes = 150
    cache.get(c, {b})
    assert [each.model for each in cache.models] == [b, c]
    assert first.make_room is not None
    assert not second.make_room(), "both are busy"


def test_a_device_without_room_makes_models_leave() -> None:
    device = _device()

    def load(path: Path, where: Any) -> Any:
        if where.memory.live >= 200:
            raise OutOfMemoryError("no room")
        return FakePipeline(where, 100)

    cache = ModelCache(device, load)
    for name in "abc":
        cache.get(Path(name))
    assert [each.model.name for each in cache.models] == ["b", "c"]
    device.memory.live = 500
    with pytest.raises(OutOfMemoryError):
        cache.get(Path("d"))
    assert cache.models == ()
