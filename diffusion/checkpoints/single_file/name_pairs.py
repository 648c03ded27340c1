"""Pairs of names of the same module, in a single file and in the diffusers layout."""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

Pairs = Iterator[tuple[str, str]]
"""A module's name in a single file, and in the diffusers layout."""


class NamePairs:
    """A table of modules' names that is read both ways; what is inside a module keeps its name."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._diffusers = MappingProxyType(dict(pairs))
        self._single = MappingProxyType({new: old for old, new in self._diffusers.items()})
        self._parts = max(name.count(".") + 1 for pair in self._diffusers.items() for name in pair)

    def diffusers(self, name: str) -> str | None:
        """Return the diffusers name of a single file's parameter; None if it is not known."""
        return replace_start(name, self._diffusers, self._parts)

    def single(self, name: str) -> str | None:
        """Return the single file's name of a diffusers parameter; None if it is not known."""
        return replace_start(name, self._single, self._parts)


def replace_start(name: str, table: Mapping[str, str], most: int) -> str | None:
    """Return a name whose start is replaced by what the table has for it; None for no match.

    The longest start that the table knows is taken. ``most``: parts of the table's longest name.
    """
    start = ".".join(name.split(".", most)[:most])
    while start:
        if start in table:
            return table[start] + name[len(start) :]
        start = start.rpartition(".")[0]
    return None


def module_pairs(old: str, new: str, leaves: Iterable[tuple[str, str]]) -> Pairs:
    """Yield the pairs of a module's parts: ``leaves`` under the module's two names."""
    for before, after in leaves:
        yield f"{old}.{before}", f"{new}.{after}"
