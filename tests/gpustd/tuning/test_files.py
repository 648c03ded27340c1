"""Tables of tiles on disk: their adapter, hostile files, changed kernels, shipped tables."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import jinja2
import jinja2.meta
import pytest

from gpucore import Device, f32
from gpustd import gemm
from gpustd.launch.template import SHADERS
from gpustd.matmul import tile_files as files
from gpustd.matmul.tile_files import (
    TUNING_VARIABLE,
    kernel_hash,
    load_tiles,
    read_tiles,
    shipped_file,
    user_file,
    write_tiles,
)
from gpustd.matmul.tiles import MATRIX_TILES, TILED_TILES, Tile, tile_size
from gpustd.matmul.tuned_tiles import recorded_matmuls

LARGE, SMALL = Tile(32, 32, 8, 4, 4), Tile(16, 32, 8, 4, 4)
KEY = "tiled f32 m40/2 n24 k12 silu"


def users(device: Device) -> Path:
    found = user_file(device.info)
    assert found is not None
    return found


def test_a_table_comes_back(null: Device, tmp_path: Path) -> None:
    teams = next(tile for tile in MATRIX_TILES if tile.teams > 1)
    tiles = {KEY: tile_size(SMALL), "matrix f16 m1/1 n16 k8": tile_size(teams)}
    path = tmp_path / "new" / "table.json"
    write_tiles(path, null.info, tiles)
    assert read_tiles(path, null.info) == tiles
    table = json.loads(path.read_text(encoding="utf-8"))
    assert table["adapter"] == null.name
    assert (table["schema"], table["engine"]) == (1, null.info.engine)
    assert table["kernels"].keys() == {"matrix", "tiled"}
    write_tiles(path, null.info, {})
    assert read_tiles(path, null.info) == {}
    assert [each.name for each in path.parent.iterdir()] == ["table.json"]


def test_a_table_that_cannot_be_written_leaves_the_old_one(
    null: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "table.json"
    write_tiles(path, null.info, {KEY: tile_size(SMALL)})

    def full(self: Path, target: Path) -> Path:
        raise OSError("no space")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="no space"):
        write_tiles(path, null.info, {})
    assert read_tiles(path, null.info) == {KEY: tile_size(SMALL)}
    assert len(list(tmp_path.iterdir())) == 1


def test_the_users_tiles_go_before_those_shipped(null: Device) -> None:
    both = {KEY: tile_size(LARGE), "tiled f32 other": tile_size(LARGE)}
    write_tiles(shipped_file(null.info), null.info, both)
    write_tiles(users(null), null.info, {KEY: tile_size(SMALL)})
    assert load_tiles(null.info) == both | {KEY: tile_size(SMALL)}


def test_the_variable_names_a_file_or_none(
    null: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tiles(users(null), null.info, {KEY: tile_size(LARGE)})
    path = tmp_path / "own.json"
    write_tiles(path, null.info, {KEY: tile_size(SMALL)})
    monkeypatch.setenv(TUNING_VARIABLE, str(path))
    assert user_file(null.info) == path
    assert load_tiles(null.info) == {KEY: tile_size(SMALL)}
    monkeypatch.setenv(TUNING_VARIABLE, "off")
    assert user_file(null.info) is None
    assert load_tiles(null.info) == {}


def test_a_users_table_counts_for_its_engine_and_driver_and_a_shipped_one_for_all(
    null: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiles = {KEY: tile_size(SMALL)}
    for field, value in (("driver", "551.1"), ("engine", "wgpu")):
        path = tmp_path / f"{field}.json"
        monkeypatch.setenv(TUNING_VARIABLE, str(path))
        info = replace(null.info, **{field: value})
        write_tiles(path, info, tiles)
        assert load_tiles(info) == tiles
        with pytest.warns(UserWarning, match="tuning table ignored: engine and driver must be"):
            assert load_tiles(null.info) == {}
        write_tiles(shipped_file(null.info), info, tiles)
        path.unlink()
        assert load_tiles(null.info) == tiles
        shipped_file(null.info).unlink()


def good(device: Device) -> dict[str, Any]:
    return {
        "schema": 1,
        "adapter": device.name,
        "engine": device.info.engine,
        "driver": device.driver,
        "kernels": {"tiled": kernel_hash("tiled")},
        "tiles": {KEY: list(tile_size(SMALL))},
    }


HOSTILE: dict[str, Any] = {
    "not JSON": b"{",
    "not text": b"\xff\xfe\x00",
    "nested": b"[" * 100_000,
    "a long number": b"9" * 10_000,
    "too large": b" " * (5 << 20),
    "no object": b"[]",
    "another schema": {"schema": 2},
    "another adapter": {"adapter": "NVIDIA Other"},
    "no adapter": {"adapter": None},
    "another driver": {"driver": "1.0"},
    "a driver of another type": {"driver": [1]},
    "another engine": {"engine": "other"},
    "kernels are a list": {"kernels": []},
    "tiles are a list": {"tiles": [KEY]},
    "a tile is a number": {"tiles": {KEY: 7}},
    "a tile of texts": {"tiles": {KEY: ["16"] * 5}},
    "a tile of truths": {"tiles": {KEY: [True] * 5}},
    "a short tile": {"tiles": {KEY: [16, 16, 8, 2]}},
    "a long tile": {"tiles": {KEY: [16, 16, 8, 2, 2, 1, 4, 1]}},
    "a tile of nothing": {"tiles": {KEY: [0, 16, 8, 2, 2]}},
    "a huge tile": {"tiles": {KEY: [10**30, 16, 8, 2, 2]}},
    "a fraction": {"tiles": {KEY: [16.0, 16, 8, 2, 2]}},
}


def test_a_good_file_is_read(null: Device, tmp_path: Path) -> None:
    path = tmp_path / "good.json"
    path.write_text(json.dumps(good(null)), encoding="utf-8")
    assert read_tiles(path, null.info) == {KEY: tile_size(SMALL)}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_passed_over_with_one_warning(null: Device, name: str) -> None:
    path, content = users(null), HOSTILE[name]
    path.parent.mkdir(parents=True)
    if isinstance(content, dict):
        content = json.dumps(good(null) | content).encode()
    path.write_bytes(content)
    with pytest.warns(UserWarning, match="tuning table ignored"):
        assert load_tiles(null.info) == {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_tiles(null.info) == {}


def test_a_folder_in_the_files_place_is_passed_over(null: Device) -> None:
    users(null).mkdir(parents=True)
    with pytest.warns(UserWarning, match="tuning table ignored"):
        assert load_tiles(null.info) == {}


def test_changed_templates_void_the_tiles_of_their_variant(
    null: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "table.json"
    matrix = "matrix f16 m1/1 n16 k8"
    write_tiles(path, null.info, {KEY: tile_size(SMALL), matrix: tile_size(SMALL)})
    shaders = tmp_path / "shaders"
    for name in [*files._SHARED, *sum(files._VARIANTS.values(), ())]:
        target = shaders / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((SHADERS / name).read_bytes())
    monkeypatch.setattr(files, "SHADERS", shaders)

    def changed(name: str, text: str) -> set[str]:
        """Keys that are left while ``text`` ends the file ``name``."""
        file = shaders / name
        before = file.read_bytes()
        file.write_bytes(before + text.encode())
        kernel_hash.cache_clear()
        try:
            return set(read_tiles(path, null.info))
        finally:
            file.write_bytes(before)
            kernel_hash.cache_clear()

    assert changed("matmul/gemm/tiled.wgsl", "// a comment\n\n") == {KEY, matrix}
    assert changed("matmul/gemm/tiled.wgsl", "const A = 1;\n") == {matrix}
    assert changed("matmul/gemm/tiled.wgsl", "//% set a = 1\n") == {matrix}
    assert changed("matmul/gemm/reduce.wgsl", "const A = 1;\n") == set()
    for name in files._SHARED:
        assert changed(name, "const A = 1;\n") == set()


def test_every_template_of_a_variant_counts() -> None:
    """The included ones too; what is included by a variable is a source's addressing.

    How quantised weights are read does not count: tables are timed with plain ones.
    """
    environment = jinja2.Environment(line_statement_prefix="//%")
    for variant, names in files._VARIANTS.items():
        known = {*names, *files._SHARED}
        assert f"matmul/gemm/{variant}.wgsl" in known
        for name in known:
            tree = environment.parse((SHADERS / name).read_text(encoding="utf-8"))
            included = {each for each in jinja2.meta.find_referenced_templates(tree) if each}
            plain = {each for each in included if not each.startswith("matmul/quantized/")}
            assert plain <= known


def test_shipped_tables_are_of_kernels_as_they_are_and_of_tiles_that_exist() -> None:
    """A stale one does no harm, and no good: time it anew (CONTRIBUTING.md), or leave it out."""
    for path in files._SHIPPED.glob("*.json"):
        table = json.loads(path.read_text(encoding="utf-8"))
        assert {key.split()[0] for key in table["tiles"]} <= table["kernels"].keys()
        for variant, digest in table["kernels"].items():
            assert digest == kernel_hash(variant), f"{path.name}: {variant} has changed"
        tiles = {"matrix": MATRIX_TILES, "tiled": TILED_TILES}
        for key, size in table["tiles"].items():
            assert tuple(size) in {tile_size(tile) for tile in tiles[key.split()[0]]}, key
        slug = files._slug(table["adapter"])
        assert path.stem == slug


def test_llvmpipes_table_is_found_whatever_its_version(device: Device) -> None:
    """It is empty, and so of no kernels: software renderers have no tiles to choose from."""
    if "llvmpipe" not in device.name:
        pytest.skip(f"{device.name} is another card")
    assert shipped_file(device.info).is_file()
    assert json.loads(shipped_file(device.info).read_text(encoding="utf-8"))["kernels"] == {}
    a, w = device.buffer(f32, (64, 32)), device.buffer(f32, (32, 64))
    with recorded_matmuls() as seen:
        gemm(a, w)
    assert seen == {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_tiles(shipped_file(device.info), device.info, shipped=True) == {}
