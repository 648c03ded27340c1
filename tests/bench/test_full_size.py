"""The benchmark of whole models, on the null device with the bundled one: no time is judged."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bench.cold_start import cold_starts, first_step
from bench.entry import Row
from bench.full_size import channels_last, distance, main
from bench.models import (
    GOALS,
    cold_row,
    goal_of,
    guided_row,
    host_row,
    image_row,
    unet_row,
    vae_row,
)
from gpucore import Device

EMOJI = Path(__file__).parents[2] / "models" / "emoji"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The bundled model with times of a peer beside it."""
    made = tmp_path / "model"
    made.mkdir()
    for part in EMOJI.iterdir():
        (made / part.name).symlink_to(part, target_is_directory=part.is_dir())
    rows = {unet_row("small", 64): {"PyTorch eager": 0.5}}
    (made / "peer.json").write_text(json.dumps({"rows": rows}))
    return made


@pytest.fixture(autouse=True)
def small_roof(monkeypatch: pytest.MonkeyPatch) -> None:
    """The null device copies on the host: little is enough."""
    monkeypatch.setattr("gpustd.roof._ELEMENTS", {True: 1024, False: 1024})
    monkeypatch.setattr("gpustd.roof._SIDE", {True: 64, False: 64})
    monkeypatch.setattr("gpustd.roof._SETTLED_S", {True: 0.01, False: 0.01})


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


def test_cold_starts_are_two_processes() -> None:
    found = cold_starts(EMOJI, "null", 64)
    assert list(found) == [False, True]
    assert all(0 < load < seconds for seconds, load in found.values())


def test_a_cold_start_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"bench\.cold_start"):
        cold_starts(tmp_path / "nowhere", "null", 64)


def test_the_first_step_is_made() -> None:
    assert first_step(EMOJI, Device.null(), 64) > 0


def test_goals_belong_to_engines() -> None:
    name = unet_row("SD 1.5", 512)
    limits = {e: goal_of(name, e) for e in ("dawn", "wgpu", "null")}
    values = {e: goal.target.value for e, goal in limits.items() if goal}
    assert values == {"dawn": 0.01, "wgpu": 0.045}
    anywhere = goal_of(cold_row("SD 1.5", cached=True), "wgpu")
    assert anywhere in GOALS


def test_the_distance_is_relative() -> None:
    expected = np.full((2, 3), 2.0)
    assert distance(expected, expected) == 0
    assert distance(expected + 0.5, expected) == pytest.approx(0.25)
    assert channels_last(np.zeros((1, 4, 2, 3))).shape == (1, 2, 3, 4)
