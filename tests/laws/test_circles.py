"""No module imports itself by way of others: every package can be read from the bottom up."""

from __future__ import annotations

from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter

import pytest

from tests.laws.sources import PACKAGES, imports_of, module_of, python_files

# A buffer is copied by a kernel, a kernel takes buffers, and a device makes both. The types of a
# buffer's operators and methods are buffers.
ALLOWED = {
    "gpucore.algebra.methods",
    "gpucore.algebra.operators",
    "gpucore.buffer",
    "gpucore.copying",
    "gpucore.device",
    "gpucore.kernel",
}


def import_graph(package: str) -> dict[str, set[str]]:
    """Return the modules of a package, each with those that it imports, for types alone too."""
    modules = {module_of(file): file for file in python_files(package)}
    return {
        module: {
            # `from a import b` reads as a.b, where b may be a module or a name in one.
            name if name in modules else name.rpartition(".")[0]
            for _, name in imports_of(file)
        }
        & modules.keys() - {module}
        for module, file in modules.items()
    }


def find_circle(graph: Mapping[str, set[str]], allowed: set[str]) -> list[str]:
    """Return a circle of imports, where the modules of ``allowed`` count as one; [] for none."""
    one = "+".join(sorted(allowed))

    def merge(module: str) -> str:
        return one if module in allowed else module

    merged: dict[str, set[str]] = {}
    for module, imported in graph.items():
        merged.setdefault(merge(module), set()).update(map(merge, imported))
    merged.get(one, set()).discard(one)
    try:
        TopologicalSorter(merged).prepare()
    except CycleError as error:
        circle: list[str] = error.args[1]
        return circle
    return []


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_make_no_circle(package: str) -> None:
    assert find_circle(import_graph(package), ALLOWED) == []


def test_the_allowed_circle_is_one() -> None:
    """An exception that nothing needs any more is to be removed."""
    graph = import_graph("gpucore")
    assert find_circle({module: graph[module] & ALLOWED for module in ALLOWED}, set())


def test_circles_are_found() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}
    assert set(find_circle(graph, set())) == {"a", "b", "c"}
    assert find_circle(graph, {"a", "b", "c"}) == []
    assert set(find_circle(graph, {"a", "b"})) == {"a+b", "c"}
