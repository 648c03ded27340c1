"""The table of rows and tests: every row of the plan is in it, and what it names exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.laws.sources import ROOT

FOLDER = Path(__file__).parent
PLAN = {"S": 6, "P": 7, "G": 1, "R": 6, "I": 10, "H": 12, "B": 3, "F": 1, "U": 1, "W": 4}
PLAN |= {"M": 2, "D": 3, "N": 4, "L": 4, "E": 6}
"""The rows of the plan: a letter, and how many."""


def rows() -> dict[str, str]:
    """Return what stands in the last column of each row."""
    lines = (FOLDER / "README.md").read_text().splitlines()
    cells = [[each.strip() for each in line.strip("|").split("|")] for line in lines]
    return {row[0]: row[2] for row in cells if len(row) == 3 and re.fullmatch(r"[A-Z]\d+", row[0])}


@cache
def names_in(file: Path) -> set[str]:
    tree = ast.parse(file.read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_row_of_the_plan_is_there() -> None:
    expected = [f"{letter}{n}" for letter, count in PLAN.items() for n in range(1, count + 1)]
    assert sorted(rows()) == sorted(expected)


@pytest.mark.parametrize("row", sorted(rows()))
def test_what_a_row_names_exists(row: str) -> None:
    text = rows()[row]
    tests = re.findall(r"`([\w/]*(?:\.py)?)::(test_\w+)`", text)
    commands = re.findall(r"`python -m (\w+)\.(\w+)", text)
    assert tests or commands or text.startswith("not: ")
    file = None
    for path, name in tests:
        file = ROOT / "tests" / path if path else file
        assert file is not None
        assert name in names_in(file), f"{file}::{name}"
    for package, module in commands:
        assert (ROOT / package / f"{module}.py").is_file()
