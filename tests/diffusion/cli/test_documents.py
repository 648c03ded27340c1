"""The commands that the documents show run as written, in their order, in an empty folder."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from diffusion.cli import networks
from diffusion.settings import Defaults
from tests.diffusion.cli.fake_pipeline import FakePipeline, file_names, run
from tests.processes import environment

ROOT = Path(__file__).parents[3]
PAGES = ("README.md", "docs/guide.md", "docs/models.md", "docs/index.md", "docs/configuration.md")

SHELL = ("printf", "echo")
"""Lines that write a small file."""

OTHER_PROGRAMS = ("make", "pip", "python", "hf")
ON_OTHER_FILES = {
    "model": "downloads, lists or deletes in the user's cache: see tests of the hub",
    "convert": "reads weights: see test_convert.py",
    "doctor": "opens this machine's adapters: see test_entry.py",
    "tune": "opens this machine's adapters: see test_tune.py",
}
"""Commands that are only looked up here, and why."""


def blocks(page: str) -> list[tuple[str, str]]:
    """Return the language and the text of each block of a page that can be run."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(r"^```(sh|python)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def commands(page: str) -> list[tuple[str, list[str]]]:
    """Return each shell line of a page, and its words without comments."""
    lines = [line for kind, block in blocks(page) if kind == "sh" for line in block.splitlines()]
    return [(line, words) for line in lines if (words := shlex.split(line, comments=True))]


@pytest.fixture
def any_model(
    fake_pipeline: type[FakePipeline], monkeypatch: pytest.MonkeyPatch
) -> type[FakePipeline]:
    """Let the fake stand in for every model that is named, with sizes as the bundled one's."""
    load = fake_pipeline.load

    def load_any(model: object, device: Any, dtype: object, **options: object) -> FakePipeline:
        return load(None, device, dtype, **options)

    monkeypatch.setattr(fake_pipeline, "load", load_any)
    monkeypatch.setattr(fake_pipeline, "defaults", Defaults(width=256, height=256, steps=3))
    monkeypatch.setattr(
        networks, "refine", lambda base, refiner, settings, switch: base.generate(settings)
    )
    return fake_pipeline


@pytest.mark.parametrize("page", PAGES)
def test_commands_run_in_their_order(
    any_model: type[FakePipeline], tmp_path: Path, page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AVILA_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setenv("EDITOR", "true")
    shown = commands(page)
    assert shown
    for line, words in shown:
        if words[0] in SHELL:
            subprocess.run(["bash", "-c", line], check=True)
        if words[:2] == ["python", "-c"]:
            subprocess.run([sys.executable, *words[1:]], check=True)
        if words[0] in (*SHELL, *OTHER_PROGRAMS):
            continue
        assert words[0] == "avila", words
        if words[1] in ON_OTHER_FILES:
            assert run(words[1], "--help").exit_code == 0
            continue
        done = run(*words[1:])
        assert done.exit_code == 0, (words, done.stderr, file_names(tmp_path))


@pytest.mark.slow
def test_the_readme_draws(tmp_path: Path) -> None:
    """Its commands draw with the bundled model, each in a process of its own, as a reader does."""
    for _, words in commands("README.md"):
        if words[0] != "avila" or words[1] in ON_OTHER_FILES:
            continue
        done = subprocess.run(
            [sys.executable, "-P", "-m", "diffusion.cli", *words[1:], "--steps", "2"],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (words, done.stderr)
        assert all((tmp_path / name).stat().st_size for name in done.stdout.split())
