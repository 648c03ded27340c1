"""shaders/ holds WGSL, and CUDA C++ beside it; each file is readable alone; none is in Python."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.laws.sources import ROOT, name_of, python_files, tracked_files, tree_of

FILES = [file for file in tracked_files() if file.is_relative_to(ROOT / "shaders")]
SHADERS = [file for file in FILES if file.suffix in (".wgsl", ".cu", ".cuh")]
NATIVE = [file for file in FILES if file.suffix == ".cu"]
# A choice of text inside an expression; arithmetic on numbers may choose.
CHOICE = re.compile(r"""\{\{[^}]*["'] if [^}]*\}\}""")
MOST_CHOICES = 37
KERNEL = re.compile("@compute|__global__")
# What only a shader's text contains.
MARKS = ("@compute", "@group(", "@workgroup_size", "var<storage", "var<workgroup", "__global__")


def opening(text: str) -> str:
    """Return the comment block that the file opens with, without slashes and statements."""
    lines = []
    for line in text.splitlines():
        if line.startswith("//%"):
            continue
        if not line.startswith("//"):
            break
        lines.append(line.removeprefix("//").strip())
    return "\n".join(lines)


def test_there_are_shaders() -> None:
    assert len(SHADERS) >= 10


def test_only_shaders_lie_there() -> None:
    assert sorted(FILES) == sorted(SHADERS)


def test_native_kernels_have_their_bindings_in_wgsl() -> None:
    assert NATIVE
    assert [name_of(file) for file in NATIVE if not file.with_suffix(".wgsl").exists()] == []


def with_includes(file: Path) -> list[Path]:
    """Return the file and all files that its template includes."""
    text = file.read_text(encoding="utf-8")
    named = re.findall(r"^//%-?\s*(?:include|import|from)\s+\"([^\"]+)\"", text, re.MULTILINE)
    return [file, *(each for name in named for each in with_includes(ROOT / "shaders" / name))]


@pytest.mark.parametrize("file", SHADERS, ids=name_of)
def test_shader_opens_with_its_idea(file: Path) -> None:
    words = opening(file.read_text(encoding="utf-8")).split()
    assert len(words) >= 8, "the first lines are a comment that tells the idea"


@pytest.mark.parametrize("file", [f for f in SHADERS if KERNEL.search(f.read_text())], ids=name_of)
def test_kernel_tells_its_memory_layout_and_limits(file: Path) -> None:
    parts = [opening(part.read_text(encoding="utf-8")) for part in with_includes(file)]
    head = "\n".join(parts).lower()
    assert re.search(r"\b(memory|layout):", head), "no line 'Memory:' in the opening comment"
    assert "limits:" in head, "no line 'Limits:' in the opening comment"


def test_templates_choose_by_line_statements() -> None:
    """Control flow stands in ``//%`` lines, so that the lines between them read as WGSL.

    The few that are left choose twice in one expression, or once for each part of a list.
    """
    lines = [(file, line) for file in SHADERS for line in file.read_text("utf-8").splitlines()]
    choices = [name_of(f) for f, line in lines if CHOICE.search(line) and "//%" not in line]
    assert len(choices) <= MOST_CHOICES, choices


@pytest.mark.parametrize("file", python_files("gpustd", "diffusion"), ids=name_of)
def test_no_wgsl_in_python(file: Path) -> None:
    for node in ast.walk(tree_of(file)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            assert not any(mark in node.value for mark in MARKS), f"{name_of(file)}:{node.lineno}"
