r"""The grammar of weights in prompts, in the form that the field knows (A1111's WebUI).

======================  =========================================================================
``(x)``                 weight of x times 1.1
``(x:1.5)``             times 1.5; the number has digits and one point, perhaps a sign
``[x]``                 divided by 1.1
``\( \) \[ \] \\``      the character itself; a backslash before anything else is dropped
``BREAK``               a word of its own: the text after it begins a new chunk
======================  =========================================================================

Nested brackets multiply. A bracket that is never closed weighs what follows it to the end; one
that closes nothing is text. Round and square brackets are paired apart from each other, so that
``(a [b) c]`` weighs b by both. ``BREAK`` in brackets breaks too (in the WebUI it turns into text).

Comments, ``AND``, scheduling ``[a:b:0.5]`` and alternation ``[a|b]`` are read before, in
``composition`` and ``scheduling``; extra networks ``<lora:x:1>`` are text here.

The time is linear in the text's length: every pattern is possessive, each token is seen once, and
the weights come from one sweep over the brackets.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, NamedTuple

__all__ = ["Span", "parse_prompt"]

ROUND: Final = 1.1
SQUARE: Final = 1 / 1.1
_SATURATED: Final = 1e150
"""Products of weights stop here, so that no product of two overflows."""

_TOKEN: Final = re.compile(
    r"""
      \\(?P<escaped>[()\[\]\\]?)
    | :\s*+(?P<number>[+-]?(?:\d++(?:\.\d*+)?+|\.\d++))\s*+\)
    | (?P<bracket>[()\[\]])
    | :
    | [^\\()\[\]:]++
    """,
    re.VERBOSE,
)
_BREAK: Final = re.compile(r"\bBREAK\b")


class Span(NamedTuple):
    """A piece of text and its weight: finite, 1 where no bracket is about it."""

    text: str
    weight: float


@dataclass(slots=True)
class _Bracket:
    """A pair of brackets about the pieces ``start`` to ``end - 1``."""

    start: int
    factor: float
    end: int | None = None


@dataclass
class _Brackets:
    """All pairs of one kind in the order of their opening, and those still open."""

    factor: float
    pairs: list[_Bracket] = field(default_factory=list)
    unclosed: list[_Bracket] = field(default_factory=list)

    def open(self, place: int) -> None:
        pair = _Bracket(place, self.factor)
        self.pairs.append(pair)
        self.unclosed.append(pair)

    def close(self, place: int, factor: float | None = None) -> bool:
        """Close the innermost open one; False where none is open."""
        if not self.unclosed:
            return False
        pair = self.unclosed.pop()
        pair.end = place
        if factor is not None:
            pair.factor = factor
        return True

    def products(self, count: int) -> list[float]:
        """For each of ``count`` pieces the product of the factors about it, saturated."""
        if not self.pairs:
            return [1.0] * count
        products, around, next_pair = [], [(count, 1.0)], 0
        for place in range(count):
            while around[-1][0] <= place:
                around.pop()
            while next_pair < len(self.pairs) and self.pairs[next_pair].start == place:
                pair = self.pairs[next_pair]
                next_pair += 1
                end = count if pair.end is None else pair.end
                if end > place:
                    around.append((end, _saturated(around[-1][1] * pair.factor)))
            products.append(around[-1][1])
        return products


def _saturated(factor: float) -> float:
    return min(max(factor, -_SATURATED), _SATURATED)


def parse_prompt(text: str) -> list[list[Span]]:
    """The sections between ``BREAK``, at least one, each a list of spans without empty texts.

    Neighbours of one weight are one span. Any text is a prompt.
    """
    sections: list[list[Span]] = [[]]
    run: list[str] = []
    run_weight = 1.0
    for piece, weight in zip(*_read(text), strict=True):
        if run and (piece is None or weight != run_weight):
            sections[-1].append(Span("".join(run), run_weight))
            run = []
        if piece is None:
            sections.append([])
        elif piece:
            run.append(piece)
            run_weight = weight
    if run:
        sections[-1].append(Span("".join(run), run_weight))
    return sections


def _read(text: str) -> tuple[list[str | None], list[float]]:
    """Pieces of text, None for a break, and their weights."""
    pieces: list[str | None] = []
    rounds, squares = _Brackets(ROUND), _Brackets(SQUARE)
    for match in _TOKEN.finditer(text):
        kind, token, here = match.lastgroup, match[0], len(pieces)
        if kind is None:
            _append_text(pieces, token)
        elif kind == "escaped":
            pieces.append(token[1:])
        elif token == "(":
            rounds.open(here)
        elif token == "[":
            squares.open(here)
        elif not _closes(match, rounds, squares, here):
            pieces.append(token)
    products = zip(rounds.products(len(pieces)), squares.products(len(pieces)), strict=True)
    return pieces, [_saturated(a * b) for a, b in products]


def _closes(match: re.Match[str], rounds: _Brackets, squares: _Brackets, here: int) -> bool:
    """Close the bracket that a bracket or number closes; False where the token is text."""
    if match.lastgroup == "number":
        return rounds.close(here, _saturated(float(match["number"])))
    return (rounds if match[0] == ")" else squares).close(here)


def _append_text(pieces: list[str | None], text: str) -> None:
    """Add text, whose breaks take the blanks about them away."""
    if "BREAK" not in text:
        pieces.append(text)
        return
    parts = _BREAK.split(text)
    last = len(parts) - 1
    for index, part in enumerate(parts):
        if index > 0:
            pieces.append(None)
            part = part.lstrip()  # noqa: PLW2901
        pieces.append(part.rstrip() if index < last else part)
