"""The benchmark of whole models, on the null device with the bundled one: no time is judged."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from bench.cold_start import ColdStart, cold_starts
from bench.command import command_seconds
from bench.entry import Row
from bench.first_step import run_first_step
from bench.full_size import Run, channels_last, main, measure_image, relative_l2
from bench.models import (
    GOALS,
    cold_row,
    command_row,
    goal_of,
    guided_row,
    host_row,
    image_row,
    unet_row,
    vae_row,
)
from diffusion import Result, Settings
from diffusion.pipeline.networks import Networks
from gpucore import Device

CACHES = ("__GL_SHADER_DISK_CACHE_PATH", "MESA_SHADER_CACHE_DIR", "XDG_CACHE_HOME")
EMOJI = Path(__file__).parents[2] / "models" / "emoji"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with the bundled model and times of a peer."""
    model = tmp_path / "model"
    model.mkdir()
    for part in EMOJI.iterdir():
        (model / part.name).symlink_to(part, target_is_directory=part.is_dir())
    rows = {unet_row("small", 64): {"PyTorch eager": 0.5}}
    (model / "peer.json").write_text(json.dumps({"rows": rows}))
    return model


def test_a_model_is_measured(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "result.json"
    options = "--device null --model small --size 64 --steps 2 --profile".split()
    main([str(folder), *options, "--json", str(file)])
    result = json.loads(file.read_text())
    rows = {row["name"]: Row.of_json(row) for row in result["rows"]}
    assert list(rows) == [
        unet_row("small", 64),
        host_row("small"),
        guided_row("small", 64),
        vae_row("small", 64),
        vae_row("small", 128),
        image_row("small", 64, 2),
    ]
    unet, host = rows[unet_row("small", 64)], rows[host_row("small")]
    assert unet.bytes > result["facts"]["weights_bytes"] / 4
    assert (unet.peers, host.bytes) == ({"PyTorch eager": 0.5}, 0)
    facts = result["facts"]
    assert facts["peak_bytes"] > facts["weights_bytes"] > 10e6
    assert facts["unet_launches"] > 100
    assert "unet/mid_block/" in capsys.readouterr().out, "the profile has layers"


def test_processes_have_rows_and_without_an_image_nothing_is_said_of_memory(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "result.json"
    monkeypatch.setattr("bench.full_size.cold_starts", lambda *_: {False: ColdStart(5.0, 2.0)})
    monkeypatch.setattr("bench.full_size.command_seconds", lambda *_: {(12, True): 4.0})
    options = "--device null --model small --size 64 --no-image --cold --command".split()
    main([str(folder), *options, "--json", str(file)])
    result = json.loads(file.read_text())
    assert "peak_bytes" not in result["facts"]
    rows = {row["name"]: row["seconds"] for row in result["rows"]}
    assert image_row("small", 64, 20) not in rows
    assert rows[cold_row("small", cached=False)] == 5
    assert result["facts"]["cold_load_s"] == 2
    assert rows[command_row("small", 64, 12, cached=True)] == 4


@pytest.mark.parametrize(("software", "count"), [(True, 7), (False, 20)])
def test_so_many_images_are_timed(
    software: bool, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts: list[str] = []

    class Drawing:
        """A pipeline that takes as many seconds as it has made pictures."""

        def __init__(self, networks: object) -> None:
            pass

        def generate(self, settings: Settings) -> Iterator[object]:
            prompts.append(settings.prompt)
            clock.append(clock[-1] + len(prompts))
            yield object.__new__(Result)

    clock = [0.0]
    monkeypatch.setattr("bench.full_size.Pipeline", Drawing)
    monkeypatch.setattr("bench.full_size.time", SimpleNamespace(perf_counter=lambda: clock[-1]))
    device = Device.null()
    monkeypatch.setattr(type(device), "is_cpu", software)
    run = Run(EMOJI, device, "small", 64, 2, {})
    measure_image(run, cast("Networks", None))
    assert len(prompts) == len(set(prompts)) == 1 + count
    assert [row.seconds for row in run.rows] == [statistics.median(range(2, count + 2))]


def test_a_cold_start_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.cold_start._ROUNDS", 1)
    found = cold_starts(EMOJI, "null", 64)
    assert list(found) == [False, True]
    assert all(start.first_step > 0 < start.load for start in found.values())


def test_cold_starts_are_medians_of_what_loading_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    # The middle of the sums (12) less the middle of the loads (4) would be 8, not 9.
    times = {False: [(10.0, 1.0), (12.0, 8.0), (15.0, 4.0)], True: [(3.0, 1.0)] * 3}
    seen: list[Path] = []

    def time_process(command: list[str], environment: dict[str, str]) -> tuple[float, float]:
        (cache,) = {Path(environment[name]) for name in CACHES}
        seen.append(cache)
        cached = any(cache.iterdir())
        (cache / "kernel").touch()
        return times[cached].pop(0)

    monkeypatch.setattr("bench.cold_start._time_process", time_process)
    assert cold_starts(EMOJI, "null", 64) == {False: (9.0, 4.0), True: (2.0, 1.0)}
    assert seen[::2] == seen[1::2]
    assert len(set(seen)) == 3
    assert not any(cache.exists() for cache in seen)


def test_the_command_is_timed_with_and_without_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    waits = iter([20, 5, 7, 17, 4, 6, 30, 9, 8])
    seen: list[tuple[str, bool]] = []

    def ran(command: list[str], *, env: dict[str, str], **rest: object) -> SimpleNamespace:
        (cache,) = {Path(env[name]) for name in CACHES}
        seen.append((command[command.index("--steps") + 1], any(cache.iterdir())))
        (cache / "kernel").touch()
        clock[0] += next(waits)
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr("bench.command.subprocess", SimpleNamespace(run=ran))
    monkeypatch.setattr("bench.command.time", SimpleNamespace(perf_counter=lambda: clock[0]))
    found = command_seconds(EMOJI, "null", 64)
    assert found == {(12, False): 20, (12, True): 5, (20, True): 7}
    assert seen == [("12", False), ("12", True), ("20", True)] * 3


def test_the_command_runs_and_says_why_it_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.cold_start._ROUNDS", 1)
    monkeypatch.setattr("bench.command._RUNS", ((1, False),))
    assert command_seconds(EMOJI, "null", 64)[1, False] > 0
    with pytest.raises(RuntimeError, match=r"txt2img .*nowhere"):
        command_seconds(tmp_path / "nowhere", "null", 64)


def test_a_cold_start_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"bench\.first_step"):
        cold_starts(tmp_path / "nowhere", "null", 64)


def test_a_first_step_loads_what_it_needs_alone() -> None:
    """Each of these takes 10 to 50 ms to load."""
    needless = {"asyncio", "bench.measure", "ftfy", "gpucore.compiler.ir", "importlib.metadata"}
    needless |= {"gpucore.wgsl.c_family.module", "jinja2", "wgpu", "wgpudawn"}
    code = "import sys, bench.first_step; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not needless.intersection(found.stdout.split())


def test_the_first_step_is_made() -> None:
    assert run_first_step(EMOJI, Device.null(), 64) > 0


def test_goals_belong_to_engines() -> None:
    name = unet_row("SD 1.5", 512)
    limits = {e: goal_of(name, e) for e in ("dawn", "wgpu", "null")}
    values = {e: goal.target.value for e, goal in limits.items() if goal}
    assert values == {"dawn": 0.01, "wgpu": 0.045}
    anywhere = goal_of(cold_row("SD 1.5", cached=True), "wgpu")
    assert anywhere in GOALS


def test_the_distance_is_relative() -> None:
    expected = np.full((2, 3), 2.0)
    assert relative_l2(expected, expected) == 0
    assert relative_l2(expected + 0.5, expected) == pytest.approx(0.25)
    assert channels_last(np.zeros((1, 4, 2, 3))).shape == (1, 2, 3, 4)
