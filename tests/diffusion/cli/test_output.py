"""The names and contents of the files that are written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from diffusion.cli import output
from diffusion.cli.output import Output
from diffusion.errors import OutputError
from diffusion.infotext.files import read_infotext
from tests.diffusion.cli.fake_pipeline import BLUE, file_names, run


@pytest.mark.usefixtures("fake_pipeline")
def test_a_file_is_replaced_and_several_are_numbered(tmp_path: Path) -> None:
    (tmp_path / "apple.png").write_bytes(b"old")
    assert run("txt2img", "a", "-o", "apple.png").stdout == "apple.png\n"
    with Image.open("apple.png") as image:
        assert image.size == (16, 24)
    assert run("txt2img", "a", "-o", "new/pear.png", "--count", "2").exit_code == 0
    assert file_names(tmp_path / "new") == ["pear-1.png", "pear-2.png"]
    assert file_names(tmp_path) == ["apple.png", "new"]


@pytest.mark.usefixtures("fake_pipeline")
def test_no_file_in_a_folder_is_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    for name in ("00004-1.png", "100001-x.PNG", "7-1.png", "notes.txt"):
        folder.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"old")
    assert run("txt2img", "a", "-o", "pictures", "--seed", "1").exit_code == 0
    assert "100002-1.png" in file_names(folder)
    assert (folder / "00004-1.png").read_bytes() == b"old"
    assert run("txt2img", "a", "-o", "dotted.folder/", "--seed", "2").exit_code == 0
    assert file_names(tmp_path / "dotted.folder") == ["00001-2.png"]


@pytest.mark.parametrize("links", [True, False], ids=["hard links", "no hard links"])
def test_a_name_that_another_program_takes_meanwhile(
    links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(source: object, target: object) -> None:
        raise PermissionError(1, "no links here")

    if not links:
        monkeypatch.setattr(output.os, "link", no_links)
    folder = Output.from_text(f"{tmp_path}/")
    monkeypatch.setattr(output, "_next_number", lambda _: 1)
    (tmp_path / "00001-9.png").write_bytes(b"another's")
    written = folder.save(Image.new("RGB", (8, 8), BLUE), {"seed": 9, "index": 1}, 1, "text")
    assert written.name == "00002-9.png"
    assert read_infotext(written) == "text"
    assert (tmp_path / "00001-9.png").read_bytes() == b"another's"
    assert file_names(tmp_path) == ["00001-9.png", "00002-9.png"]
    umask = os.umask(0)
    os.umask(umask)
    assert written.stat().st_mode & 0o777 == 0o666 & ~umask


def test_a_picture_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    class BrokenImage(Image.Image):
        def save(self, *_: object, **__: object) -> None:
            raise OSError(28, "No space left on device")

    place = Output.from_text(str(tmp_path / "a.png"))
    with pytest.raises(OutputError, match="No space left on device"):
        place.save(BrokenImage(), {"seed": 1, "index": 1}, 1, "text")
    assert file_names(tmp_path) == []


def test_a_picture_that_webp_cannot_hold(tmp_path: Path) -> None:
    place = Output.from_text(str(tmp_path / "a.webp"))
    with pytest.raises(OutputError, match="16384x8 is too large for WebP"):
        place.save(Image.new("RGB", (16384, 8)), {"seed": 1, "index": 1}, 1, "")
    assert file_names(tmp_path) == []
