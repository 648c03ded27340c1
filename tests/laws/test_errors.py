"""Errors form one tree a package, drawn at the top of the file that defines them."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from pathlib import Path

import pytest

from tests.laws.sources import PACKAGES, module_of, name_of, python_files, tree_of

ERROR_FILES = [file for file in python_files(*PACKAGES) if file.name == "errors.py"]


def drawn_tree(docstring: str) -> dict[str, str | None]:
    """Read `Child: Parent` from a tree drawn with box characters (root: None)."""
    parents: dict[str, str | None] = {}
    open_branches: list[tuple[int, str]] = []
    for line in docstring.splitlines():
        match = re.match(r"^([\s│├└─]*)([A-Z]\w*(?:Error|Warning))\b", line)
        if not match:
            continue
        depth, name = len(match[1]), match[2]
        while open_branches and open_branches[-1][0] >= depth:
            open_branches.pop()
        parents[name] = open_branches[-1][1] if open_branches else None
        open_branches.append((depth, name))
    return parents


def error_classes(file: Path) -> dict[str, type[BaseException]]:
    module = importlib.import_module(module_of(file))
    members = inspect.getmembers(module, inspect.isclass)
    return {
        name: member
        for name, member in members
        if issubclass(member, BaseException) and member.__module__ == module.__name__
    }


@pytest.mark.parametrize("file", ERROR_FILES, ids=name_of)
def test_the_drawn_tree_is_the_real_one(file: Path) -> None:
    drawn = drawn_tree(ast.get_docstring(tree_of(file)) or "")
    classes = error_classes(file)
    assert classes.keys() <= drawn.keys(), "a class is missing from the drawing"
    for name, error in classes.items():
        parent = drawn[name]
        if parent is not None:
            assert parent in {base.__name__ for base in error.__bases__}, name
        assert error.__doc__, f"{name} says nothing about itself"


@pytest.mark.parametrize("file", ERROR_FILES, ids=name_of)
def test_the_tree_has_one_root(file: Path) -> None:
    drawn = drawn_tree(ast.get_docstring(tree_of(file)) or "")
    assert len([name for name, parent in drawn.items() if parent is None]) == 1


def test_errors_are_defined_nowhere_else() -> None:
    elsewhere = [
        f"{name_of(file)}:{node.lineno} {node.name}"
        for file in python_files(*PACKAGES)
        if file.name != "errors.py"
        for node in ast.walk(tree_of(file))
        if isinstance(node, ast.ClassDef)
        and any(re.search(r"(Error|Exception)$", ast.unparse(base)) for base in node.bases)
    ]
    assert elsewhere == []


def test_the_reader_of_trees_reads() -> None:
    drawing = "AError\n├── BError  text\n│   └── CError\n└── DError"
    expected = {"AError": None, "BError": "AError", "CError": "BError", "DError": "AError"}
    assert drawn_tree(drawing) == expected
