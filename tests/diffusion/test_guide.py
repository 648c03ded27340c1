"""The guide: its commands and options exist, its code runs, and its pictures are small."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.diffusion.cli.fake_pipeline import run

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "guide.md"
TEXT = GUIDE.read_text(encoding="utf-8")
GUIDANCE = (GUIDE.parent / "guidance.md").read_text(encoding="utf-8")
LARGEST_PICTURE = 60_000


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


COMMANDS = sorted(
    {
        shlex.split(line)[1]
        for block in blocks("sh")
        for line in block.splitlines()
        if line.startswith("avila ")
    }
)


@pytest.mark.parametrize("command", COMMANDS)
def test_options_exist(command: str) -> None:
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    shown = {
        option
        for line in lines
        if line.startswith(f"avila {command} ")
        for option in re.findall(r"--[a-z-]+", line)
    }
    done = run(command, "--help")
    assert done.exit_code == 0
    assert [option for option in sorted(shown) if option not in done.stdout] == []


def test_drawing_again_works(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The lines of the section run in their order, with small pictures."""
    monkeypatch.chdir(tmp_path)
    (block,) = [block for block in blocks("sh") if "--from" in block]
    for line in block.splitlines():
        small = ["--size", "64x64"] if "--seed" in line else []
        done = run(*shlex.split(line)[1:], *small)
        assert (line, done.exit_code, done.stderr.count("warning")) == (line, 0, 0), done.stderr


def test_options_named_in_the_text_exist() -> None:
    named = set(re.findall(r"`(--[a-z-]+)", TEXT))
    known = "".join(run(command, "--help").stdout for command in COMMANDS)
    assert [option for option in sorted(named) if option not in known and option != "--help"] == []


def test_links_lead_somewhere() -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)\)", TEXT)
    assert len(links) >= 5
    assert [link for link in links if not (GUIDE.parent / link).exists()] == []


@pytest.mark.parametrize("picture", sorted(GUIDE.parent.glob("images/guide-*.png")), ids=str)
def test_pictures_are_small(picture: Path) -> None:
    assert picture.stat().st_size <= LARGEST_PICTURE
    assert f"images/{picture.name}" in TEXT + GUIDANCE


def test_python_runs(tmp_path: Path) -> None:
    """As it stands but for fewer steps, since it draws a dozen pictures."""
    code = "\n".join(blocks("python"))
    assert code.count("steps=8") >= 7
    code = code.replace("steps=8", "steps=2")
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{code}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
