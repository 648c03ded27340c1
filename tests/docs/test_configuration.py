"""The page of defaults and environment variables names what the code reads."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import pytest

from diffusion.cli.config.defaults import NOT_SET
from diffusion.cli.spellings import SPELLINGS
from tests.diffusion.cli.fake_pipeline import run
from tests.laws.sources import PACKAGES, ROOT, python_files

PAGE = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """Return the fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(autouse=True)
def _own_config(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("AVILA_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AVILA_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setenv("EDITOR", "true")


def test_every_variable_of_the_code_stands_on_the_page() -> None:
    text = "".join(file.read_text(encoding="utf-8") for file in python_files(*PACKAGES))
    read = set(re.findall(r"""["'`]((?:AVILA|GPUCORE|HF)_[A-Z_]*[A-Z])["'`]""", text))
    assert {"GPUCORE_DEVICE", "AVILA_CONFIG", "AVILA_DEBUG"} <= read
    assert sorted(name for name in read if f"`{name}`" not in PAGE) == []


def test_its_commands_work_in_their_order() -> None:
    (block,) = blocks("sh")
    for line in block.splitlines():
        done = run(*shlex.split(line)[1:])
        assert (line, done.exit_code) == (line, 0), done.stderr
    assert "img2img.strength = 0.5" in run("config").stdout


def test_its_config_file_is_right(tmp_path: Path) -> None:
    (block,) = blocks("toml")
    (tmp_path / "config.toml").write_text(block, encoding="utf-8")
    done = run("config")
    assert done.exit_code == 0, done.stderr
    assert len(done.stdout.splitlines()) == 6


def test_no_option_of_one_run_is_a_key() -> None:
    keys = {line.split()[0] for line in run("config", "keys").stdout.splitlines()}
    assert keys
    assert not keys & NOT_SET
    assert not {word[2:] for words in SPELLINGS.values() for word in words} & keys - {"prompt"}
