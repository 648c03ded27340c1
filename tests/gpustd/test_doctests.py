"""The examples in gpustd's docstrings run: on the processor, and all on one device."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
from collections.abc import Iterator

import pytest

import gpustd
from gpucore import Device, DeviceNotFoundError
from tests.gpustd.examples import example_names

MODULES = [info.name for info in pkgutil.walk_packages(gpustd.__path__, "gpustd.")]
# Packages whose every function shows an example, and those of which some do.
COMPLETE = ("arrays", "image", "linalg", "signal")
BEGUN = ("nn", "random")


def find_examples() -> Iterator[doctest.DocTest]:
    """Yield the examples of every module, which know only the names that they are given."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    for name in MODULES:
        for found in finder.find(importlib.import_module(name), name, globs={}):
            if found.examples:
                yield found


EXAMPLES = list(find_examples())


@pytest.fixture(scope="module")
def example_device() -> Iterator[Device]:
    """Yield the device of every example, also of ``Device.auto()``: they share kernels."""
    try:
        device = Device.cpu()
    except DeviceNotFoundError:
        device = Device.auto()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Device, "auto", lambda: device)
        yield device


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: str(example.name))
def test_examples_print_what_they_show(example: doctest.DocTest, example_device: Device) -> None:
    example.globs = example_names(example_device)
    output: list[str] = []
    result = doctest.DocTestRunner(verbose=False).run(example, out=output.append)
    assert result.failed == 0, "".join(output)


@pytest.mark.parametrize("name", [*COMPLETE, *BEGUN])
def test_packages_show_examples(name: str) -> None:
    shown = {e.name.rpartition(".")[2] for e in EXAMPLES if e.name.startswith(f"gpustd.{name}.")}
    package = importlib.import_module(f"gpustd.{name}")
    assert shown
    if name in COMPLETE:
        offered = {n for n in package.__all__ if inspect.isroutine(getattr(package, n))}
        assert offered - shown == set()
