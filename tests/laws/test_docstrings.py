"""Each public function of gpustd's packages tells what it does, what it raises, and shows it."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable
from dataclasses import is_dataclass
from typing import Any

import pytest

import gpucore
import gpustd
from gpucore import testing
from tests.laws.sources import LIBRARY

ERRORS = [
    name
    for name in gpucore.__all__
    if inspect.isclass(getattr(gpucore, name)) and issubclass(getattr(gpucore, name), Exception)
]
# "Raises as `fft`", "other arguments and errors as of `rfft`", "the inverse of `hfft`".
POINTER = re.compile(r"`(?:\w+\.)*(\w+)`")


def functions() -> dict[str, Callable[..., Any]]:
    """Return every function, and public method of a class, that a package offers as its own."""
    found: dict[str, Callable[..., Any]] = {}
    for package in LIBRARY:
        module = importlib.import_module(f"gpustd.{package}")
        for name in module.__all__:
            member = getattr(module, name)
            if inspect.isfunction(member) and member.__module__.startswith(module.__name__):
                found[f"{package}.{name}"] = member
            elif inspect.isclass(member) and not issubclass(member, tuple):
                found |= {f"{package}.{name}.{n}": m for n, m in methods(member)}
    return found


def top() -> dict[str, Callable[..., Any]]:
    """Return the functions that are offered at the top of gpustd alone."""
    members = {f"gpustd.{name}": getattr(gpustd, name) for name in gpustd.__all__}
    known = {id(function) for function in functions().values()}
    return {name: f for name, f in members.items() if inspect.isfunction(f) and id(f) not in known}


def helpers() -> dict[str, Any]:
    """Return gpucore's functions, and its classes that are no errors, dtypes or plain records."""
    members = {f"gpucore.{name}": getattr(gpucore, name) for name in gpucore.__all__}
    members |= {f"testing.{name}": getattr(testing, name) for name in testing.__all__}
    found = {}
    for name, member in members.items():
        plain = inspect.isclass(member) and (issubclass(member, Exception) or is_dataclass(member))
        if callable(member) and not plain and (inspect.isfunction(member) or methods(member)):
            found[name] = member
    return found


def methods(kind: type) -> list[tuple[str, Callable[..., Any]]]:
    return [(n, m) for n, m in vars(kind).items() if inspect.isfunction(m) and n[0] != "_"]


FUNCTIONS = functions()
# What users import from: packages, and gpucore's helpers for tests.
OFFERED = ["gpucore", "gpucore.testing", "gpustd", *(f"gpustd.{name}" for name in LIBRARY)]


def documents(path: str) -> list[str]:
    """Return the docstrings of a function, of the class around it if any, and of its module."""
    function = FUNCTIONS[path]
    module = importlib.import_module(function.__module__)
    around = [getattr(module, name) for name in function.__qualname__.split(".")[:-1]]
    return [inspect.getdoc(each) or "" for each in (function, *around, module)]


def names_an_error(path: str, seen: frozenset[str] = frozenset()) -> bool:
    """Tell whether a docstring names an error, or points to a function whose docstring does."""
    texts = documents(path)
    if any(error in text for text in texts for error in ERRORS):
        return True
    package = path.partition(".")[0]
    pointed = {f"{package}.{name}" for name in POINTER.findall(texts[0])} & FUNCTIONS.keys()
    return any(names_an_error(each, seen | {path}) for each in pointed - seen - {path})


def test_there_are_functions() -> None:
    assert {path.partition(".")[0] for path in FUNCTIONS} == set(LIBRARY)
    assert len(FUNCTIONS) > 200


@pytest.mark.parametrize("name", OFFERED)
def test_nothing_offered_is_hidden_by_a_module(name: str) -> None:
    """A module of a function's name takes its place in the package where it is imported later."""
    package = importlib.import_module(name)
    assert [each for each in package.__all__ if inspect.ismodule(getattr(package, each))] == []


def test_each_says_what_it_does() -> None:
    first = {path: documents(path)[0].partition("\n")[0] for path in FUNCTIONS}
    assert [path for path, line in first.items() if not line.endswith((".", ":"))] == []


def test_each_shows_an_example() -> None:
    shown = {path for path in FUNCTIONS if any(">>> " in text for text in documents(path))}
    assert sorted(FUNCTIONS.keys() - shown) == []


def test_each_names_an_error() -> None:
    assert [path for path in FUNCTIONS if not names_an_error(path)] == []


def test_errors_and_pointers_are_found() -> None:
    assert {"ArgumentError", "ShapeError"} <= set(ERRORS)
    assert "Buffer" not in ERRORS
    assert POINTER.findall("Errors as of `signal.fft`; see `rfft`.") == ["fft", "rfft"]


def test_those_at_the_top_show_an_example_and_name_an_error() -> None:
    found = {name: inspect.getdoc(function) or "" for name, function in top().items()}
    assert {"gpustd.guidance", "gpustd.linear_combination"} <= found.keys()
    assert [name for name, text in found.items() if ">>>" not in text] == []
    assert [name for name, text in found.items() if not any(e in text for e in ERRORS)] == []


def test_what_gpucore_offers_shows_an_example() -> None:
    found = {name: inspect.getdoc(member) or "" for name, member in helpers().items()}
    assert {"gpucore.Buffer", "gpucore.Device", "testing.poisoned_buffer"} <= found.keys()
    assert [name for name, text in found.items() if ">>>" not in text] == []


@pytest.mark.parametrize("name", OFFERED)
def test_everything_offered_says_what_it_is(name: str) -> None:
    """Classes' public members, too."""
    package = importlib.import_module(name)
    members = {each: getattr(package, each) for each in package.__all__}
    for each, member in list(members.items()):
        if inspect.isclass(member):
            members |= {f"{each}.{n}": m for n, m in inspect.getmembers(member) if n[0] != "_"}
    documented = {n: m for n, m in members.items() if inspect.isroutine(m) or inspect.isclass(m)}
    assert [n for n, m in documented.items() if not inspect.getdoc(m)] == []
