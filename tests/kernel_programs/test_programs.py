"""The programs of examples/kernels give what NumPy gives, on every engine."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gpucore import Device
from tests.kernel_programs import arithmetic, filters, pictures, simulations
from tests.kernel_programs.comparing import Comparison

FOLDER = Path(__file__).parents[2] / "examples" / "kernels"
CASES = (*pictures.CASES, *simulations.CASES, *filters.CASES, *arithmetic.CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_program(device: Device, case: Callable[[Device], Iterator[Comparison]]) -> None:
    comparisons = list(case(device))
    assert comparisons
    for each in comparisons:
        each.check()


def test_every_program_has_a_case() -> None:
    offered: list[str] = []
    for file in FOLDER.glob("[a-z]*.py"):
        offered += importlib.import_module(f"examples.kernels.{file.stem}").__all__
    assert sorted(offered) == sorted(case.__name__ for case in CASES)
    assert len(offered) >= 60
