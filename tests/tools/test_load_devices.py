"""The measurement of a server with one device and with several: no time is judged."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from diffusion.checkpoints.bundled import bundled_model
from tests.diffusion.server.fake_engine import FakeEngine
from tests.diffusion.server.live_server import run_on_thread
from tools.load_devices import Load, main, rate_of, require_no_loss


def two_engines() -> list[FakeEngine]:
    engines = [FakeEngine(), FakeEngine()]
    for number, each in enumerate(engines):
        each.name, each.capacity, each.step_seconds = f"worker {number}", 2, 0.01
    return engines


def test_pictures_are_asked_of_all_workers_with_settings_that_differ(tmp_path: Path) -> None:
    engines = two_engines()
    with run_on_thread(tmp_path, engines) as live:
        load = Load(live.port, size=64, steps=3)
        asyncio.run(load.warm_up(devices=2, clients=2))
        warm = [len(each.drawn) for each in engines]
        assert sum(warm) == 2 + 4  # one for each worker, then two
        found = asyncio.run(load.saturate(devices=2, clients=2, seconds=0.3))
        served = asyncio.run(load.serve(load=0.5, rate=40, seconds=0.3))
        asyncio.run(require_no_loss(live.port))
    later = [each.drawn[count:] for each, count in zip(engines, warm, strict=True)]
    assert (found.devices, found.clients) == (2, 4)
    assert found.pictures >= 8
    assert 0 < found.p50 <= found.p95
    assert 0 < found.health_p50_ms <= found.health_p99_ms
    assert served.pictures >= 4
    assert all(later)
    together = [each for several in later for each in several]
    assert {(each.steps, each.width) for each in together} == {(3, 64)}
    assert len({each.seed for each in together}) == len(together)
    assert len({each.sampler for each in together}) == 4


def test_a_lost_worker_makes_the_numbers_void(tmp_path: Path) -> None:
    engines = two_engines()
    with run_on_thread(tmp_path, engines) as live:
        engines[1].status = replace(engines[1].status, restarts=1)
        with pytest.raises(RuntimeError, match="a worker was lost"):
            asyncio.run(require_no_loss(live.port))


def test_a_refused_picture_ends_the_measurement(tmp_path: Path) -> None:
    with run_on_thread(tmp_path) as live:
        load = Load(live.port, size=63, steps=3)
        with pytest.raises(RuntimeError, match="answered with 422"):
            asyncio.run(load.saturate(devices=1, clients=1, seconds=0.1))


@pytest.mark.parametrize("together", [1, 8])
def test_the_rate_of_pictures_that_end_together(together: int) -> None:
    """Eight at once every 8 s are one a second, whether or not the last eight are counted."""
    ends = np.repeat(np.arange(0, 160, together), together).astype(float)
    assert rate_of([float(each) for each in ends]) == pytest.approx(1, rel=0.01)
    first, last = ends[: -together // 2 or None], ends[together:]
    assert rate_of([float(each) for each in first]) == pytest.approx(1, rel=0.02)
    assert rate_of([float(each) for each in last]) == pytest.approx(1, rel=0.01)


@pytest.mark.slow
def test_one_device_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "devices.json"
    small = ["--size", "64", "--steps", "1", "--clients", "1", "--seconds", "0.5", "--loads", "1"]
    main([str(bundled_model()), "--devices", "cpu", *small, "--json", str(file)])
    found = json.loads(file.read_text(encoding="utf-8"))
    assert [row["devices"] for row in found["saturation"]] == [1]
    assert [row["load"] for row in found["served"]] == [1]
    assert found["devices"] == ["cpu"]
    assert "pictures/min" in capsys.readouterr().out
