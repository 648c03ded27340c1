"""Every package states its law, names what it exports, and ships its types."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import pytest

from tests.laws.sources import PACKAGES, ROOT, module_of, name_of, python_files, tree_of

INITS = [file for file in python_files(*PACKAGES) if file.name == "__init__.py"]


def export_list(tree: ast.Module) -> list[str] | None:
    """Return the literal list that a module assigns to __all__, or None."""
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        if isinstance(node, ast.AnnAssign):
            targets = [node.target]
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            assert isinstance(node, ast.Assign | ast.AnnAssign)
            assert node.value is not None
            names: list[str] = ast.literal_eval(node.value)
            return names
    return None


def sort_key(name: str) -> tuple[int, list[tuple[int, str]]]:
    """Return a key that sorts CONSTANTS, Classes, functions, with numbers by value (i8, i32)."""
    rank = 0 if name.isupper() and len(name) > 1 else 1 if name[0].isupper() else 2
    pieces = re.findall(r"\d+|\D+", name)
    return rank, [(int(piece), "") if piece.isdigit() else (0, piece) for piece in pieces]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_folder_of_code_is_a_package(package: str) -> None:
    folders = {file.parent for file in python_files(package)}
    assert [name_of(folder) for folder in folders if not (folder / "__init__.py").exists()] == []


@pytest.mark.parametrize("init", INITS, ids=module_of)
def test_package_states_its_law_and_its_names(init: Path) -> None:
    tree = tree_of(init)
    assert len((ast.get_docstring(tree) or "").split()) >= 5, "the docstring states the law"
    names = export_list(tree)
    assert names is not None, "a package has one __all__"
    assert names == sorted(names, key=sort_key)
    assert len(names) == len(set(names))
    module = importlib.import_module(module_of(init))
    assert [name for name in names if not hasattr(module, name)] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_modules_keep_their_exports_sorted(package: str) -> None:
    for file in python_files(package):
        names = export_list(tree_of(file)) or []
        assert names == sorted(names, key=sort_key), name_of(file)


@pytest.mark.parametrize("package", PACKAGES)
def test_package_is_marked_as_typed(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()
