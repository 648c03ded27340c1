"""Our pictures, read by programs that others wrote: piexif, sd-parsers and SD Prompt Reader."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import piexif
import piexif.helper
import pytest
import sd_parsers
from PIL import Image

from diffusion.infotext.files import exif_info, png_info
from diffusion.infotext.grammar import write_infotext

SD_PROMPT_READER = Path(sys.prefix) / "sd-prompt-reader"
"""Where the Makefile installs it, without its dependencies."""

PROMPT = "a “cat”,\nリンゴ 🍎 (red:1.2)"
NEGATIVE = "ugly, blurry"
SETTINGS = {
    "Steps": 20,
    "Sampler": "Euler a",
    "Schedule type": "Karras",
    "CFG scale": 7.5,
    "Seed": 2**64 - 1,
    "Size": "8x8",
    "Model hash": "0123456789",
    "Model": "emoji",
    "Hires prompt": 'with "quotes", commas',
    "Version": "0.1.0",
}
TEXT = write_infotext(PROMPT, NEGATIVE, SETTINGS)


def write_picture(path: Path) -> Path:
    image = Image.new("RGB", (8, 8))
    if path.suffix == ".png":
        image.save(path, pnginfo=png_info(TEXT))
    else:
        image.save(path, exif=exif_info(TEXT))
    return path


@pytest.fixture(params=["png", "jpg", "webp"])
def picture(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return write_picture(tmp_path / f"a.{request.param}")


@pytest.mark.parametrize("suffix", ["jpg", "webp"])
def test_piexif_reads_and_copies_our_exif(tmp_path: Path, suffix: str) -> None:
    record = piexif.load(str(write_picture(tmp_path / f"a.{suffix}")))
    comment = record["Exif"][piexif.ExifIFD.UserComment]
    assert isinstance(comment, bytes)  # of the type BYTE it would be a tuple, on which A1111 fails
    assert piexif.helper.UserComment.load(comment) == TEXT
    assert piexif.load(piexif.dump(record))["Exif"] == record["Exif"]


def test_sd_parsers_reads_it(picture: Path) -> None:
    found = sd_parsers.ParserManager().parse(picture)
    assert found.generator == sd_parsers.data.Generators.AUTOMATIC1111
    assert [each.value for each in found.prompts] == [PROMPT]
    assert [each.value for each in found.negative_prompts] == [NEGATIVE]
    (sampler,) = found.samplers
    assert sampler.name == "Euler a"
    assert sampler.parameters["seed"] == str(2**64 - 1)
    assert (sampler.model.name, sampler.model.hash) == ("emoji", "0123456789")


def test_sd_prompt_reader_reads_it(picture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(SD_PROMPT_READER)
    reader = importlib.import_module("sd_prompt_reader.image_data_reader")
    found = reader.ImageDataReader(str(picture))
    assert found.status == reader.BaseFormat.Status.READ_SUCCESS
    assert (found.tool, found.positive, found.negative) == ("A1111 webUI", PROMPT, NEGATIVE)
    expected = {"model": "emoji", "sampler": "Euler a", "seed": str(2**64 - 1), "cfg": "7.5"}
    assert expected.items() <= found.parameter.items()
