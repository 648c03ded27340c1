"""One operation, one stem, five places: code, shaders, reference, test and benchmark."""

from __future__ import annotations

import importlib

import pytest

from tests.laws.sources import ROOT

REFERENCES = sorted(
    file.stem for file in (ROOT / "gpustd" / "reference").glob("*.py") if file.stem != "__init__"
)
PLACES = (
    "gpustd/{}.py",
    "shaders/{}",
    "gpustd/reference/{}.py",
    "tests/gpustd/test_{}.py",
    "bench/{}.py",
)


def test_there_are_operations() -> None:
    assert {"attention", "conv", "gemm"} <= set(REFERENCES)


@pytest.mark.parametrize("stem", REFERENCES)
def test_operation_has_its_five_places(stem: str) -> None:
    missing = [place.format(stem) for place in PLACES if not (ROOT / place.format(stem)).exists()]
    assert missing == []


def test_no_shader_is_without_an_operation() -> None:
    folders = sorted(path.name for path in (ROOT / "shaders").iterdir() if path.is_dir())
    assert folders == REFERENCES


@pytest.mark.parametrize("stem", REFERENCES)
def test_reference_has_a_case_table(stem: str) -> None:
    module = importlib.import_module(f"gpustd.reference.{stem}")
    assert len(module.CASES) >= 3
    assert callable(module.reference)
