"""``avila tune``: what it tunes, prints and writes, and how it stops and continues."""

from __future__ import annotations

import json
import signal
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from diffusion.cli import tuning
from diffusion.cli.commands import tune
from diffusion.cli.commands.tune import UNSOUND
from diffusion.cli.options.model import ModelOptions
from diffusion.settings import Settings
from gpucore import Device
from gpucore.adapters import DEVICE_VARIABLE
from gpustd.matmul.operation import Matmul
from gpustd.matmul.tile_files import TUNING_VARIABLE, read_tiles, write_tiles
from gpustd.matmul.tiles import MATRIX_TILES, TILED_TILES, tile_size
from gpustd.matmul.tuned_tiles import SeenMatmul, matmul_key
from gpustd.tuning.timing import Outcome, Standing
from tests.diffusion.cli import fake_pipeline

FIRST, SECOND = TILED_TILES[:2]


def seen_matmul(m: int, count: int = 1) -> SeenMatmul:
    """Return a product of ``m`` rows that was launched ``count`` times."""
    matmul = Matmul("gemm", "matmul/gemm/rows.wgsl", m, 1, 8, (16,), {}, {}, None)
    key = matmul_key(matmul, "tiled", "f32")
    return SeenMatmul(key, matmul, "tiled", "f32", TILED_TILES, count)


PRODUCTS = [seen_matmul(30), seen_matmul(20, count=3), seen_matmul(10)]


class FakeTuner:
    """Stands in for the model's run and for the timing.

    ``stop_at``: the product at which Ctrl-C is typed. ``wrong``: one whose tiles are all wrong.
    """

    def __init__(self) -> None:
        self.settings: list[Settings] = []
        self.tuned: list[str] = []
        self.products = PRODUCTS
        self.stop_at: str | None = None
        self.wrong: str | None = None

    def find_matmuls(
        self, device: Device, model: ModelOptions, settings: Settings
    ) -> list[SeenMatmul]:
        self.settings.append(settings)
        return self.products

    def tune(self, device: Device, product: SeenMatmul) -> Generator[Standing, None, Outcome]:
        yield Standing()
        if product.key == self.stop_at:
            signal.raise_signal(signal.SIGINT)
        yield Standing(SECOND, 1e-4)
        self.tuned.append(product.key)
        if product.key == self.wrong:
            return Outcome(product, None, {}, dict.fromkeys(TILED_TILES, "its result is wrong"))
        return Outcome(product, SECOND, {FIRST: 3e-4, SECOND: 1e-4}, {})


@pytest.fixture
def tuner(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeTuner:
    """Put the fake in place of the tuner, on a device that computes nothing."""
    fake = FakeTuner()
    monkeypatch.setattr(tune, "find_matmuls", fake.find_matmuls)
    monkeypatch.setattr(tuning, "tune_matmul", fake.tune)
    monkeypatch.setenv(DEVICE_VARIABLE, "null")
    monkeypatch.setenv(TUNING_VARIABLE, str(tmp_path / "table.json"))
    monkeypatch.delenv("AVILA_DEBUG", raising=False)
    return fake


def run(*arguments: str) -> Any:
    return fake_pipeline.run("tune", *arguments)


def table(folder: Path) -> set[str]:
    """Return the keys in the file."""
    tiles = read_tiles(folder / "table.json", Device.null().info)
    assert set(tiles.values()) <= {tile_size(SECOND)}
    return set(tiles)


def test_products_are_tuned_and_remembered(tuner: FakeTuner, tmp_path: Path) -> None:
    done = run("--size", "64x32", "--batch", "2")
    assert done.exit_code == 0, done.stderr
    (settings,) = tuner.settings
    assert (settings.width, settings.height, settings.steps) == (64, 32, 1)
    assert (settings.count, settings.batch) == (2, 2)
    assert table(tmp_path) == {each.key for each in PRODUCTS}
    rows = [line.split() for line in done.stdout.splitlines()]
    assert rows[0] == ["product", "launches", "tile", "time", "gain"]
    assert rows[2] == ["tiled", "f32", "m20/1", "n8", "k16", "3", "128x128x16/8x8"] + [
        "100.0",
        "µs",
        "3.00x",
    ]
    assert "3 products tuned, 0 known before" in done.stderr
    assert "3.000 times as fast" in done.stderr


def test_only_what_is_missing_is_tuned(tuner: FakeTuner, tmp_path: Path) -> None:
    info = Device.null().info
    write_tiles(tmp_path / "table.json", info, {PRODUCTS[0].key: tile_size(SECOND)})
    assert run().exit_code == 0
    assert tuner.tuned == [PRODUCTS[1].key, PRODUCTS[2].key]
    done = run()
    assert done.exit_code == 0
    assert "all 3 products" in done.stderr
    assert len(tuner.tuned) == 2
    assert run("--again").exit_code == 0
    assert len(tuner.tuned) == 5


def test_json(tuner: FakeTuner, tmp_path: Path) -> None:
    tuner.wrong = PRODUCTS[0].key
    done = run("--json")
    assert done.exit_code == UNSOUND
    found = json.loads(done.stdout)
    assert found["file"] == str(tmp_path / "table.json")
    assert found["device"]["backend"] == "null-null"
    assert found["known"] == 0
    wrong, good, _ = found["products"]
    assert (wrong["tile"], wrong["seconds"]) == (None, None)
    assert good["product"] == PRODUCTS[1].key
    assert (good["tile"], good["seconds"], good["gain"]) == (list(tile_size(SECOND)), 1e-4, 3.0)


def test_a_wrong_tile_is_reported_and_not_kept(tuner: FakeTuner, tmp_path: Path) -> None:
    """Not even where the table had it before. The exit status says so."""
    assert run().exit_code == 0
    assert table(tmp_path) == {each.key for each in PRODUCTS}
    tuner.wrong = PRODUCTS[0].key
    done = run("--again")
    assert done.exit_code == UNSOUND
    assert f"{PRODUCTS[0].key}: not used: 3 tiles: its result is wrong" in done.stderr
    assert "1 products have no sound tile here" in done.stderr
    assert done.stderr.count("its result is wrong") == 1
    assert table(tmp_path) == {PRODUCTS[1].key, PRODUCTS[2].key}


def test_some_wrong_tiles_are_reported_by_name(
    tuner: FakeTuner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = {FIRST: "its result is wrong", TILED_TILES[2]: "its result is wrong"}

    def tune_matmul(device: Device, product: SeenMatmul) -> Generator[Standing, None, Outcome]:
        yield Standing()
        return Outcome(product, SECOND, {SECOND: 1e-4}, refused)

    monkeypatch.setattr(tuning, "tune_matmul", tune_matmul)
    tuner.products = PRODUCTS[:1]
    done = run()
    assert done.exit_code == 0
    assert "not used: 128x64x16/8x8, 64x64x16/8x8: its result is wrong" in done.stderr
    assert table(tmp_path) == {PRODUCTS[0].key}


def test_where_all_is_wrong_no_table_is_shown(tuner: FakeTuner) -> None:
    tuner.products = PRODUCTS[:1]
    tuner.wrong = PRODUCTS[0].key
    done = run()
    assert done.exit_code == UNSOUND
    assert done.stdout == ""
    assert "none sound" in done.stderr


def test_tiles_have_names_of_their_own() -> None:
    names = [tuning.tile_text(tile) for tile in (*MATRIX_TILES, *TILED_TILES)]
    assert len(set(names)) == len(names)


def test_two_that_tune_at_once_keep_each_others_products(
    tuner: FakeTuner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the first product is timed another process writes the last one's tile."""
    info, other = Device.null().info, PRODUCTS[2].key
    real = tuner.tune

    def tune_matmul(device: Device, product: SeenMatmul) -> Generator[Standing, None, Outcome]:
        if product.key == PRODUCTS[0].key:
            write_tiles(tmp_path / "table.json", info, {other: tile_size(SECOND)})
        return (yield from real(device, product))

    tuner.products = PRODUCTS[:2]
    monkeypatch.setattr(tuning, "tune_matmul", tune_matmul)
    assert run().exit_code == 0
    assert table(tmp_path) == {each.key for each in PRODUCTS}


def test_a_table_of_another_driver_is_left_alone(tuner: FakeTuner, tmp_path: Path) -> None:
    file = tmp_path / "table.json"
    write_tiles(file, replace(Device.null().info, driver="551.1"), {"k": tile_size(SECOND)})
    before = file.read_bytes()
    done = run()
    assert done.exit_code == 2
    assert "engine and driver must be null and unknown" in done.stderr
    assert file.read_bytes() == before
    assert tuner.tuned == []


def test_stopping_keeps_what_is_done(tuner: FakeTuner, tmp_path: Path) -> None:
    tuner.stop_at = PRODUCTS[1].key
    done = run()
    assert done.exit_code == 130
    assert "stopped; 1 products are tuned and kept" in done.stderr
    assert table(tmp_path) == {PRODUCTS[0].key}
    tuner.stop_at = None
    assert run().exit_code == 0
    assert tuner.tuned == [each.key for each in PRODUCTS]


def test_nothing_to_tune(tuner: FakeTuner, tmp_path: Path) -> None:
    tuner.products = []
    done = run()
    assert done.exit_code == 0
    assert "nothing to tune: on null device" in done.stderr
    assert not (tmp_path / "table.json").exists()
    assert json.loads(run("--json").stdout)["products"] == []


@pytest.mark.usefixtures("tuner")
def test_a_file_of_another_kind_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "table.json"
    file.write_text("my novel", encoding="utf-8")
    done = run()
    assert done.exit_code == 2
    assert str(file) in done.stderr
    assert "not a table of tiles" in done.stderr
    assert file.read_text(encoding="utf-8") == "my novel"


def test_wrong_input(tuner: FakeTuner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for arguments in (["--size", "65x64"], ["--batch", "0"], ["--device", "no such card"]):
        done = run(*arguments)
        assert done.exit_code == 2, arguments
        assert len(done.stderr.strip().splitlines()) == 1
    assert "--batch must be a whole number from 1 to 64; got 0" in run("--batch", "0").stderr
    monkeypatch.setenv(TUNING_VARIABLE, "off")
    done = run()
    assert done.exit_code == 2
    assert TUNING_VARIABLE in done.stderr
    (tmp_path / "file").touch()
    monkeypatch.setenv(TUNING_VARIABLE, str(tmp_path / "file" / "table.json"))
    done = run()
    assert done.exit_code == 2
    assert "cannot be written" in done.stderr
    assert tuner.tuned == []  # reported before any work


def test_a_step_of_the_bundled_model_shows_its_products() -> None:
    """Text encoder, UNet with guidance and decoder, on a device that computes nothing."""
    device = Device.null()
    found = tuning.find_matmuls(device, ModelOptions(), Settings("a", steps=1, count=1, batch=1))
    keys = {each.key for each in found}
    assert len(keys) == len(found) > 40
    assert all(len(each.tiles) > 1 for each in found)
    assert any(" m154/2 " in key and "quick_gelu" in key for key in keys)  # two prompts of 77
    assert any(" m2048/2 " in key and " k64+64 " in key for key in keys)  # a skip connection
    assert any(" m16384/1 n64 k64 2x2 x4" in key for key in keys)  # to the picture's size
    work = [tuning._work(each) for each in found]
    assert work == sorted(work, reverse=True)
