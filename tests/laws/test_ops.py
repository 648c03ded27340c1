"""Each public operation is tested and timed, with the cases of one table where it has one."""

from __future__ import annotations

import ast
import functools
import importlib
import inspect

import pytest

from bench.__main__ import OPERATIONS
from tests.laws.sources import LIBRARY, ROOT, imports_of, module_of, name_of, python_files, tree_of

GPUSTD = ROOT / "gpustd"
# Packages that have no operations: making them of a caller's functions, launching kernels, the
# operators of buffers (which compose operations of other packages), formats of files, and choosing
# tiles.
MACHINERY = ("forms", "launch", "operators", "quantization", "tuning")
REFERENCES = sorted(
    file.stem for file in python_files("tests/gpustd/reference") if file.stem != "__init__"
)


def public_functions() -> list[str]:
    """Return every public function as ``package.name``."""
    found = set()
    for module in (f"gpustd.{package}" for package in LIBRARY):
        found |= set(functions(module))
    return sorted(found | set(functions("gpustd")))


def functions(module: str) -> list[str]:
    """Return the functions in a module's ``__all__``, each with the package that defines it."""
    package = importlib.import_module(module)
    members = {name: getattr(package, name) for name in package.__all__}
    return [
        f"{member.__module__.split('.')[1]}.{name}"
        for name, member in members.items()
        if inspect.isfunction(member) and member.__module__.startswith("gpustd.")
    ]


@functools.cache
def names_in_tests(package: str) -> frozenset[str]:
    """Return the names that a package's tests use, in code or as strings in their tables."""
    found: set[str] = set()
    for file in python_files(f"tests/gpustd/{package}"):
        for node in ast.walk(tree_of(file)):
            if isinstance(node, ast.Name):
                found.add(node.id)
            elif isinstance(node, ast.Attribute):
                found.add(node.attr)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value.rpartition(".")[2])
    return frozenset(found)


def tables_used_in(folder: str) -> dict[str, set[str]]:
    """Return, by reference, the files under ``folder`` that import one of its tables."""
    found: dict[str, set[str]] = {stem: set() for stem in REFERENCES}
    for file in python_files(folder):
        for _, name in imports_of(file):
            words = name.split(".")
            # a table by its name, or the module
            named = words[-1].isupper() or len(words) == 4
            if name.startswith("tests.gpustd.reference.") and named:
                found[words[3]].add(name_of(file))
    return found


def test_every_package_is_known() -> None:
    folders = {path.parent.name for path in GPUSTD.glob("*/__init__.py")}
    assert folders == {*LIBRARY, *MACHINERY}
    assert {"matmul.gemm", "nn.softmax", "image.resize", "linalg.svd"} <= set(public_functions())


@pytest.mark.parametrize("package", LIBRARY)
def test_each_function_is_named_in_the_tests_of_its_package(package: str) -> None:
    names = [
        path.partition(".")[2] for path in public_functions() if path.startswith(f"{package}.")
    ]
    assert sorted(set(names) - names_in_tests(package)) == []


@pytest.mark.parametrize("package", LIBRARY)
def test_each_package_is_timed(package: str) -> None:
    """By a benchmark of its name, or by those of its operations."""
    timed = set()
    for stem in OPERATIONS:
        module = importlib.import_module(f"bench.{stem}")
        assert module.ENTRIES
        members = [member for member in vars(module).values() if inspect.isfunction(member)]
        timed |= {stem} | {m.__module__.split(".")[1] for m in members if "gpustd." in m.__module__}
    assert package in timed


@pytest.mark.parametrize("stem", REFERENCES)
def test_test_and_benchmark_share_the_cases_of_a_reference(stem: str) -> None:
    table = importlib.import_module(f"tests.gpustd.reference.{stem}")
    assert len(table.CASES) >= 3
    assert set(table.SMALL) <= set(table.CASES)
    assert callable(table.reference)
    tests = {name for name in tables_used_in("tests/gpustd")[stem] if "/test_" in name}
    assert tests, "no test takes its cases from the reference"
    assert f"bench/{stem}.py" in tables_used_in("bench")[stem]
    assert stem in OPERATIONS


def test_benchmarks_of_operations_are_listed() -> None:
    files = python_files("bench")
    used = {name for file in files for _, name in imports_of(file)}
    listed = [
        file.stem
        for file in files
        if "ENTRIES = [" in file.read_text(encoding="utf-8")
        # the lists that another benchmark imports are parts of it
        and not any(name.startswith(module_of(file)) for name in used)
    ]
    assert sorted({*listed} - {*OPERATIONS}) == []


def test_no_shader_is_without_an_operation() -> None:
    folders = {path.name for path in (ROOT / "shaders").iterdir() if path.is_dir()}
    assert folders == set(LIBRARY)
