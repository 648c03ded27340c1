"""`Choice`: a catalogue entry that is only its names."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Choice"]


@dataclass(frozen=True)
class Choice:
    """An entry of a `Catalogue` that has names and nothing else; ``label`` is the WebUI's."""

    name: str
    label: str
    aliases: tuple[str, ...] = ()
