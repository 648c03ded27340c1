"""How the packages and tools start other processes."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.laws.sources import PACKAGES, name_of, python_files, tree_of

SAFE = {"-I", "-P"}
"""Options of Python that leave the current folder out of the search for modules."""


def unsafe_commands(tree: ast.Module) -> Iterator[int]:
    """Yield the lines of commands of Python that search the current folder of the caller."""
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and any(ast.unparse(k) == "cwd=ROOT" for k in call.keywords):
            for node in ast.walk(call):
                node._in_our_folder = True  # type: ignore[attr-defined]
    for node in ast.walk(tree):
        if isinstance(node, ast.List) and node.elts and not hasattr(node, "_in_our_folder"):
            words = [ast.unparse(word).strip("'") for word in node.elts]
            if words[0] == "sys.executable" and not SAFE.intersection(words[1:2]):
                yield node.lineno


@pytest.mark.parametrize(
    ("code", "is_safe"),
    [
        ("run([sys.executable, '-m', 'x'])", False),
        ("command = [sys.executable, 'x.py']", False),
        ("run([sys.executable, '-P', '-m', 'x'])", True),
        ("run([sys.executable, '-I', 'x.py'])", True),
        ("run([sys.executable, '-m', 'x'], cwd=ROOT)", True),
        ("run([sys.executable, '-m', 'x'], cwd=folder)", False),
    ],
)
def test_the_law_sees_what_is_unsafe(code: str, is_safe: bool) -> None:
    assert (list(unsafe_commands(ast.parse(code))) == []) is is_safe


def test_no_process_runs_modules_of_the_current_folder() -> None:
    """``python -m`` and ``-c`` put that folder first, and it may be a download (CWE-427)."""
    files: list[Path] = python_files(*PACKAGES, "tools")
    found = [f"{name_of(file)}:{line}" for file in files for line in unsafe_commands(tree_of(file))]
    assert found == []
