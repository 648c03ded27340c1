"""The examples run, stay short, and do what they say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
MOST_LINES = 60


def run(name: str, folder: Path, *arguments: str) -> str:
    """Run an example in a folder of its own; return what it prints."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / name), *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda file: file.name)
def test_examples_are_short(example: Path) -> None:
    assert len(example.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


def test_every_example_is_run_here() -> None:
    assert {file.name for file in EXAMPLES} == {
        "matrix_multiply.py",
        "txt2img.py",
        "vector_add.py",
    }


def test_vector_add(tmp_path: Path) -> None:
    assert "1000000 sums" in run("vector_add.py", tmp_path)


def test_matrix_multiply(tmp_path: Path) -> None:
    lines = run("matrix_multiply.py", tmp_path).splitlines()
    assert [line.split(" on ")[0] for line in lines] == ["the kernel above", "gpustd.gemm"]


def test_txt2img(tmp_path: Path) -> None:
    told = run("txt2img.py", tmp_path, "a blue fish", "fish.png", "2", "64")
    assert "step 2 of 2" in told
    for name in ("fish.png", "fish-preview.png"):
        with Image.open(tmp_path / name) as image:
            assert image.size == (64, 64)
