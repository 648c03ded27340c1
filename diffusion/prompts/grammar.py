r"""The grammar of weights in prompts, as in A1111's WebUI.

======================  =========================================================================
``(x)``                 weight of x times 1.1
``(x:1.5)``             times 1.5; the number has digits and one point, perhaps a sign
``[x]``                 divided by 1.1
``\( \) \[ \] \\``      the character itself; a backslash before anything else is dropped
``BREAK``               a word of its own: the text after it begins a new chunk
======================  =========================================================================

Nested brackets multiply. A bracket that is never closed weighs all text after it; a bracket that
closes nothing is text. Round and square brackets are paired independently, so that ``(a [b) c]``
weighs b by both. ``BREAK`` in brackets is a word, weighted by minus their product: so the WebUI
does, and the same prompt is to draw the same picture.

Comments, ``AND``, scheduling ``[a:b:0.5]`` and alternation ``[a|b]`` are read before, in
``composition`` and ``scheduling``; extra networks ``<lora:x:1>`` are text here.

The time is linear in the text's length: every pattern is possessive, each token is seen once, and
the weights come from one pass over the brackets.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, NamedTuple

__all__ = ["WeightedText", "parse_prompt"]

ROUND: Final = 1.1
SQUARE: Final = 1 / 1.1
MAX_FACTOR: Final = 1e150
"""Products of weights are clipped here, so that no product of two overflows."""

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


class WeightedText(NamedTuple):
    """A piece of text and its weight, which is finite, and 1 outside all brackets."""

    text: str
    weight: float


@dataclass(slots=True)
class _Bracket:
    """A pair of brackets around the pieces ``start`` to ``end - 1``."""

    start: int
    factor: float
    end: int | None = None


@dataclass
class _Brackets:
    """All pairs of one kind in the order of their opening, and those that are still open."""

    factor: float
    pairs: list[_Bracket] = field(default_factory=list)
    unclosed: list[_Bracket] = field(default_factory=list)

    def open(self, place: int) -> None:
        """Open a bracket before piece ``place``."""
        pair = _Bracket(place, self.factor)
        self.pairs.append(pair)
        self.unclosed.append(pair)

    def close(self, place: int, factor: float | None = None) -> bool:
        """Close the innermost open bracket; return False if none is open."""
        if not self.unclosed:
            return False
        pair = self.unclosed.pop()
        pair.end = place
        if factor is not None:
            pair.factor = factor
        return True

    def products(self, count: int) -> list[float]:
        """Return for each of ``count`` pieces the clipped product of the factors around it."""
        if not self.pairs:
            return [1.0] * count
        products, enclosing, next_pair = [], [(count, 1.0)], 0
        for place in range(count):
            while enclosing[-1][0] <= place:
                enclosing.pop()
            while next_pair < len(self.pairs) and self.pairs[next_pair].start == place:
                pair = self.pairs[next_pair]
                next_pair += 1
                end = count if pair.end is None else pair.end
                if end > place:
                    enclosing.append((end, _clip(enclosing[-1][1] * pair.factor)))
            products.append(enclosing[-1][1])
        return products


def _clip(factor: float) -> float:
    """Return the factor within ±1e150."""
    return min(max(factor, -MAX_FACTOR), MAX_FACTOR)


def parse_prompt(text: str) -> list[list[WeightedText]]:
    """Return the sections between ``BREAK``, at least one, each a list of weighted texts.

    No text is empty, and neighbours with equal weights are joined. Any text is a valid prompt.
    """
    sections: list[list[WeightedText]] = [[]]
    texts: list[str] = []
    last_weight = 1.0
    for read, factor in zip(*_read(text), strict=True):
        piece, weight = read, factor
        if piece is None and factor != 1.0:
            piece, weight = "BREAK", -factor
        if texts and (piece is None or (piece and weight != last_weight)):
            sections[-1].append(WeightedText("".join(texts), last_weight))
            texts = []
        if piece is None:
            sections.append([])
        elif piece:
            texts.append(piece)
            last_weight = weight
    if texts:
        sections[-1].append(WeightedText("".join(texts), last_weight))
    return sections


def _read(text: str) -> tuple[list[str | None], list[float]]:
    """Return pieces of text, None for a break, and their weights."""
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
        elif not _close_bracket(match, rounds, squares, here):
            pieces.append(token)
    products = zip(rounds.products(len(pieces)), squares.products(len(pieces)), strict=True)
    return pieces, [_clip(a * b) for a, b in products]


def _close_bracket(match: re.Match[str], rounds: _Brackets, squares: _Brackets, here: int) -> bool:
    """Close a bracket at a closing token; return False if the token is text."""
    if match.lastgroup == "number":
        return rounds.close(here, _clip(float(match["number"])))
    return (rounds if match[0] == ")" else squares).close(here)


def _append_text(pieces: list[str | None], text: str) -> None:
    """Add text; a ``BREAK`` in it becomes None, and the blanks around it are removed."""
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
