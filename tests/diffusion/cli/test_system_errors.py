"""Errors of the system become one line and status 2, whatever command and path meet them."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants
from PIL import Image

from diffusion.checkpoints import hub
from diffusion.cli.error_texts import LONGEST_LINE, is_of_stdout, shorten_line, system_error_text
from diffusion.cli.program import run
from diffusion.infotext.files import png_info
from gpucore.adapters import DEVICE_VARIABLE
from tests.diffusion.checkpoints.small_folder import write_folder
from tests.file_rights import mode_bits_count
from tests.processes import environment

ENDLESS = Path("/proc/self/mem")
"""A file that can be opened and not read: EIO."""

COMMANDS = {
    "model": ["txt2img", "a", "--model", "PATH"],
    "refiner": ["txt2img", "a", "--refiner", "PATH", "--steps", "1"],
    "vae": ["txt2img", "a", "--vae", "PATH"],
    "from": ["txt2img", "--from", "PATH"],
    "output": ["txt2img", "a", "-o", "PATH/a.png"],
    "preview": ["txt2img", "a", "--preview", "PATH/a.png"],
    "profile": ["txt2img", "a", "--profile", "PATH/a.json"],
    "img2img": ["img2img", "PATH", "a"],
    "mask": ["inpaint", "in.png", "a", "--mask", "PATH"],
    "upscale": ["upscale", "PATH"],
    "info": ["info", "PATH"],
    "convert": ["convert", "PATH", "-o", "new"],
    "convert to": ["convert", "model", "-o", "PATH/a.safetensors"],
    "convert to folder": ["convert", "model", "-o", "PATH/new"],
    "tokenizer": ["convert", "single.safetensors", "-o", "new", "--tokenizer", "PATH"],
    "show": ["model", "show", "PATH"],
    "verify": ["model", "verify", "PATH"],
    "rm": ["model", "rm", "PATH", "--yes"],
    "tune": ["tune", "--model", "PATH"],
}
PATHS = {
    "too long a name": "a" * 300,
    "too long a path": "a/" * 3000,
    "in a locked folder": "locked/inner",
    "a locked folder": "locked",
    "of a folder that is a file": "file/x",
    "a loop of links": "loop",
    "an unreadable file": "unreadable.safetensors",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a folder with paths of every kind, in which modes of files count."""
    place = tmp_path_factory.mktemp("paths")
    write_folder(place / "model")
    write_folder(place / "no vae")
    (place / "no vae" / "vae").chmod(0)
    write_folder(place / "no text")
    weights = place / "no text" / "text_encoder" / "model.safetensors"
    weights.unlink()
    weights.symlink_to(ENDLESS)
    Image.new("RGB", (64, 64)).save(place / "in.png")
    (place / "file").touch()
    (place / "loop").symlink_to("loop")
    (place / "unreadable.safetensors").symlink_to(ENDLESS)
    (place / "locked" / "inner").mkdir(parents=True)
    (place / "locked").chmod(0)
    with mode_bits_count():
        yield place
    for each in (place / "locked", place / "no vae" / "vae"):
        each.chmod(0o700)


@pytest.fixture(autouse=True)
def in_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv(DEVICE_VARIABLE, "null")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder / "cache"))
    monkeypatch.delenv("AVILA_DEBUG", raising=False)


def require_one_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert run(arguments) == 2
    out, message = capsys.readouterr()
    assert out == ""
    assert message.startswith("avila: ")
    assert message.count("\n") == 1
    assert len(message) <= LONGEST_LINE
    return message


@pytest.mark.sampled
@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("kind", PATHS)
def test_a_path_that_the_system_refuses(
    command: str, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [word.replace("PATH", PATHS[kind]) for word in COMMANDS[command]]
    require_one_line(arguments, capsys)
    assert not Path("new").exists()


@pytest.mark.parametrize(
    ("model", "place", "reason"),
    [
        ("no vae", "no vae/vae/config.json", "Permission denied"),
        ("no text", "no text/text_encoder/model.safetensors", "Input/output error"),
    ],
)
@pytest.mark.parametrize("command", ["model", "refiner", "convert", "show", "verify", "tune"])
def test_a_part_of_a_model_that_cannot_be_read(
    command: str, model: str, place: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [word.replace("PATH", model) for word in COMMANDS[command]]
    message = require_one_line(arguments, capsys)
    assert f"{place}: file: cannot be read: {reason}" in message


@pytest.mark.parametrize("content", [b"\xff\xfe", b"main", b"", b"0" * 10**6, None], ids=repr)
def test_a_damaged_cache_is_listed(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    for name in ("sound", "damaged"):
        snapshot = tmp_path / f"models--some--{name}" / "snapshots" / ("0" * 40)
        snapshot.mkdir(parents=True)
        (snapshot / "model_index.json").touch()
        (tmp_path / f"models--some--{name}" / "refs").mkdir()
    (tmp_path / "models--some--sound" / "refs" / "main").write_text("0" * 40)
    bad = tmp_path / "models--some--damaged" / "refs" / "main"
    bad.symlink_to(ENDLESS) if content is None else bad.write_bytes(content)
    with pytest.warns(match="some/damaged is not listed: .* names no commit"):
        assert [model.name for model in hub.cached_models()] == ["some/sound"]
    assert hub.cached_model("some/damaged") is None


def test_a_locked_model_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    refs = tmp_path / "models--some--locked" / "refs"
    refs.mkdir(parents=True)
    (refs / "main").write_text("0" * 40)
    snapshots = refs.with_name("snapshots")
    snapshots.mkdir(0)
    with pytest.warns(match="some/locked is not listed: .*Permission denied"):
        assert hub.cached_models() == []
    snapshots.chmod(0o700)


def test_messages() -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    assert system_error_text(full) == "No space left on device; free some space on the disk"
    assert is_of_stdout(full)
    assert not is_of_stdout(OSError(errno.ENOSPC, "No space left on device", "/a"))
    denied = PermissionError(errno.EACCES, "Permission denied", "/a\x1b\nb")
    expected = "/a\\x1b\\nb: Permission denied; check the path and its rights"
    assert system_error_text(denied) == expected
    assert system_error_text(OSError("it is odd")) == "it is odd"
    assert system_error_text(OSError()) == "OSError"


def test_long_lines_lose_their_middle() -> None:
    line = "a" * 3000 + "end"
    assert len(shorten_line(line)) < LONGEST_LINE
    assert shorten_line(line).endswith("aend")
    assert shorten_line("a" * LONGEST_LINE) == "a" * LONGEST_LINE


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no EPIPE")
def test_nobody_reads_stdout() -> None:
    """``avila info PICTURE | head -0``: no message."""
    reader, writer = os.pipe()
    os.close(reader)
    Image.new("RGB", (8, 8)).save("a.png", pnginfo=png_info("a"))
    done = subprocess.run(
        [sys.executable, "-m", "diffusion.cli", "info", "a.png"],
        env=environment(),
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")
