"""Named choices, found by the names that users write.

Tools write one sampler as ``dpmpp_2m``, ``DPM++ 2M``, ``k_dpmpp_2m`` or ``dpm++2m``. A
:class:`Catalogue` finds an entry by its name, its label or any alias: case, blanks, hyphens and
underscores do not count, and ``++`` is ``pp``. No two entries share a name.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from typing import Generic, Protocol, TypeVar

from diffusion.errors import SettingsError

__all__ = ["Catalogue", "Named"]

MAX_COMPARED = 100
"""Characters of a wrong name that are compared with the right ones."""


class Named(Protocol):
    """An entry of a catalogue: ``name`` is the identifier, ``label`` is for people."""

    @property
    def name(self) -> str: ...

    @property
    def label(self) -> str: ...

    @property
    def aliases(self) -> tuple[str, ...]: ...


T = TypeVar("T", bound=Named)


def _normalise_name(text: str) -> str:
    """Return ``text`` without case and the characters that do not count in a name."""
    return re.sub(r"[\s_-]+", "", text.casefold()).replace("++", "pp")


class Catalogue(Generic[T]):
    """A table of entries, in the order given.

    ``field``: the setting that chooses one, for errors. ``special``: a further value of it that is
    not an entry; errors list it with the names. Raises ``ValueError`` where two entries share a
    name.
    """

    def __init__(self, field: str, entries: Sequence[T], special: str | None = None) -> None:
        self._field = field
        self._special = special
        self._entries = tuple(entries)
        self._by_name: dict[str, T] = {}
        for entry in entries:
            for name in (entry.name, entry.label, *entry.aliases):
                if self._by_name.setdefault(_normalise_name(name), entry) is not entry:
                    raise ValueError(f"{field}: two entries are called {name!r}")

    def __iter__(self) -> Iterator[T]:
        return iter(self._entries)

    @property
    def names(self) -> tuple[str, ...]:
        """The identifiers of all entries."""
        return tuple(entry.name for entry in self._entries)

    def get(self, text: str) -> T | None:
        """Return the entry called ``text``, or None."""
        return self._by_name.get(_normalise_name(text))

    def find(self, text: str) -> T:
        """Return the entry called ``text``; a ``SettingsError`` lists the nearest names."""
        entry = self.get(text)
        if entry is None:
            raise SettingsError(self._field, text, self._hint(text))
        return entry

    def _hint(self, text: str) -> str:
        """Return ``did you mean euler or euler_a? (all: ddim, ...)``, nearest first."""
        close = difflib.get_close_matches(
            _normalise_name(text[:MAX_COMPARED]), self._by_name, n=8, cutoff=0.5
        )
        near = list(dict.fromkeys(self._by_name[key].name for key in close))[:3]
        every = ", ".join(sorted(filter(None, [*self.names, self._special])))
        return (
            f"did you mean {' or '.join(near)}? (all: {every})" if near else f"give one of {every}"
        )
