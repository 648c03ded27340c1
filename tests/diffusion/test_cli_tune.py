"""`avila tune`: what it tunes, tells and writes, and how it stops and goes on."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from diffusion.cli.job import NamedModel
from diffusion.cli.program import app
from diffusion.settings import Settings
from gpucore import Device
from gpucore.adapters import DEVICE_VARIABLE
from gpustd.matmul.operation import Matmul
from gpustd.matmul.tiles import MATRIX_TILES, TILED_TILES, tile_size
from gpustd.matmul.tuned_tiles import SeenMatmul, matmul_key
from gpustd.tuning.files import TUNING_VARIABLE, read_tiles, write_tiles
from gpustd.tuning.timing import Outcome, Standing

MODULE = sys.modules["diffusion.cli.tune"]
UNSOUND = MODULE.UNSOUND
FIRST, SECOND = TILED_TILES[:2]


def seen(m: int, count: int = 1) -> SeenMatmul:
    made = Matmul("gemm", "matmul/gemm/rows.wgsl", m, 1, 8, (16,), {}, {}, None)
    key = matmul_key(made, "tiled", "f32")
    return SeenMatmul(key, made, "tiled", "f32", TILED_TILES, count)


PRODUCTS = [seen(30), seen(20, count=3), seen(10)]


class Pretended:
    """Stands in for the model's run and for the timing."""

    def __init__(self) -> None:
        self.settings: list[Settings] = []
        self.tuned: list[str] = []
        self.products = PRODUCTS
        self.stop_at: str | None = None
        self.wrong: str | None = None

    def seen(self, device: Device, model: Path | None, settings: Settings) -> list[SeenMatmul]:
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
def pretended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Pretended:
    made = Pretended()
    monkeypatch.setattr(MODULE, "seen_products", made.seen)
    monkeypatch.setattr(MODULE, "tune_matmul", made.tune)
    monkeypatch.setenv(DEVICE_VARIABLE, "null")
    monkeypatch.setenv(TUNING_VARIABLE, str(tmp_path / "table.json"))
    monkeypatch.delenv("AVILA_DEBUG", raising=False)
    return made


def run(*arguments: str) -> Any:
    environment = {"COLUMNS": "200", "NO_COLOR": "1"}
    return CliRunner(env=environment).invoke(app, ["tune", *arguments])


def table(folder: Path) -> set[str]:
    """Keys in the file."""
    tiles = read_tiles(folder / "table.json", Device.null().info)
    assert set(tiles.values()) <= {tile_size(SECOND)}
    return set(tiles)


def test_products_are_tuned_and_remembered(pretended: Pretended, tmp_path: Path) -> None:
    done = run("--size", "64x32", "--batch", "2")
    assert done.exit_code == 0, done.stderr
    (settings,) = pretended.settings
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


def test_only_what_is_missing_is_tuned(pretended: Pretended, tmp_path: Path) -> None:
    info = Device.null().info
    write_tiles(tmp_path / "table.json", info, {PRODUCTS[0].key: tile_size(SECOND)})
    assert run().exit_code == 0
    assert pretended.tuned == [PRODUCTS[1].key, PRODUCTS[2].key]
    done = run()
    assert done.exit_code == 0
    assert "all 3 products" in done.stderr
    assert len(pretended.tuned) == 2
    assert run("--again").exit_code == 0
    assert len(pretended.tuned) == 5


def test_json(pretended: Pretended, tmp_path: Path) -> None:
    pretended.wrong = PRODUCTS[0].key
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


def test_a_wrong_tile_is_told_and_not_kept(pretended: Pretended, tmp_path: Path) -> None:
    """Not even where the table had it from before; the exit status tells."""
    assert run().exit_code == 0
    assert table(tmp_path) == {each.key for each in PRODUCTS}
    pretended.wrong = PRODUCTS[0].key
    done = run("--again")
    assert done.exit_code == UNSOUND
    assert f"{PRODUCTS[0].key}: not used: 3 tiles: its result is wrong" in done.stderr
    assert "1 products have no sound tile here" in done.stderr
    assert done.stderr.count("its result is wrong") == 1
    assert table(tmp_path) == {PRODUCTS[1].key, PRODUCTS[2].key}


def test_some_wrong_tiles_are_told_by_name(
    pretended: Pretended, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = {FIRST: "its result is wrong", TILED_TILES[2]: "its result is wrong"}

    def tune(device: Device, product: SeenMatmul) -> Generator[Standing, None, Outcome]:
        yield Standing()
        return Outcome(product, SECOND, {SECOND: 1e-4}, refused)

    monkeypatch.setattr(MODULE, "tune_matmul", tune)
    pretended.products = PRODUCTS[:1]
    done = run()
    assert done.exit_code == 0
    assert "not used: 128x64x16/8x8, 64x64x16/8x8: its result is wrong" in done.stderr
    assert table(tmp_path) == {PRODUCTS[0].key}


def test_where_all_is_wrong_no_table_is_shown(pretended: Pretended) -> None:
    pretended.products = PRODUCTS[:1]
    pretended.wrong = PRODUCTS[0].key
    done = run()
    assert done.exit_code == UNSOUND
    assert done.stdout == ""
    assert "none sound" in done.stderr


def test_tiles_have_names_of_their_own() -> None:
    names = [MODULE.tile_text(tile) for tile in (*MATRIX_TILES, *TILED_TILES)]
    assert len(set(names)) == len(names)


def test_two_that_tune_at_once_keep_each_others_products(
    pretended: Pretended, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the first product is timed another process writes the last one's tile."""
    info, other = Device.null().info, PRODUCTS[2].key
    real = pretended.tune

    def tune(device: Device, product: SeenMatmul) -> Generator[Standing, None, Outcome]:
        if product.key == PRODUCTS[0].key:
            write_tiles(tmp_path / "table.json", info, {other: tile_size(SECOND)})
        return (yield from real(device, product))

    pretended.products = PRODUCTS[:2]
    monkeypatch.setattr(MODULE, "tune_matmul", tune)
    assert run().exit_code == 0
    assert table(tmp_path) == {each.key for each in PRODUCTS}


def test_a_table_of_another_driver_is_left_alone(pretended: Pretended, tmp_path: Path) -> None:
    file = tmp_path / "table.json"
    write_tiles(file, replace(Device.null().info, driver="551.1"), {"k": tile_size(SECOND)})
    before = file.read_bytes()
    done = run()
    assert done.exit_code == 2
    assert "not for null with the driver" in done.stderr
    assert file.read_bytes() == before
    assert pretended.tuned == []


def test_stopping_keeps_what_is_done(pretended: Pretended, tmp_path: Path) -> None:
    pretended.stop_at = PRODUCTS[1].key
    done = run()
    assert done.exit_code == 130
    assert "stopped; 1 products are tuned and kept" in done.stderr
    assert table(tmp_path) == {PRODUCTS[0].key}
    pretended.stop_at = None
    assert run().exit_code == 0
    assert pretended.tuned == [each.key for each in PRODUCTS]


def test_nothing_to_tune(pretended: Pretended, tmp_path: Path) -> None:
    pretended.products = []
    done = run()
    assert done.exit_code == 0
    assert "nothing to tune: on null device" in done.stderr
    assert not (tmp_path / "table.json").exists()
    assert json.loads(run("--json").stdout)["products"] == []


@pytest.mark.usefixtures("pretended")
def test_a_file_of_another_kind_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "table.json"
    file.write_text("my novel", encoding="utf-8")
    done = run()
    assert done.exit_code == 2
    assert str(file) in done.stderr
    assert "no table of tiles" in done.stderr
    assert file.read_text(encoding="utf-8") == "my novel"


def test_wrong_input(pretended: Pretended, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for arguments in (["--size", "65x64"], ["--batch", "0"], ["--device", "no such card"]):
        done = run(*arguments)
        assert done.exit_code == 2, arguments
        assert len(done.stderr.strip().splitlines()) == 1
    assert "batch cannot be 0" in run("--batch", "0").stderr
    monkeypatch.setenv(TUNING_VARIABLE, "off")
    done = run()
    assert done.exit_code == 2
    assert TUNING_VARIABLE in done.stderr
    (tmp_path / "file").touch()
    monkeypatch.setenv(TUNING_VARIABLE, str(tmp_path / "file" / "table.json"))
    done = run()
    assert done.exit_code == 2
    assert "cannot be written" in done.stderr
    assert pretended.tuned == []  # told before any work


def test_a_step_of_the_bundled_model_shows_its_products() -> None:
    """Text encoder, UNet with guidance and decoder, on a device that computes nothing."""
    device = Device.null()
    found = MODULE.seen_products(device, NamedModel(None), Settings("a", steps=1, count=1, batch=1))
    keys = {each.key for each in found}
    assert len(keys) == len(found) > 40
    assert all(len(each.tiles) > 1 for each in found)
    assert any(" m154/2 " in key and "quick_gelu" in key for key in keys)  # two prompts of 77
    assert any(" m2048/2 " in key and " k64+64 " in key for key in keys)  # a skip connection
    assert any(" m16384/1 n64 k64 2x2 x4" in key for key in keys)  # to the picture's size
    work = [MODULE._work(each) for each in found]
    assert work == sorted(work, reverse=True)
