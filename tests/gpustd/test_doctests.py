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

MODULES = [info.name for info in pkgutil.walk_packages(gpustd.__path__, "gpustd.")]
# Packages whose every function shows an example, and those of which some do.
COMPLETE = ("arrays", "image", "linalg", "signal")
BEGUN = ("nn", "random")


def examples() -> Iterator[doctest.DocTest]:
    finder = doctest.DocTestFinder(exclude_empty=True)
    for name in MODULES:
        for found in finder.find(importlib.import_module(name), name):
            if found.examples:
                yield found


EXAMPLES = list(examples())


@pytest.fixture(scope="module", autouse=True)
def one_device() -> Iterator[None]:
    """What ``Device.auto()`` gives to every example, so that they share compiled kernels."""
    try:
        device = Device.cpu()
    except DeviceNotFoundError:
        device = Device.auto()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Device, "auto", lambda: device)
        yield


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: str(example.name))
def test_examples_print_what_they_show(example: doctest.DocTest) -> None:
    told: list[str] = []
    result = doctest.DocTestRunner(verbose=False).run(example, out=told.append)
    assert result.failed == 0, "".join(told)


@pytest.mark.parametrize("name", [*COMPLETE, *BEGUN])
def test_packages_show_examples(name: str) -> None:
    shown = {e.name.rpartition(".")[2] for e in EXAMPLES if e.name.startswith(f"gpustd.{name}.")}
    package = importlib.import_module(f"gpustd.{name}")
    assert shown
    if name in COMPLETE:
        offered = {n for n in package.__all__ if inspect.isroutine(getattr(package, n))}
        assert offered - shown == set()
