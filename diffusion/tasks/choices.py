"""A choice among a few, by name, label or alias."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Choice"]


@dataclass(frozen=True)
class Choice:
    """An entry of a `Catalogue` that is nothing but its names; ``label`` is the WebUI's."""

    name: str
    label: str
    aliases: tuple[str, ...] = ()
