"""``avila tune`` with the real tuner on a real device: its table, wrong tiles, Ctrl-C."""

from __future__ import annotations

import json
import signal
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from diffusion.cli import tuning
from diffusion.cli.commands import tune
from diffusion.cli.options.model import ModelOptions
from diffusion.settings import Settings
from gpucore import Device
from gpucore.backends import null
from gpustd.matmul import tile_choice
from gpustd.matmul import tile_files as files
from gpustd.matmul.tile_files import TUNING_VARIABLE, kernel_hash, read_tiles, user_file
from gpustd.matmul.tiles import Tile, tile_size
from gpustd.matmul.tuned_tiles import SeenMatmul, tuned_tile, use_tiles
from gpustd.tuning import timing
from gpustd.tuning.timing import Outcome, Standing
from tests.diffusion.cli import fake_pipeline

# Small, so that a software renderer soon has them compiled.
LARGE, SMALL = Tile(32, 32, 8, 4, 4), Tile(16, 32, 8, 4, 4)


def two_products(_: Device, model: ModelOptions, settings: Settings) -> list[SeenMatmul]:
    """Return the two products of a step with the least work, as a plain GPU would make them.

    They are found on a device that computes nothing, as software renderers have no tiles.
    """
    plain = replace(null.adapters()[0], features=frozenset(), matrix_shapes=())
    blank = Device(null.NullBackend(plain))
    return tuning.find_matmuls(blank, model, settings)[-2:]


class StoppingTuner:
    """The real tuner. Ctrl-C is typed when it comes to the product number ``at``."""

    def __init__(self) -> None:
        self.at: int | None = 2
        self.begun: list[SeenMatmul] = []

    def tune(self, device: Device, seen: SeenMatmul) -> Generator[Standing, None, Outcome]:
        self.begun.append(seen)
        if len(self.begun) == self.at:
            signal.raise_signal(signal.SIGINT)
        return (yield from timing.tune_matmul(device, seen))


@pytest.fixture
def stopping(device: Device, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> StoppingTuner:
    tuner = StoppingTuner()
    monkeypatch.setattr(tile_choice, "TILED_TILES", (LARGE, SMALL))
    monkeypatch.setattr(tune, "find_matmuls", two_products)
    monkeypatch.setattr(tuning, "tune_matmul", tuner.tune)
    monkeypatch.setattr(tune, "open_device", lambda _: device)
    monkeypatch.setattr(files.platformdirs, "user_cache_path", lambda *_, **__: tmp_path)
    monkeypatch.delenv(TUNING_VARIABLE, raising=False)
    monkeypatch.delenv("AVILA_DEBUG", raising=False)
    return tuner


def run() -> Any:
    return fake_pipeline.run("tune", "--size", "64x64")


def table(device: Device, folder: Path) -> dict[str, tuple[int, ...]]:
    """Return the tiles in the user's file, which is for this device and its kernels."""
    (file,) = (folder / "tuning").iterdir()
    assert file == user_file(device.info)
    found = json.loads(file.read_text(encoding="utf-8"))
    info = device.info
    about = found["adapter"], found["engine"], found["driver"]
    assert about == (info.name, info.engine, info.driver)
    assert found["kernels"] == {variant: kernel_hash(variant) for variant in ("matrix", "tiled")}
    return read_tiles(file, info)


def test_real_tiles_are_timed_refused_and_remembered(
    device: Device, stopping: StoppingTuner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Stopped in the second product. The next call tunes it, with a tile that is wrong."""
    done = run()
    assert done.exit_code == 130, done.stderr
    assert "stopped; 1 products are tuned and kept" in done.stderr
    first, second = stopping.begun
    assert first.key.startswith("tiled f32 ")
    (chosen,) = table(device, tmp_path).items()
    assert chosen[0] == first.key
    assert chosen[1] in (tile_size(LARGE), tile_size(SMALL))

    real = timing._Trial.result

    def result(trial: timing._Trial, operands: Any) -> NDArray[Any]:
        found = real(trial, operands)
        return found + np.asarray(trial.tile == SMALL, found.dtype)

    monkeypatch.setattr(timing._Trial, "result", result)
    done = run()
    assert done.exit_code == 0, done.stderr
    assert stopping.begun == [first, second, second]
    assert f"{second.key}: not used: 16x32x8/4x4: its result is wrong" in done.stderr
    assert "1 products tuned, 1 known before" in done.stderr
    assert table(device, tmp_path) == {first.key: chosen[1], second.key: tile_size(LARGE)}
    try:
        use_tiles(device, None)
        for seen, size in ((first, chosen[1]), (second, tile_size(LARGE))):
            for offered in ((LARGE, SMALL), (SMALL, LARGE)):
                taken = tuned_tile(device, seen.matmul, seen.variant, seen.scalar, offered)
                assert tile_size(taken) == size
    finally:
        monkeypatch.undo()
        use_tiles(device, None)
