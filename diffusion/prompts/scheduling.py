r"""What a prompt says at each step: scheduling and alternation (A1111's WebUI has the rules).

======================  =========================================================================
``[a:b:n]``             a for the first n steps, then b; either may be empty
``[b:n]``               nothing for the first n steps, then b
``[a|b|c]``             a at the first step, b at the second, c, a again, ...; any may be empty
======================  =========================================================================

n with a point is a share of the steps (``0.5``), without one a number of steps. They nest in each
other and in brackets that weigh, in both directions. Counting goes on through a second pass: there
``1.5`` is the middle of the second, and n whole steps count from the first pass's first.

What is none of these is text for the grammar of weights, with its brackets and backslashes: a
bracket that stays open, one with more colons, without a number, or with a round bracket left open
in it. (The WebUI draws one step more with a than it says; here there are n.)

The time is linear in the text's length: each token is seen once, and what a bracket holds is moved
once, into its node.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from diffusion.errors import SettingsError

__all__ = ["MOST_VARIANTS", "PromptSteps", "prompt_steps"]

MOST_VARIANTS: Final = 256
"""Texts that one prompt may come to."""

_TOKEN: Final = re.compile(r"\\.?|[\[\]():|]|[^\\\[\]():|]++", re.DOTALL)
_NUMBER: Final = re.compile(
    r"\s*+([+-]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]++)?)\s*+"
)


@dataclass(frozen=True, slots=True)
class _Switch:
    """``before`` for the first ``end`` steps, then ``after``."""

    before: _Items
    after: _Items
    end: int

    def at(self, step: int) -> _Items:
        return self.before if step < self.end else self.after


@dataclass(frozen=True, slots=True)
class _Turns:
    """One after the other."""

    options: Sequence[_Items]

    def at(self, step: int) -> _Items:
        return self.options[step % len(self.options)]


_Items: TypeAlias = "list[str | _Switch | _Turns]"


@dataclass(slots=True)
class _Open:
    """A bracket that is open: where it stands, and the colons and bars of its own level.

    Of the colons three are kept, which is one too many for a switch.
    """

    kind: str
    start: int
    colons: tuple[int, ...] = ()
    bars: list[int] | None = None

    def add_bar(self, place: int) -> None:
        if self.bars is None:
            self.bars = []
        self.bars.append(place)


@dataclass
class _Reader:
    """``steps``: of the pass; ``done``: of the pass before, None for the first."""

    steps: int
    done: int | None
    items: _Items = field(default_factory=list)
    around: list[_Open] = field(default_factory=list)
    squares: int = 0
    ends: set[int] = field(default_factory=set)
    period: int = 1

    def read(self, text: str) -> _Items:
        for match in _TOKEN.finditer(text):
            token = match[0]
            if token == "]" and self.squares:
                self._close()
                continue
            if token == "[" or (token == "(" and self.squares):
                self.around.append(_Open(token, len(self.items)))
                self.squares += token == "["
            elif token == ")" and self.around and self.around[-1].kind == "(":
                self.around.pop()
            elif self.around and token == ":":
                self.around[-1].colons = (*self.around[-1].colons, len(self.items))[:3]
            elif self.around and token == "|":
                self.around[-1].add_bar(len(self.items))
            self.items.append(token)
        return self.items

    def _close(self) -> None:
        """End the innermost square bracket; round ones open in it are text."""
        while (bracket := self.around.pop()).kind == "(":
            pass
        self.squares -= 1
        node = self._switch(bracket) or self._turns(bracket)
        if node is None:
            self.items.append("]")
        else:
            self.items[bracket.start :] = [node]

    def _switch(self, bracket: _Open) -> _Switch | None:
        colons, items = bracket.colons, self.items
        if not 1 <= len(colons) <= 2 or colons[-1] != len(items) - 2:
            return None
        last = items[-1]
        number = _NUMBER.fullmatch(last) if isinstance(last, str) else None
        if number is None:
            return None
        end = self._step(number[1])
        self.ends.add(end)
        first = colons[0] if len(colons) == 2 else bracket.start
        before = items[bracket.start + 1 : first]
        return _Switch(before, items[first + 1 : colons[-1]], end)

    def _turns(self, bracket: _Open) -> _Turns | None:
        if bracket.bars is None:
            return None
        starts = [bracket.start, *bracket.bars]
        ends = [*bracket.bars, len(self.items)]
        options = [self.items[a + 1 : b] for a, b in zip(starts, ends, strict=True)]
        self.period = min(math.lcm(self.period, len(options)), self.steps)
        return _Turns(options)

    def _step(self, number: str) -> int:
        """How many steps of this pass come before."""
        value = float(number)
        if "." in number:
            value = (value - (self.done is not None)) * self.steps
        else:
            value -= self.done or 0
        return int(min(max(value, 0.0), float(self.steps)))


@dataclass(frozen=True)
class PromptSteps:
    """A prompt over the steps of a pass: its ``texts``, and ``which`` of them each step has."""

    texts: tuple[str, ...]
    which: tuple[int, ...]

    def at(self, step: int) -> int:
        """The text's index at a step, the last one's after the end."""
        return self.which[min(step, len(self.which) - 1)]


def prompt_steps(field_name: str, text: str, steps: int, done: int | None = None) -> PromptSteps:
    """What ``text`` says at each of ``steps`` steps, 1 or more.

    ``done``: steps of the pass before, None for the first pass. Raises `SettingsError` under
    ``field_name`` where it may come to more than 256 texts.
    """
    reader = _Reader(steps, done)
    items = reader.read(text)
    ends = sorted(reader.ends | {steps})
    states: dict[tuple[int, int], int] = {}
    texts: dict[str, int] = {}
    which = []
    passed = 0
    for step in range(steps):
        while step >= ends[passed]:
            passed += 1
        state = (passed, step % reader.period)
        if state not in states:
            if len(states) == MOST_VARIANTS:
                hint = f"it changes in more than {MOST_VARIANTS} ways over the steps"
                raise SettingsError(field_name, text, hint)
            said = "".join(_said(items, step))
            states[state] = texts.setdefault(said, len(texts))
        which.append(states[state])
    return PromptSteps(tuple(texts), tuple(which))


def _said(items: _Items, step: int) -> Iterator[str]:
    """The pieces of text at a step, without recursion: brackets may be ten thousands deep."""
    stack = [iter(items)]
    while stack:
        for item in stack[-1]:
            if isinstance(item, str):
                yield item
            else:
                stack.append(iter(item.at(step)))
                break
        else:
            stack.pop()
