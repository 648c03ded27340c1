"""Settings found in another program's metadata, collected under the names of infotext."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from diffusion.infotext.grammar import LARGEST_TEXT

__all__ = ["Json", "Record", "as_number", "as_text", "read_json"]

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"

NEEDED: Final = ("Steps", "Seed")
"""Settings without which a record cannot draw its picture again."""


@dataclass
class Record:
    """A prompt and settings. ``settings`` has infotext's keys."""

    prompt: str = ""
    negative: str = ""
    settings: dict[str, str | int | float] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """True where the settings that every picture has were found."""
        return all(name in self.settings for name in NEEDED)

    def add(self, key: str, value: Json) -> None:
        """Set ``key`` where ``value`` is a number or a text that is not empty."""
        if isinstance(value, str) and value:
            self.settings[key] = value[:1000]
        elif isinstance(value, bool):
            self.settings[key] = str(value)
        elif isinstance(value, int | float):
            self.settings[key] = value

    def add_size(self, width: Json, height: Json) -> None:
        """Set ``Size`` where both sides are whole numbers."""
        w, h = as_number(width), as_number(height)
        if w is not None and h is not None:
            self.settings["Size"] = f"{int(w)}x{int(h)}"

    def add_all(self, source: Mapping[str, Json], names: Mapping[str, str]) -> None:
        """Set each key of ``names`` from the field of ``source`` that it names."""
        for key, name in names.items():
            self.add(key, source.get(name))


def read_json(text: str) -> Json:
    """Return a JSON value, or None for a text that is none, or too long or too deep."""
    if len(text) > LARGEST_TEXT or text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        found: Json = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found


def as_text(value: Json) -> str:
    """Return ``value`` where it is text, else an empty one."""
    return value if isinstance(value, str) else ""


def as_number(value: Json) -> int | float | None:
    """Return ``value`` as a finite number, also from its text; None where it is none."""
    if isinstance(value, str) and len(value) <= 40:
        try:
            value = float(value) if "." in value else int(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if abs(value) < 2**65 else None
