"""Named choices, found by the names that users write.

The field writes one sampler as ``dpmpp_2m``, ``DPM++ 2M``, ``k_dpmpp_2m`` or ``dpm++2m``. A
:class:`Catalogue` finds an entry by its name, its label or any alias: case, blanks, hyphens and
underscores do not count, and ``++`` is ``pp``. Two entries can never share a name.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from typing import Generic, Protocol, TypeVar

from diffusion.errors import SettingsError

__all__ = ["Catalogue", "Named"]

LONGEST = 100
"""Characters of a wrong name that are compared with the right ones."""


class Named(Protocol):
    """What a catalogue holds: ``name`` is the identifier, ``label`` is for people."""

    @property
    def name(self) -> str: ...

    @property
    def label(self) -> str: ...

    @property
    def aliases(self) -> tuple[str, ...]: ...


T = TypeVar("T", bound=Named)


def _folded(text: str) -> str:
    """``text`` without what does not count in a name."""
    return re.sub(r"[\s_-]+", "", text.casefold()).replace("++", "pp")


class Catalogue(Generic[T]):
    """Entries in the order given.

    ``field``: the setting whose value they are, for errors. ``special``: a value of it that is no
    entry, listed with the names. Raises ``ValueError`` where two entries share a name.
    """

    def __init__(self, field: str, entries: Sequence[T], special: str | None = None) -> None:
        self._field = field
        self._special = special
        self._entries = tuple(entries)
        self._by_name: dict[str, T] = {}
        for entry in entries:
            for name in (entry.name, entry.label, *entry.aliases):
                if self._by_name.setdefault(_folded(name), entry) is not entry:
                    raise ValueError(f"{field}: two entries are called {name!r}")

    def __iter__(self) -> Iterator[T]:
        return iter(self._entries)

    @property
    def names(self) -> tuple[str, ...]:
        """The identifiers of all entries."""
        return tuple(entry.name for entry in self._entries)

    def get(self, text: str) -> T | None:
        """The entry called ``text``, or None."""
        return self._by_name.get(_folded(text))

    def find(self, text: str) -> T:
        """The entry called ``text``. Raises ``SettingsError`` that lists the nearest names."""
        entry = self.get(text)
        if entry is None:
            raise SettingsError(self._field, text, self._hint(text))
        return entry

    def _hint(self, text: str) -> str:
        """``did you mean euler or euler_a? (all: ddim, ...)``, nearest first."""
        close = difflib.get_close_matches(_folded(text[:LONGEST]), self._by_name, n=8, cutoff=0.5)
        near = list(dict.fromkeys(self._by_name[key].name for key in close))[:3]
        every = ", ".join(sorted(filter(None, [*self.names, self._special])))
        return (
            f"did you mean {' or '.join(near)}? (all: {every})" if near else f"give one of {every}"
        )
