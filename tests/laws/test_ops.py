"""One operation, one stem, five places: code, shaders, reference, test and benchmark."""

from __future__ import annotations

import importlib

import pytest

from tests.laws.sources import LIBRARY, ROOT, imports_of, python_files

GPUSTD = ROOT / "gpustd"
# The modules whose functions gpustd offers, other than the library's packages.
STEMS = sorted(
    {name.split(".")[1] for _, name in imports_of(GPUSTD / "__init__.py") if name.count(".") == 2}
    - set(LIBRARY)
)
PLACES = (
    "gpustd/{}.py",
    "shaders/{}",
    "tests/gpustd/reference/{}.py",
    "tests/gpustd/test_{}.py",
    "bench/{}.py",
)


def test_there_are_operations() -> None:
    assert {"attention", "conv", "gemm", "group_norm", "layer_norm", "softmax"} <= set(STEMS)


@pytest.mark.parametrize("stem", STEMS)
def test_operation_has_its_five_places(stem: str) -> None:
    missing = [place.format(stem) for place in PLACES if not (ROOT / place.format(stem)).exists()]
    assert missing == []


@pytest.mark.parametrize("stem", STEMS)
def test_reference_has_a_case_table(stem: str) -> None:
    module = importlib.import_module(f"tests.gpustd.reference.{stem}")
    assert len(module.CASES) >= 3
    assert callable(module.reference)


def test_no_shader_is_without_an_operation() -> None:
    folders = {path.name for path in (ROOT / "shaders").iterdir() if path.is_dir()}
    assert folders <= {*STEMS, *LIBRARY}


def test_no_reference_is_without_an_operation() -> None:
    """A module beside the references of operations serves at least one of them."""
    files = python_files("tests/gpustd/reference")
    imported = {name for file in files for _, name in imports_of(file)}
    used = {n.split(".")[2] for n in imported if n.startswith("tests.gpustd.reference.")}
    others = {file.stem for file in files} - set(STEMS) - {"__init__"}
    assert others <= used


@pytest.mark.parametrize("package", [name for name in LIBRARY if (GPUSTD / name).is_dir()])
def test_library_package_is_tested_and_timed(package: str) -> None:
    """Each module whose functions a package offers has a test; the package has a benchmark."""
    offered = {
        name.split(".")[2]
        for _, name in imports_of(GPUSTD / package / "__init__.py")
        if name.startswith(f"gpustd.{package}.")
    }
    tests = ROOT / "tests" / "gpustd" / package
    assert [stem for stem in sorted(offered) if not (tests / f"test_{stem}.py").exists()] == []
    assert importlib.import_module(f"bench.{package}").ENTRIES
