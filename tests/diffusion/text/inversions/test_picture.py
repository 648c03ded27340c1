"""Embeddings in pictures: both forms, pictures without one, and hostile ones."""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from diffusion.checkpoints.safetensors import open_safetensors
from diffusion.errors import ModelFormatError, SettingsError
from diffusion.text.inversions.picture import read_inversion_picture
from tests.diffusion.cli.fake_pipeline import file_names, run

VECTORS = np.random.default_rng(5).normal(0, 0.05, (3, 40)).astype(np.float32)


def content(rows: Any) -> bytes:
    """Return the JSON that the WebUI writes."""
    return json.dumps({"string_to_param": {"*": {"TORCHTENSOR": rows}}, "name": "w"}).encode()


def write_text(path: Path, text: str) -> Path:
    info = PngImagePlugin.PngInfo()
    info.add_text("sd-ti-embedding", text)
    Image.new("RGB", (8, 8), "red").save(path, pnginfo=info)
    return path


def write_sides(path: Path, data: bytes, size: tuple[int, int] = (20, 24)) -> Path:
    """Write a picture with bytes in its sides: number by number, as the WebUI makes them."""
    width, height = size
    columns = -(-len(data) // (3 * height)) + 1
    padded = np.frombuffer(data.ljust(3 * height * columns, b"\0"), np.uint8)
    state = 0
    sides: tuple[list[int], list[int]] = ([], [])
    for byte in padded.tolist():
        state = (state * 1664525 + 1013904223) % 2**32
        for side, half in zip(sides, (byte & 15, byte >> 4), strict=True):
            side.append(0x80 | half ^ (state % 255 & 15))
    lower, upper = (np.array(each, np.uint8).reshape(height, columns, 3) for each in sides)
    black = np.zeros((height, 1, 3), np.uint8)
    shown = np.full((height, width, 3), 200, np.uint8)
    Image.fromarray(np.concatenate([lower, black, shown, black, upper], axis=1)).save(path)
    return path


def assert_equal(found: NDArray[np.float32]) -> None:
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, VECTORS)


def test_text_of_a_png(tmp_path: Path) -> None:
    text = base64.b64encode(content(VECTORS.tolist())).decode()
    assert_equal(read_inversion_picture(write_text(tmp_path / "w.png", text)))


def test_sides_of_a_picture(tmp_path: Path) -> None:
    path = write_sides(tmp_path / "w.png", zlib.compress(content(VECTORS.tolist()), 9))
    assert_equal(read_inversion_picture(path))
    image = Image.open(path)
    framed = Image.new("RGB", (image.width + 9, image.height + 7))
    framed.paste(image, (4, 3))
    framed.save(tmp_path / "framed.webp", lossless=True)
    assert_equal(read_inversion_picture(tmp_path / "framed.webp"))


def test_the_command_writes_a_file_of_vectors(tmp_path: Path) -> None:
    source = write_sides(tmp_path / "w.png", zlib.compress(content(VECTORS.tolist())))
    done = run("convert", source, "-o", tmp_path / "w.safetensors")
    assert done.exit_code == 0, done.output
    assert_equal(open_safetensors(tmp_path / "w.safetensors").read("emb_params"))
    done = run("convert", source, "-o", tmp_path / "folder")
    assert done.exit_code == 2
    assert "NAME.safetensors" in done.stderr
    done = run("convert", source, "-o", tmp_path / "b.safetensors", "--dtype", "f16")
    assert done.exit_code == 0, done.output
    assert open_safetensors(tmp_path / "b.safetensors").entry("emb_params").dtype == "F16"


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([], "vectors of numbers"),
        ([[]], "vectors of numbers"),
        ([1.0, 2.0], "vectors of numbers"),
        ([["1", "2"]], "vectors of numbers"),
        ([[1.0], [1.0, 2.0]], "one list of vectors"),
        ([[1.0, None]], "vectors of numbers"),
        ([[True, False]], "vectors of numbers"),
        ([[10**400]], "vectors of numbers"),
        ([[1e39]], "finite"),
        ([[float("nan")]], "finite"),
    ],
)
def test_wrong_vectors_are_refused(tmp_path: Path, rows: Any, reason: str) -> None:
    text = base64.b64encode(content(rows)).decode()
    with pytest.raises(ModelFormatError, match=reason):
        read_inversion_picture(write_text(tmp_path / "w.png", text))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{",
        b'{"string_to_param": 3}',
        b'{"string_to_param": {"a": 1, "b": 2}}',
        b'{"string_to_param": {"*": [[1.0]]}}',
        b"[" * 100_000,
        b"\xff\xfe",
    ],
)
def test_other_json_is_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(ModelFormatError, match="one list of vectors"):
        read_inversion_picture(
            write_text(tmp_path / "w.png", base64.b64encode(data).decode() or "AA==")
        )


def test_pictures_without_an_embedding(tmp_path: Path) -> None:
    with pytest.raises(ModelFormatError, match="must be base64"):
        read_inversion_picture(write_text(tmp_path / "w.png", "no base64!"))
    for number, image in enumerate(
        [
            Image.new("RGB", (9, 9)),
            Image.new("RGB", (9, 9), "white"),
            Image.effect_noise((64, 64), 90).convert("RGB"),
            Image.new("1", (1, 1)),
        ]
    ):
        image.save(tmp_path / f"{number}.png")
        with pytest.raises(ModelFormatError, match="must carry an embedding"):
            read_inversion_picture(tmp_path / f"{number}.png")
    lost = write_sides(tmp_path / "lost.png", zlib.compress(content(VECTORS.tolist())))
    Image.open(lost).save(tmp_path / "lost.webp", quality=50)
    with pytest.raises(ModelFormatError, match="saved anew has lost it"):
        read_inversion_picture(tmp_path / "lost.webp")
    (tmp_path / "no.png").write_bytes(b"no picture")
    with pytest.raises(SettingsError, match="PNG"):
        read_inversion_picture(tmp_path / "no.png")


def test_a_packed_flood_is_bounded(tmp_path: Path) -> None:
    flood = zlib.compress(b" " * (64 << 20), 9)
    with pytest.raises(ModelFormatError, match="at most 16 MiB"):
        read_inversion_picture(write_sides(tmp_path / "w.png", flood, (8, 64)))
