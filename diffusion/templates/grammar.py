r"""The grammar of templates.

======================  =========================================================================
``{a|b}``               one of them
``{3::a|b}``            a three times as often as b
``{2$$a|b|c}``          two of them, in any order, joined by a comma
``{1-2$$a|b|c}``        one or two; ``{2-$$…}`` and ``{-2$$…}`` leave an end open
``{2$$ and $$a|b|c}``   joined by another text
``__name__``            a line of ``name.txt`` in the folder of wildcards; ``*`` stands for any name
``\{ \| \} \__``        the characters themselves
======================  =========================================================================

All nest. Braces that do not pair are text. A bar within square brackets belongs to these, so that
prompt editing goes through.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from diffusion.errors import SettingsError

__all__ = ["Choice", "Node", "Option", "Wildcard", "parse_template", "split_weight"]

MAX_DEPTH: Final = 50
"""Braces within braces."""
MAX_WEIGHT: Final = 1e6

_TOKEN: Final = re.compile(
    r"\\(?:[{}|\\]|__)|__[\w*][\w*./ -]*?__|[{}|\[\]]|[^\\{}|\[\]_]+|.", re.DOTALL
)
_COUNT: Final = re.compile(r"\s*(?:(\d{1,4})|(\d{1,4})?\s*-\s*(\d{1,4})?)\s*\$\$")
_SEPARATOR: Final = re.compile(r"([^$]*)\$\$")
_WEIGHT: Final = re.compile(r"\s*(\d{1,6}(?:\.\d{0,6})?|\.\d{1,6})\s*::")


@dataclass(frozen=True)
class Wildcard:
    """The name of a file of lines, without its ending; it may hold ``*``."""

    name: str


@dataclass(frozen=True)
class Option:
    """One of the things to choose from."""

    nodes: Sequence[Node]
    weight: float = 1.0


@dataclass(frozen=True)
class Choice:
    """``least`` to ``most`` of the options, joined by ``separator``."""

    options: Sequence[Option]
    least: int = 1
    most: int = 1
    separator: str = ", "


Node: TypeAlias = "str | Wildcard | Choice"


@dataclass
class _Open:
    """A brace that is not closed yet: its options so far, and square brackets open within it."""

    options: list[list[Node]] = field(default_factory=lambda: [[]])
    squares: int = 0


def parse_template(text: str) -> list[Node]:
    """Return the nodes of a template. Raises `SettingsError` for more than 50 nested braces."""
    levels = [_Open()]
    for match in _TOKEN.finditer(text):
        token, level = match[0], levels[-1]
        if token == "{":
            levels.append(_Open())
            if len(levels) > MAX_DEPTH:
                hint = f"at most {MAX_DEPTH} braces nest"
                raise SettingsError("prompt", f"{len(text)} characters", hint)
        elif token == "}" and len(levels) > 1:
            levels.pop()
            levels[-1].options[-1].append(_close(level))
        elif token == "|" and len(levels) > 1 and not level.squares:
            level.options.append([])
        else:
            level.squares = max(level.squares + (token == "[") - (token == "]"), 0)
            level.options[-1].append(_literal(token))
    while len(levels) > 1:
        open_brace = levels.pop()
        levels[-1].options[-1].append("{")
        for number, option in enumerate(open_brace.options):
            levels[-1].options[-1].extend(["|"] * (number > 0) + option)
    return levels[0].options[0]


def _literal(token: str) -> Node:
    """Return a token as text, or the wildcard that it names."""
    if token.startswith("__") and len(token) > 4:
        return Wildcard(token[2:-2].strip())
    return token[1:] if token.startswith("\\") and len(token) > 1 and token != "\\\\" else token


def _close(brace: _Open) -> Choice:
    """Return the choice of a closed brace, with what stands before its options."""
    first = brace.options[0]
    least = most = 1
    separator = ", "
    head = first[0] if first and isinstance(first[0], str) else ""
    if count := _COUNT.match(head):
        exact, low, high = count.groups()
        least = int(exact or low or 0)
        most = int(exact or high or len(brace.options))
        head = head[count.end() :]
        if joined := _SEPARATOR.match(head):
            separator, head = joined[1], head[joined.end() :]
        brace.options[0] = [head, *first[1:]]
    options = [split_weight(option) for option in brace.options]
    if not any(option.weight for option in options):
        raise SettingsError("prompt", "{0::…}", "one of the weights in braces must be above 0")
    if least > most:
        raise SettingsError("prompt", f"{{{least}-{most}$$…}}", "the smaller number comes first")
    return Choice(options, least, most, separator)


def split_weight(nodes: Sequence[Node]) -> Option:
    """Return an option with the weight that stands before it."""
    if nodes and isinstance(nodes[0], str) and (found := _WEIGHT.match(nodes[0])):
        weight = min(float(found[1]), MAX_WEIGHT)
        return Option([nodes[0][found.end() :], *nodes[1:]], weight)
    return Option(nodes)
