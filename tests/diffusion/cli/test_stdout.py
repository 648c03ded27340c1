"""Text on a terminal, in a pipe or on a full disk: any text can be printed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from diffusion.cli.app import complain
from diffusion.infotext.files import png_info
from diffusion.infotext.grammar import LARGEST_TEXT
from tests.diffusion.cli.fake_pipeline import run


def test_messages_steer_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    complain("a\x1b[31m\x9b\ud800\nü")
    assert capsys.readouterr().err == "avila: a\\x1b[31m\\x9b\\ud800\nü\n"


def info_of(picture: Path, stdout: int | None, **variables: str) -> tuple[int, str, bytes]:
    """Return the status, stderr and stdout of ``avila info`` in a process of its own."""
    arguments = [sys.executable, "-m", "diffusion.cli", "info", str(picture)]
    with subprocess.Popen(
        arguments, env=os.environ | variables, stdout=stdout, stderr=subprocess.PIPE
    ) as process:
        output, errors = process.communicate(timeout=60)
    return process.returncode, errors.decode(), output


def test_any_terminal_can_show_any_text(tmp_path: Path) -> None:
    picture = tmp_path / "a.png"
    Image.new("RGB", (8, 8)).save(picture, pnginfo=png_info("жаба"))
    found = info_of(picture, subprocess.PIPE, PYTHONIOENCODING="ascii")
    assert found == (0, "", b"\\u0436\\u0430\\u0431\\u0430" + os.linesep.encode())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux's")
@pytest.mark.parametrize("length", [1, 1 << 19])
def test_a_full_disk_behind_stdout_is_reported(length: int, tmp_path: Path) -> None:
    picture = tmp_path / "a.png"
    Image.new("RGB", (8, 8)).save(picture, pnginfo=png_info("a" * length))
    with Path("/dev/full").open("wb") as full:
        status, stderr, _ = info_of(picture, full.fileno())
    assert (status, stderr) == (2, "avila: stdout cannot be written: the disk is full\n")


def test_endless_text_is_not_shown(tmp_path: Path) -> None:
    picture = tmp_path / "a.png"
    Image.new("RGB", (8, 8)).save(picture, pnginfo=png_info("a" * (LARGEST_TEXT + 1)))
    done = run("info", str(picture))
    assert done.exit_code == 2
    assert done.stdout == ""
    assert "infotext cannot be '1048577 characters'" in done.stderr
