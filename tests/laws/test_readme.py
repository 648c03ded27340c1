"""What the documents show works: Python blocks run, commands and options exist."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.laws.sources import ROOT
from tests.processes import environment

DOCUMENTS = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md")


def blocks(language: str) -> list[tuple[str, str]]:
    """Each fenced block of the language, with its place for messages."""
    found = []
    for name in DOCUMENTS:
        text = (ROOT / name).read_text(encoding="utf-8")
        for match in re.finditer(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            line = text[: match.start()].count("\n") + 1
            found.append((f"{name}:{line}", match[1]))
    return found


def run_python(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        # A picture takes half as long where Mesa optimises what it compiles.
        env=environment(COLUMNS="200", NO_COLOR="1", GALLIVM_PERF="", LP_NATIVE_VECTOR_WIDTH=""),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def shell_lines() -> list[tuple[str, str]]:
    """Each command line of the shell blocks, without its comment."""
    return [
        (place, line.split("  #")[0].split(" # ")[0].strip())
        for place, block in blocks("sh")
        for line in block.splitlines()
    ]


def test_the_documents_show_something() -> None:
    assert len(blocks("python")) >= 2
    assert {"make demo", "make test"} <= {line for _, line in shell_lines()}


@pytest.mark.parametrize(
    ("place", "code"), [pytest.param(*each, id=each[0]) for each in blocks("python")]
)
def test_python_block_runs(place: str, code: str, tmp_path: Path) -> None:
    (tmp_path / "block.py").write_text(code, encoding="utf-8")
    done = run_python(["block.py"], tmp_path)
    assert done.returncode == 0, f"{place}\n{done.stderr}"


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    shown = {found[1] for _, line in shell_lines() if (found := re.match(r"make (\w+)", line))}
    assert shown <= targets


def test_shown_options_exist(tmp_path: Path) -> None:
    shown: dict[str, set[str]] = {}
    for _, line in shell_lines():
        if found := re.match(r"avila (\w+)", line):
            shown.setdefault(found[1], set()).update(re.findall(r"--[a-z]+", line))
    assert shown
    for command, options in shown.items():
        done = run_python(["-m", "diffusion.cli", command, "--help"], tmp_path)
        assert done.returncode == 0, done.stderr
        assert [option for option in sorted(options) if option not in done.stdout] == []
